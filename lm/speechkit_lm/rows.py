"""N-grams in any order, with gaps, to a sorted trie without gaps.

Files made elsewhere may lack the beginning or the end of an n-gram they hold (SRILM removes
n-grams one by one). What is lacking is put in with the probability it has anyway, by backing off,
and a back-off weight of 1: no probability changes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from speechkit_lm.counts import distinct_rows
from speechkit_lm.trie import TrieLevel, back_pointers, keys, lookup

Ints = npt.NDArray[Any]
Floats = npt.NDArray[Any]


@dataclass(frozen=True)
class Rows:
    """The n-grams of one order, in any order; for 1-grams row i is word i.

    columns   k columns (n,) of word ids
    log_prob  (n,) natural logarithm; nan where it is to be found by backing off
    backoff   (n,) natural logarithm; of the highest order, nothing
    """

    columns: Sequence[Ints]
    log_prob: Floats
    backoff: Floats

    def __len__(self) -> int:
        return len(self.log_prob)


class RepeatedNgramError(Exception):
    """An n-gram is there twice: its word ids."""

    def __init__(self, words: Sequence[int]) -> None:
        super().__init__(words)
        self.words = words


def sort_rows(rows: Sequence[Rows]) -> list[TrieLevel]:
    """Rows of the orders 1 to N to a trie.

    Raises:
        RepeatedNgramError: an n-gram is there twice.
    """
    levels = _sorted(rows)
    return levels if levels is not None else _sorted(_closed(rows), required=True) or []


def _sorted(rows: Sequence[Rows], *, required: bool = False) -> list[TrieLevel] | None:
    """The trie; None if an n-gram lacks its beginning or its end."""
    size = len(rows[0])
    words = np.arange(size, dtype=np.int32)
    links = [(words, np.zeros(size, np.int32))]
    values = [(rows[0].log_prob, rows[0].backoff)]
    known: list[Ints] = []  # keys of the orders 2, 3, ...
    for level in rows[1:]:
        node = np.asarray(level.columns[0])
        for below, column in zip(known, level.columns[1:-1], strict=True):
            node = lookup(below, keys(node, column, size))
        if (node < 0).any():
            assert not required
            return None
        key = keys(node, level.columns[-1], size)
        by_key = np.argsort(key, kind="stable")
        key = key[by_key]
        if (repeated := np.flatnonzero(key[1:] == key[:-1])).size:
            at = by_key[repeated[0]]
            raise RepeatedNgramError([int(column[at]) for column in level.columns])
        known.append(key)
        links.append((level.columns[-1][by_key].astype(np.int32), node[by_key].astype(np.int32)))
        values.append(
            (level.log_prob[by_key], level.backoff[by_key] if len(level.backoff) else level.backoff)
        )
    backs = back_pointers(links)
    if any((back < 0).any() for back in backs):
        assert not required
        return None
    return _filled(links, backs, values)


def _filled(
    links: Sequence[tuple[Ints, Ints]],
    backs: Sequence[Ints],
    values: Sequence[tuple[Floats, Floats]],
) -> list[TrieLevel]:
    """Find the probabilities that are nan, from the lower orders up."""
    levels: list[TrieLevel] = []
    for (word, parent), back, (given, backoff) in zip(links, backs, values, strict=True):
        log_prob, lacking = given, np.isnan(given)
        if lacking.any():
            below = levels[-1]
            assert below.backoff is not None
            log_prob = given.copy()
            log_prob[lacking] = below.backoff[parent[lacking]] + below.log_prob[back[lacking]]
        highest = len(levels) + 1 == len(links)
        levels.append(TrieLevel(word, parent, back, log_prob, None if highest else backoff))
    return levels


def _closed(rows: Sequence[Rows]) -> list[Rows]:
    """Put in the beginnings and ends that are lacking."""
    bits = max(1, (len(rows[0]) - 1).bit_length())
    closed = list(rows)
    for place in range(len(rows) - 1, 1, -1):
        above, below = closed[place], closed[place - 1]
        columns = [
            np.concatenate(each)
            for each in zip(below.columns, above.columns[:-1], above.columns[1:], strict=True)
        ]
        is_there = np.zeros(len(columns[0]), np.int64)
        is_there[: len(below)] = 1
        distinct, there = distinct_rows(columns, bits, is_there)
        lacking = there == 0
        added = np.count_nonzero(lacking)
        closed[place - 1] = Rows(
            [
                np.concatenate([old, new[lacking]])
                for old, new in zip(below.columns, distinct, strict=True)
            ],
            np.concatenate([below.log_prob, np.full(added, np.nan)]),
            np.concatenate([below.backoff, np.zeros(added)]),
        )
    return closed
