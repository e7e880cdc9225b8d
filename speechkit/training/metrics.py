"""What training measures: JSON lines for programs, TensorBoard for eyes."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from torch.utils.tensorboard import SummaryWriter

from speechkit.data.files import written_whole
from speechkit.training.position import Position


class Metrics:
    """`metrics.jsonl` and `tensorboard/` of a run.

    A line is {"kind", "step", ...}. What a training that was stopped wrote past the place it goes
    on from is taken away, so that a resumed run's lines are those of one never stopped. The step
    alone does not tell that place: a training may be stopped between an epoch's last step and its
    validation, which has the same step.
    """

    def __init__(self, folder: Path, position: Position) -> None:
        self._file = folder / "metrics.jsonl"
        self._tensorboard = folder / "tensorboard"
        self._position = position

    def __enter__(self) -> Self:
        if self._file.is_file():
            kept = []
            for line in self._file.read_bytes().splitlines(keepends=True):
                if not line.endswith(b"\n") or _is_past(line, self._position):
                    break
                kept.append(line)
            with written_whole(self._file) as beside:
                beside.write_bytes(b"".join(kept))
        self._lines = self._file.open("a", encoding="utf-8")
        # TensorBoard forgets what is at this step and after: the step reached is not taken again.
        self._writer = SummaryWriter(str(self._tensorboard), purge_step=self._position.step + 1)
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


def _is_past(line: bytes, position: Position) -> bool:
    """Whether a line comes after a place, or is none of ours: lost power leaves zeros behind.

    `epoch` counts epochs that are done: in the line of a step those before it, in the lines of an
    epoch's end the epoch, too.
    """
    try:
        found = json.loads(line)
        return bool(found["step"] > position.step or found.get("epoch", 0) > position.epoch)
    except (ValueError, TypeError, KeyError, AttributeError):
        return True


class Unwritten(Metrics):
    """Metrics that another process writes."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def log(self, kind: str, step: int, values: Mapping[str, float]) -> None:
        """Nothing."""
