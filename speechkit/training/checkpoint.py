"""Checkpoints: what training needs to go on, written whole, checked when read. No pickle.

A folder `checkpoints/step-00001200/` with `tensors.safetensors` (weights, their average, the
optimiser's moments) and `state.json` (where training is, and the tensors' SHA-256).
"""

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from speechkit.data.files import folder_written_whole, sha256

_NAME = re.compile(r"step-(\d{8})")


def save_checkpoint(
    folder: Path, step: int, tensors: Mapping[str, Tensor], state: Mapping[str, Any], *, keep: int
) -> None:
    """Write a checkpoint into `folder`, and delete all but the newest `keep`."""
    place = folder / f"step-{step:08d}"
    shutil.rmtree(place, ignore_errors=True)  # a torn one of the same step
    with folder_written_whole(place) as beside:
        file = beside / "tensors.safetensors"
        save_file({name: each.detach().cpu().contiguous() for name, each in tensors.items()}, file)
        written = {"sha256": sha256(file), "step": step, **state}
        (beside / "state.json").write_text(json.dumps(written), encoding="utf-8")
    for old in _newest_first(folder)[keep:]:
        shutil.rmtree(old, ignore_errors=True)


def load_checkpoint(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any], list[str]] | None:
    """The newest whole checkpoint: tensors, state, and the names of torn ones passed over."""
    torn: list[str] = []
    for place in _newest_first(folder):
        file = place / "tensors.safetensors"
        try:
            state = json.loads((place / "state.json").read_text(encoding="utf-8"))
            if state["sha256"] == sha256(file):
                return load_file(file), state, torn
        except (OSError, ValueError, KeyError, SafetensorError):
            pass
        torn.append(place.name)
    return None


def _newest_first(folder: Path) -> list[Path]:
    found = [each for each in folder.glob("step-*") if _NAME.fullmatch(each.name)]
    return sorted(found, reverse=True)
