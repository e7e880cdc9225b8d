"""Speech to learn from, or to validate on, and its batches."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from speechkit.data.batches import Batch, make_batch
from speechkit.data.store import Store


@dataclass(frozen=True)
class Examples:
    """A store, its texts under the rules, their labels, and which of it is used."""

    store: Store
    texts: Sequence[str]
    labels: Sequence[Sequence[int]]
    chosen: NDArray[np.int64]

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

    def batch(self, places: NDArray[np.int64]) -> Batch:
        """The utterances at `places` of `chosen`."""
        return make_batch(self.store, self.chosen[places].tolist(), self.labels)
