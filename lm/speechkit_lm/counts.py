"""Word ids to n-gram counts, of all orders from one sort.

At every place of the text begins a window of `order` words, filled with 0 past the sentence's end.
Sorted, the windows are the n-grams of all orders in the order of a trie: those with the first k
words in common stand together, and are one k-gram.

    sorted windows      1-gram  2-gram   3-gram
    a b c                 a      a b      a b c
    a b </s>                              a b </s>
    a </s> 0                     a </s>
    b c a                 b      b c      b c a

The windows are taken by ranges of their first word, as many as memory allows, so nothing has to
be merged but the pieces of one range.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from speechkit_lm.progress import Progress, silent
from speechkit_lm.scratch import Scratch
from speechkit_lm.text import END_ID

Ints = npt.NDArray[Any]


@dataclass(frozen=True)
class Level:
    """The n distinct k-grams of a text, sorted by their words; for k = 1 there is one per word id.

    word    (n,) int32, the last word
    parent  (n,) int32, which (k-1)-gram the words before it are; of 1-grams, nothing
    count   (n,) int64, how often it occurs
    """

    word: npt.NDArray[np.int32]
    parent: npt.NDArray[np.int32]
    count: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.word)


def count_ngrams(
    ids: npt.NDArray[np.int32],
    *,
    order: int,
    vocabulary_size: int,
    scratch: Scratch | None = None,
    windows_at_once: int = 1 << 62,
    progress: Progress = silent,
) -> list[Level]:
    """Count the 1- to `order`-grams of sentences `<s> word ... </s>`.

    No n-gram goes over a sentence's end.
    """
    scratch = scratch or Scratch()
    columns = [_LevelColumns(scratch) for _ in range(order)]
    done = 0
    for low, high in _ranges(ids, vocabulary_size, windows_at_once):
        windows, counts = _distinct_windows(
            ids, (low, high), order, vocabulary_size, windows_at_once
        )
        ahead = [0, 0] + [each.word.size for each in columns[1:]]  # n-grams of the order below
        for column, level, parents in zip(columns, _levels(windows, counts), ahead, strict=False):
            column.append(level, parents)
        done += int(counts.sum())
        progress("counting n-grams", done / len(ids))
    levels = [each.level() for each in columns]
    # <unk> is a word too, though the text has none.
    unigrams = levels[0]
    every = np.arange(vocabulary_size, dtype=np.int32)
    count = np.zeros(vocabulary_size, np.int64)
    count[unigrams.word] = unigrams.count
    return [Level(every, np.zeros_like(every), count), *levels[1:]]


class _LevelColumns:
    """A level that grows."""

    def __init__(self, scratch: Scratch) -> None:
        self.word = scratch.column(np.int32)
        self.parent = scratch.column(np.int32)
        self.count = scratch.column(np.int64)

    def append(self, level: Level, parents: int) -> None:
        """Add n-grams, whose parents are counted from `parents`."""
        self.word.append(level.word)
        self.parent.append(level.parent + parents)
        self.count.append(level.count)

    def level(self) -> Level:
        return Level(self.word.array(), self.parent.array(), self.count.array())


def _ranges(ids: Ints, vocabulary_size: int, windows_at_once: int) -> Iterator[tuple[int, int]]:
    """Ranges of first words with up to `windows_at_once` windows each, or one word with more."""
    if len(ids) <= windows_at_once:
        yield 0, vocabulary_size
        return
    total = np.zeros(vocabulary_size + 1, np.int64)
    for at in range(0, len(ids), windows_at_once):
        total[1:] += np.bincount(ids[at : at + windows_at_once], minlength=vocabulary_size)
    np.cumsum(total, out=total)
    low = 0
    while total[low] < len(ids):
        high = int(np.searchsorted(total, total[low] + windows_at_once, side="right")) - 1
        high = max(high, low + 1)
        if total[high] > total[low]:
            yield low, high
        low = high


def _distinct_windows(
    ids: Ints, words: tuple[int, int], order: int, vocabulary_size: int, windows_at_once: int
) -> tuple[list[Ints], Ints]:
    """Distinct windows whose first word is in a range: sorted columns, and how often each."""
    low, high = words
    bits = max(1, (vocabulary_size - 1).bit_length())
    everything = len(ids) <= windows_at_once
    gathered: list[list[Ints]] = []  # of each piece its columns
    waiting = 0
    result: tuple[list[Ints], Ints] | None = None

    def reduce() -> None:
        nonlocal result, gathered, waiting
        if gathered:
            rows = [np.concatenate(each) for each in zip(*gathered, strict=True)]
            new = distinct_rows(rows, bits)
            if result is not None:
                both = [np.concatenate(each) for each in zip(result[0], new[0], strict=True)]
                new = distinct_rows(both, bits, np.concatenate([result[1], new[1]]))
            result = new
        gathered, waiting = [], 0

    for start in range(0, len(ids), windows_at_once):
        if everything:
            piece = _windows(ids, None, order)
        else:
            first = ids[start : start + windows_at_once]
            places = start + np.flatnonzero((first >= low) & (first < high))
            piece = _windows(ids, places, order)
        if len(piece[0]):
            gathered.append(piece)
        waiting += len(piece[0])
        if waiting > windows_at_once:
            reduce()
    reduce()
    assert result is not None
    return result


def _windows(ids: Ints, places: Ints | None, order: int) -> list[Ints]:
    """The windows that begin at `places` (None: everywhere): a column of words per shift."""
    columns = [np.asarray(ids) if places is None else np.asarray(ids[places])]
    within = columns[0] != END_ID
    for shift in range(1, order):
        if places is None:
            column = np.zeros(len(ids), np.int32)
            column[:-shift] = ids[shift:]
        else:  # past the last sentence's end nothing is within
            column = np.asarray(ids[np.minimum(places + shift, len(ids) - 1)])
        column *= within
        within &= column != END_ID
        columns.append(column)
    return columns


def distinct_rows(
    columns: Sequence[Ints], bits: int, counts: Ints | None = None
) -> tuple[list[Ints], Ints]:
    """Sort rows of numbers below 2**bits and merge equal ones: columns, and the sum of counts.

    Rows are packed into 64 bits; where they do not fit, their first words are replaced by the
    rank of those words, which keeps the order.

    >>> columns, counts = distinct_rows([np.array([2, 1, 2]), np.array([5, 3, 5])], 32)
    >>> [each.tolist() for each in columns], counts.tolist()
    ([[1, 2], [3, 5]], [1, 2])
    """
    key, used, width = columns[0].astype(np.uint64), bits, 1
    packed: list[tuple[Ints, int]] = []  # distinct keys, and how many columns they hold
    for column in columns[1:]:
        if used + bits > 64:
            distinct, rank = np.unique(key, return_inverse=True)
            packed.append((distinct, width))
            key, used, width = rank.astype(np.uint64), len(distinct).bit_length(), 0
        key <<= np.uint64(bits)
        key |= column.astype(np.uint64)
        used, width = used + bits, width + 1
    if counts is None:
        key.sort()
    else:
        by_key = np.argsort(key, kind="stable")
        key, counts = key[by_key], counts[by_key]
    first = np.flatnonzero(np.append(len(key) > 0, key[1:] != key[:-1]))
    totals = np.diff(first, append=len(key)) if counts is None else np.add.reduceat(counts, first)
    packed.append((key[first], width))
    del key
    unpacked: list[Ints] = []
    low_bits = np.uint64((1 << bits) - 1)
    rest = np.arange(len(first))
    for distinct, width in reversed(packed):
        values = distinct[rest]
        for _ in range(width):
            unpacked.append((values & low_bits).astype(np.int32))
            values >>= np.uint64(bits)
        rest = values.astype(np.int64)
    return unpacked[::-1], totals


def _levels(windows: Sequence[Ints], counts: Ints) -> Iterator[Level]:
    """K-grams of sorted windows for k = 1, 2, ...; parents are counted within these windows."""
    rows = len(counts)
    until = np.concatenate([[0], np.cumsum(counts)])
    changed = np.zeros(rows, bool)
    changed[0] = True
    node = np.zeros(rows, np.int32)  # of each window, the k-gram its first k words are
    for place, column in enumerate(windows):
        changed[1:] |= column[1:] != column[:-1]
        start = np.flatnonzero(changed)
        count = np.diff(until[start], append=until[-1])
        real = column[start] != 0  # not past the sentence's end
        start, count = start[real], count[real]
        word = column[start]
        yield Level(word, node[start], count)
        if place == 0:
            node = column  # a 1-gram's place is its word's id
        else:
            begins = np.zeros(rows, np.int32)
            begins[start] = 1
            node = np.cumsum(begins, dtype=np.int32) - 1
