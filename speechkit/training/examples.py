"""Speech to learn from, or to validate on, and its batches."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from speechkit.data.batches import Batch, Utterances, make_batch
from speechkit.data.look import frames_needed
from speechkit.settings import TrainSettings


@dataclass(frozen=True)
class Examples:
    """Utterances, their texts under the rules, their labels, and which of them are used."""

    store: Utterances
    texts: Sequence[str]
    labels: Sequence[Sequence[int]]
    chosen: NDArray[np.int64]

    @property
    def sample(self) -> "Examples":
        """What is checked and measured before training: all of them."""
        return self

    def told(self) -> str:
        """What they are, for people."""
        return f"{len(self.chosen)} utterances, {self.seconds.sum() / 3600:.2f} h"

    @property
    def longest(self) -> float:
        """Seconds."""
        return float(self.seconds.max())

    @property
    def seconds(self) -> NDArray[np.float64]:
        """(chosen,) how long each lasts."""
        return self.store.seconds[self.chosen]

    @property
    def label_counts(self) -> NDArray[np.int64]:
        """(chosen,) how many labels each has."""
        return np.array([len(self.labels[index]) for index in self.chosen], np.int64)

    @cached_property
    def text_numbers(self) -> NDArray[np.int64]:
        """(chosen,) a number for each text, the same for the same one."""
        numbers: dict[str, int] = {}
        given = [numbers.setdefault(self.texts[index], len(numbers)) for index in self.chosen]
        return np.array(given, np.int64)

    def texts_of_an_epoch(self, same_text: int) -> Iterator[Sequence[int]]:
        """The labels of each text, as often as an epoch has it: `same_text` times at most."""
        read = Counter[int]()
        for index, text in zip(self.chosen, self.text_numbers.tolist(), strict=True):
            read[text] += 1
            if not same_text or read[text] <= same_text:
                yield self.labels[index]

    def batch(self, places: NDArray[np.int64]) -> Batch:
        """The utterances at `places` of `chosen`."""
        return make_batch(self.store, self.chosen[places].tolist(), self.labels)

    def padded_seconds(self, places: NDArray[np.int64]) -> float:
        """Speech in the batch of `places`, padding included."""
        return float(self.seconds[places].max()) * len(places)


def unlearnable(
    labels: Sequence[Sequence[int]],
    seconds: NDArray[np.float64],
    *,
    frame_shift_seconds: float,
    settings: TrainSettings,
) -> Mapping[str, NDArray[np.bool_]]:
    """Why utterances cannot be learnt from: by the reason, (utterances,) for which it holds."""
    needed = np.array([frames_needed(each) for each in labels], np.int64)
    return {
        "no text is left under the text rules": np.array([not each for each in labels], bool),
        "more labels than frames": needed > seconds / frame_shift_seconds,
        f"shorter than {settings.min_seconds:g} s": seconds < settings.min_seconds,
        f"longer than {settings.max_seconds:g} s": seconds > settings.max_seconds,
    }
