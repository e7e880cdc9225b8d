"""Word n-grams of some texts, and which of them other texts have: exact, and in bounded memory.

What is looked for is indexed, which is small; what is searched streams by, however long it is. An
n-gram of six words is found in three steps, each a search in a sorted array: words to pairs of
words, pairs to fours, a four and a pair to six. A number stands for each step's result, so that two
of them always fit 64 bits; nothing is hashed, and no two n-grams are taken for one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain

import numpy as np
from numpy.typing import NDArray

ORDER = 6  # words

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Sequences:
    """The word 6-grams of texts, within each.

    owner  (places,) the text of each place at which one begins
    gram   (places,) which it is, from 0
    count  how many different ones there are
    """

    owner: Ints
    gram: Ints
    count: int
    _words: dict[str, int] = field(repr=False)
    _steps: tuple[Ints, Ints, Ints] = field(repr=False)

    @classmethod
    def of(cls, texts: Sequence[str]) -> "Sequences":
        """Index texts, to which the text rules were applied."""
        words: dict[str, int] = {}
        numbers: list[int] = []
        owners: list[int] = []
        for place, text in enumerate(texts):
            own = [words.setdefault(word, len(words) + 1) for word in text.split()]
            numbers += [*own, 0]  # which no n-gram goes over
            owners += [place] * (len(own) + 1)
        ids = np.array(numbers, np.int64)
        pairs = _distinct(_joined(ids, ids, 1))
        two = _numbered(_joined(ids, ids, 1), pairs)
        fours = _distinct(_joined(two, two, 2))
        four = _numbered(_joined(two, two, 2), fours)
        sixes = _distinct(_joined(four, two, 4))
        six = _numbered(_joined(four, two, 4), sixes)
        places = np.flatnonzero(six)
        owner = np.array(owners, np.int64)[places]
        return cls(owner, six[places] - 1, len(sixes), words, (pairs, fours, sixes))

    def search(self) -> "Search":
        """Begin to look for them in other texts."""
        return Search(self)


class Search:
    """Which of the n-grams some texts have, given as many at a time as is convenient.

    found  (count,) whether each of the 6-grams has been met
    """

    def __init__(self, wanted: Sequences) -> None:
        self.found = np.zeros(wanted.count, dtype=bool)
        self._wanted = wanted

    def add(self, texts: Iterable[str]) -> None:
        """Look at these texts: at each by itself, since lines that follow may have no relation."""
        number = self._wanted._words.get
        # A line's end is a word that no text has.
        words = chain.from_iterable([*text.split(), ""] for text in texts)
        ids = np.fromiter((number(word, 0) for word in words), np.int64)
        pairs, fours, sixes = self._wanted._steps
        two = _numbered(_joined(ids, ids, 1), pairs)
        four = _numbered(_joined(two, two, 2), fours)
        six = _numbered(_joined(four, two, 4), sixes)
        self.found[six[six > 0] - 1] = True


def _joined(first: Ints, second: Ints, ahead: int) -> Ints:
    """(n,) numbers, and those `ahead` places later -> one number for both; 0 if either is 0."""
    joined = np.zeros(len(first), np.int64)
    last = max(0, len(first) - ahead)
    left, right = first[:last], second[ahead:]
    joined[:last] = np.where((left > 0) & (right > 0), (left << 32) | right, 0)
    return joined


def _distinct(values: Ints) -> Ints:
    distinct: Ints = np.unique(values[values > 0])
    return distinct


def _numbered(values: Ints, known: Ints) -> Ints:
    """Where each of the (n,) values stands among the sorted `known`, from 1; 0 if nowhere."""
    numbers = np.zeros(len(values), np.int64)
    places = np.flatnonzero(values)  # in a text of others, few
    if not len(places) or not len(known):
        return numbers
    at = np.minimum(np.searchsorted(known, values[places]), len(known) - 1)
    is_there = known[at] == values[places]
    numbers[places[is_there]] = at[is_there] + 1
    return numbers
