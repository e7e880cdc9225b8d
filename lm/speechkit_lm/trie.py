"""Models as levels of a trie, while they are made or changed."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from speechkit_lm.scratch import Scratch

Ints = npt.NDArray[Any]
Floats = npt.NDArray[Any]

NGRAMS_AT_ONCE = 1 << 20
NEVER = -100 * math.log(10.0)  # the logarithm of nothing, as kenlm has it: infinities breed nans


@dataclass(frozen=True)
class TrieLevel:
    """The n-grams of one order, k, sorted by their words; for k = 1 there is one per word id.

    word      (n,) int32, the last word
    parent    (n,) int32, the (k-1)-gram without the last word; of 1-grams, nothing
    back      (n,) int32, the (k-1)-gram without the first word; of 1-grams, nothing
    log_prob  (n,) natural logarithm of the last word's probability after the others
    backoff   (n,) natural logarithm of the back-off weight; None for the highest order
    """

    word: npt.NDArray[np.int32]
    parent: npt.NDArray[np.int32]
    back: npt.NDArray[np.int32]
    log_prob: Floats
    backoff: Floats | None

    def __len__(self) -> int:
        return len(self.word)


def pieces(size: int, at_once: int | None = None) -> Iterator[slice]:
    """Parts of `size` n-grams."""
    at_once = at_once or NGRAMS_AT_ONCE
    for start in range(0, size, at_once):
        yield slice(start, min(start + at_once, size))


def keys(parent: Ints, word: Ints, vocabulary_size: int, out: Ints | None = None) -> Ints:
    """A number for each n-gram of a level; they rise as the n-grams do."""
    out = np.multiply(parent, vocabulary_size, out=out, dtype=np.int64)
    out += word
    return out


def back_pointers(
    links: Sequence[tuple[Ints, Ints]], scratch: Scratch | None = None
) -> list[npt.NDArray[np.int32]]:
    """Of each k-gram the (k-1)-gram without its first word.

    The words of a k-gram without the first are the parent's words without the first, then its
    last word: so it is a child of the parent's back pointer, and is looked up there.

    Args:
        links: `word` and `parent` of each level.
        scratch: where large arrays go.

    Returns:
        Of each level; -1 where there is no such (k-1)-gram.
    """
    scratch = scratch or Scratch()
    size = len(links[0][0])
    backs = [np.zeros(size, np.int32)]
    for place, (word, parent) in enumerate(links[1:], 1):
        if place == 1:
            backs.append(np.asarray(word))
            continue
        below_word, below_parent = links[place - 1]
        known = keys(below_parent, below_word, size, scratch.empty(len(below_word), np.int64))
        back = scratch.empty(len(word), np.int32)
        for piece in pieces(len(word)):
            through = backs[-1][parent[piece]]
            back[piece] = lookup(known, keys(through, word[piece], size))
        backs.append(back)
    return backs


def lookup(known: Ints, wanted: Ints) -> Ints:
    """Where each of `wanted` is in sorted `known`; -1 where it is not."""
    at = np.searchsorted(known, wanted)
    at[at == len(known)] = 0
    if len(known):
        at[known[at] != wanted] = -1
    else:
        at[:] = -1
    return at


def select(
    levels: Sequence[TrieLevel],
    keep: Sequence[npt.NDArray[np.bool_]],
    scratch: Scratch | None = None,
) -> list[TrieLevel]:
    """Keep some n-grams of each level; the context and the suffix of each must be kept, too.

    Words are numbered anew, in the same order.
    """
    scratch = scratch or Scratch()
    words = np.cumsum(keep[0], dtype=np.int32) - 1
    below = words
    result = []
    for level, kept in zip(levels, keep, strict=True):
        word, parent, back = (scratch.column(np.int32) for _ in range(3))
        log_prob, backoff = (scratch.column(np.float64) for _ in range(2))
        for piece in pieces(len(level)):
            some = kept[piece]
            word.append(words[level.word[piece][some]])
            parent.append(below[level.parent[piece][some]])
            back.append(below[level.back[piece][some]])
            log_prob.append(level.log_prob[piece][some])
            if level.backoff is not None:
                backoff.append(level.backoff[piece][some])
        result.append(
            TrieLevel(
                word.array(),
                parent.array(),
                back.array(),
                log_prob.array(),
                None if level.backoff is None else backoff.array(),
            )
        )
        below = np.cumsum(kept, dtype=np.int32) - 1
    return result
