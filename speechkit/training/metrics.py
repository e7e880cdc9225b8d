"""What training measures: JSON lines for programs, TensorBoard for eyes."""

import json
from collections.abc import Mapping
from math import inf
from pathlib import Path
from typing import Self

from torch.utils.tensorboard import SummaryWriter

from speechkit.data.files import written_whole


class Metrics:
    """`metrics.jsonl` and `tensorboard/` of a run.

    A line is {"kind", "step", ...}. What a training that was stopped wrote past the step it goes
    on from is taken away, so that a resumed run's lines are those of one never stopped.
    """

    def __init__(self, folder: Path, step: int) -> None:
        self._file = folder / "metrics.jsonl"
        self._tensorboard = folder / "tensorboard"
        self._step = step

    def __enter__(self) -> Self:
        if self._file.is_file():
            kept = []
            for line in self._file.read_bytes().splitlines(keepends=True):
                if not line.endswith(b"\n") or _step(line) > self._step:
                    break
                kept.append(line)
            with written_whole(self._file) as beside:
                beside.write_bytes(b"".join(kept))
        self._lines = self._file.open("a", encoding="utf-8")
        self._writer = SummaryWriter(str(self._tensorboard), purge_step=self._step)
        return self

    def __exit__(self, *error: object) -> None:
        self._lines.close()
        self._writer.close()

    def log(self, kind: str, step: int, values: Mapping[str, float]) -> None:
        """Write one line, and a point of each curve."""
        self._lines.write(json.dumps({"kind": kind, "step": step, **values}) + "\n")
        self._lines.flush()
        for name, value in values.items():
            if name != "epoch":
                self._writer.add_scalar(f"{kind}/{name}", value, step)


def _step(line: bytes) -> float:
    """A line's step; infinite where it is no line of ours: lost power leaves zeros behind."""
    try:
        return int(json.loads(line)["step"])
    except (ValueError, TypeError, KeyError):
        return inf


class Unwritten(Metrics):
    """Metrics that another process writes."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def log(self, kind: str, step: int, values: Mapping[str, float]) -> None:
        """Nothing."""
