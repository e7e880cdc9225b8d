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
    # Of this epoch so far, in all its processes' lives taken together:
    seconds: float = 0.0  # that its steps took
    waiting: float = 0.0  # of these, for data
    speech_seconds: float = 0.0
    padding_sum: float = 0.0  # shares of the batches that this process made
    made: int = 0

    def next_epoch(self) -> Self:
        """At the beginning of the next epoch: sums of this one begin anew."""
        return type(self)(
            epoch=self.epoch + 1,
            step=self.step,
            best=self.best,
            validations_since_best=self.validations_since_best,
            bad_batches=self.bad_batches,
        )

    def stored(self) -> dict[str, Any]:
        """As JSON takes it."""
        return asdict(self)

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> Self:
        """From what `stored` gave."""
        return cls(**{**stored, "best": tuple(stored["best"] or ()) or None})
