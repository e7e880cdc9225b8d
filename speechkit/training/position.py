"""Where a training is."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self


@dataclass(frozen=True)
class Position:
    """Where training is: the next batch, and what decides when it ends."""

    epoch: int = 0
    batch: int = 0
    step: int = 0
    loss_sum: float = 0.0  # of this epoch so far, in nats
    label_sum: int = 0
    best: tuple[float, float] | None = None  # what the best validation had of `train.best_by`
    validations_since_best: int = 0
    bad_batches: int = 0  # in a row

    def stored(self) -> dict[str, Any]:
        """As JSON takes it."""
        return asdict(self)

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> Self:
        """From what `stored` gave."""
        return cls(**{**stored, "best": tuple(stored["best"] or ()) or None})
