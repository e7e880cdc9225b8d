"""A time budget: how many epochs fit into `train.minutes`, validations included.

A few steps and validation batches are timed before the first step. What they cost grows with the
speech in them, padding included, and tells how many epochs fit. The schedule is made for those, and
both are kept with the checkpoints. They are changed only where the budget would be passed: the
machine has become slower, or a stop has cost time.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from speechkit.data.files import write_json

_PLANNED = 0.94  # of the budget: the rest is for checkpoints, and for a machine that is not even
_TRUSTED = 0.05  # of the budget must have been observed before it outweighs what was timed first
_NOTED_SECONDS = 5.0  # from one note of the time used to the next


@dataclass
class Budget:
    """What is left of a training's time, and the epochs that fit into it.

    minutes         of the training, all its processes' lives taken together
    work            of each epoch: seconds of speech, padding included, and steps; those past the
                    last are as the last
    validate_every  epochs; 0: there are no validations
    place           the file that keeps the time used: a process that is killed says nothing more
    """

    minutes: float
    work: Sequence[tuple[float, int]]
    validate_every: int
    place: Path
    epochs: float = 0.0  # that training lasts; part of the last one may be left out
    seconds_per_second: float = 0.0  # of learning, for a second of speech
    validation_seconds: float = 0.0
    _before: float = field(default=0.0, init=False)  # seconds used by processes that were stopped
    _began: float = field(default_factory=time.monotonic, init=False)
    _noted: float = field(default=0.0, init=False)
    _observed: tuple[float, float] = field(default=(0.0, 0.0), init=False)  # seconds, of speech

    def __post_init__(self) -> None:
        try:
            self._before = float(json.loads(self.place.read_text("utf-8"))["seconds"])
        except (OSError, ValueError, KeyError):
            self._before = 0.0  # nothing was used yet

    @property
    def used(self) -> float:
        """Seconds, those of processes that were stopped included."""
        return self._before + time.monotonic() - self._began

    def note(self) -> None:
        """Keep the time used, every few seconds."""
        now = time.monotonic()
        if now - self._noted > _NOTED_SECONDS:
            write_json(self.place, {"seconds": self.used})
            self._noted = now

    def observe(self, seconds: float, speech: float) -> None:
        """Count what a step took, and the seconds of speech in it."""
        self._observed = self._observed[0] + seconds, self._observed[1] + speech

    def plan(self, done: float, used: float) -> None:
        """Choose the epochs: as many as fit.

        Args:
            done: epochs learnt.
            used: seconds.
        """
        self.epochs = self._fitting(done, _PLANNED * 60 * self.minutes - used)

    def shorten(self, done: float, used: float) -> bool:
        """Choose fewer epochs where those chosen would pass the budget; whether that was so."""
        seconds, speech = self._observed
        if seconds > _TRUSTED * 60 * self.minutes:
            self.seconds_per_second = max(self.seconds_per_second, seconds / speech)
        if done >= self.epochs or used + self.needed(done, self.epochs) <= 60 * self.minutes:
            return False
        before = self.epochs
        self.epochs = min(before, self._fitting(done, _PLANNED * 60 * self.minutes - used))
        return self.epochs < before

    def stored(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {
            "epochs": self.epochs,
            "seconds_per_second": self.seconds_per_second,
            "validation_seconds": self.validation_seconds,
        }

    def put_back(self, stored: dict[str, Any]) -> None:
        """What `stored` gave."""
        for name, value in stored.items():
            setattr(self, name, value)

    def _epoch(self, number: int) -> tuple[float, int]:
        speech, steps = self.work[min(number, len(self.work) - 1)]
        return speech * self.seconds_per_second, steps

    def _fitting(self, done: float, seconds: float) -> float:
        """Epochs in all that fit into `seconds` from `done` on; a step is left to take at least."""
        seconds -= self.validation_seconds  # after the last step
        at = done
        while True:
            number = int(at)
            whole, steps = self._epoch(number)
            needed = (number + 1 - at) * whole
            if needed > seconds:
                break
            seconds -= needed
            at = number + 1.0
            if self._validates(number + 1):
                seconds -= self.validation_seconds
        taken = round((at - number) * steps)
        more = max(int(seconds / whole * steps), 1 if at == done else 0)
        return number + (taken + more) / steps

    def needed(self, start: float, end: float) -> float:
        """Seconds that the epochs from `start` to the end of training, `end`, need."""
        needed, at = self.validation_seconds, start
        while at < end:
            number = int(at)
            until = min(end, number + 1.0)
            needed += (until - at) * self._epoch(number)[0]
            if until < end and self._validates(number + 1):
                needed += self.validation_seconds
            at = until
        return needed

    def _validates(self, epochs: int) -> bool:
        return bool(self.validate_every) and epochs % self.validate_every == 0
