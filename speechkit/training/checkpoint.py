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
from speechkit.errors import RunError

_NAME = re.compile(r"step-(\d{8})(?:\.(\d+))?")  # .1: of a step that had one when it was written


def save_checkpoint(
    folder: Path, step: int, tensors: Mapping[str, Tensor], state: Mapping[str, Any], *, keep: int
) -> None:
    """Write a checkpoint into `folder`, and delete all but the newest `keep`.

    Nothing is deleted before the new one is whole. Others of this step and of later ones are: what
    is past the step that training is at was passed over as damaged.
    """
    place, again = folder / f"step-{step:08d}", 0
    while place.exists():
        again += 1
        place = folder / f"step-{step:08d}.{again}"
    with folder_written_whole(place) as beside:
        file = beside / "tensors.safetensors"
        save_file({name: each.detach().cpu().contiguous() for name, each in tensors.items()}, file)
        written = {"sha256": sha256(file), "step": step, **state}
        (beside / "state.json").write_text(json.dumps(written), encoding="utf-8")
    found = _newest_first(folder)
    kept = [each for each in found if each == place or _order(each)[0] < step][:keep]
    for old in set(found) - set(kept):
        shutil.rmtree(old, ignore_errors=True)


def load_checkpoint(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any], list[str]] | None:
    """The newest whole checkpoint: tensors, state, and the names of torn ones passed over.

    None where there is no checkpoint.

    Raises:
        RunError: there are some, and none is whole.
    """
    torn: list[str] = []
    for place in _newest_first(folder):
        file = place / "tensors.safetensors"
        try:
            state = json.loads((place / "state.json").read_text(encoding="utf-8"))
            if state["sha256"] == sha256(file):
                return load_file(file), state, torn
        except (OSError, ValueError, KeyError, TypeError, SafetensorError):
            pass
        torn.append(place.name)
    if torn:
        raise RunError(
            f"no checkpoint in {folder} can be read, or all are damaged: {', '.join(torn)}",
            hint="name a new run: --run NAME; or throw this one away and begin anew: --force train",
        )
    return None


def _newest_first(folder: Path) -> list[Path]:
    found = [each for each in folder.glob("step-*") if _NAME.fullmatch(each.name)]
    return sorted(found, key=_order, reverse=True)


def _order(place: Path) -> tuple[int, int]:
    """The step of a checkpoint, and which one of that step it is."""
    step, again = _NAME.fullmatch(place.name).groups("0")  # type: ignore[union-attr]
    return int(step), int(again)
