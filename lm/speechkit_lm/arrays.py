"""The model as arrays: a trie of n-grams that can be searched where it lies on disk.

All n-grams of all orders are numbered one after the other: first the V words (the n-gram of word
`w` alone is number `w`), then the 2-grams, then the 3-grams, ... up to `size`; of one order they
are sorted by their words. The first `contexts` of them, all but those of the highest order, can
stand before a word.

    word         (size,) int32       last word of the n-gram
    log_prob     (size,) float32     natural logarithm of P(last word | words before it)
    next_state   (size,) int32       the state after the n-gram was said, see below
    backoff      (contexts,) float32 natural logarithm of the back-off weight; 0 where there is none
    back         (contexts,) int32   the n-gram without its first word; -1 for a single word
    first_child  (contexts + 1,) int32
                                     n-grams [first_child[i], first_child[i + 1]) are those that
                                     begin with n-gram i and have one word more; their `word`s rise

Every n-gram's beginning (without its last word) and end (without its first) are n-grams of the
model. Word 0 is `<unk>`, 1 is `<s>`, 2 is `</s>`.

A state is the number of the longest n-gram whose words before the next one still matter, or -1
when none do. It is the shortest of those that give the same probabilities to everything that may
follow, so that hypotheses which only differ in what the model has forgotten are in one state.
`next_state` is never of the highest order. One word is read so:

    def step(state, word):
        backed_off = 0.0
        while state >= 0:
            child = binary search of `word` in word[first_child[state]:first_child[state + 1]]
            if found: return backed_off + log_prob[child], next_state[child]
            backed_off += backoff[state]
            state = back[state]
        return backed_off + log_prob[word], next_state[word]

A sentence begins in state `next_state[1]` and ends with word 2.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from speechkit import DataError
from speechkit_lm.scratch import Scratch
from speechkit_lm.trie import NEVER, TrieLevel, back_pointers, pieces

Ints = npt.NDArray[Any]


class NgramArrays(NamedTuple):
    """See the module. A tuple, so that compiled code can take it as it is."""

    word: npt.NDArray[np.int32]
    log_prob: npt.NDArray[np.float32]
    next_state: npt.NDArray[np.int32]
    backoff: npt.NDArray[np.float32]
    back: npt.NDArray[np.int32]
    first_child: npt.NDArray[np.int32]


DTYPES = {
    "word": np.dtype("<i4"),
    "log_prob": np.dtype("<f4"),
    "next_state": np.dtype("<i4"),
    "backoff": np.dtype("<f4"),
    "back": np.dtype("<i4"),
    "first_child": np.dtype("<i4"),
}


def assemble(levels: Sequence[TrieLevel], scratch: Scratch | None = None) -> NgramArrays:
    """Levels of a model to its arrays.

    Raises:
        DataError: more n-grams than can be numbered.
    """
    scratch = scratch or Scratch()
    counts = [len(level) for level in levels]
    if sum(counts) > np.iinfo(np.int32).max:
        raise DataError(
            f"{sum(counts):,} n-grams, a model holds at most {np.iinfo(np.int32).max:,}",
            hint="leave out rare ones with a cutoff, or take a lower order",
        )
    offsets = np.concatenate([[0], np.cumsum(counts)])
    size, contexts = int(offsets[-1]), int(offsets[-2])
    arrays = NgramArrays(
        word=scratch.empty(size, np.int32),
        log_prob=scratch.empty(size, np.float32),
        next_state=scratch.empty(size, np.int32),
        backoff=scratch.empty(contexts, np.float32),
        back=scratch.empty(contexts, np.int32),
        first_child=scratch.empty(contexts + 1, np.int32),
    )
    arrays.first_child[contexts] = size
    for place, level in enumerate(levels):
        above = levels[place + 1] if place + 1 < len(levels) else None
        for piece in pieces(len(level)):
            here = slice(int(offsets[place]) + piece.start, int(offsets[place]) + piece.stop)
            arrays.word[here] = level.word[piece]
            # Rounding may give a hair more than 1.
            arrays.log_prob[here] = np.clip(level.log_prob[piece], NEVER, 0.0)
            if above is None:
                continue
            assert level.backoff is not None
            arrays.backoff[here] = np.maximum(level.backoff[piece], NEVER)
            arrays.back[here] = level.back[piece] + offsets[place - 1] if place else -1
            arrays.first_child[here] = offsets[place + 1] + np.searchsorted(
                above.parent, np.arange(piece.start, piece.stop)
            )
    _fill_next_states(arrays, levels, offsets)
    return arrays


def _fill_next_states(arrays: NgramArrays, levels: Sequence[TrieLevel], offsets: Ints) -> None:
    """The n-gram itself if it matters to what follows, else what its back pointer leads to."""
    for place, level in enumerate(levels):
        for piece in pieces(len(level)):
            start, stop = offsets[place] + piece.start, offsets[place] + piece.stop
            if place == 0:
                shorter = np.full(stop - start, -1, np.int32)
            else:
                shorter = arrays.next_state[offsets[place - 1] + level.back[piece]]
            if place + 1 < len(levels):
                first = arrays.first_child[start : stop + 1]
                forgotten = (first[1:] == first[:-1]) & (arrays.backoff[start:stop] == 0)
                itself = np.arange(start, stop, dtype=np.int32)
                shorter = np.where(forgotten, shorter, itself)
            arrays.next_state[start:stop] = shorter


def take_apart(counts: Sequence[int], arrays: NgramArrays) -> list[TrieLevel]:
    """Arrays of a model to its levels."""
    offsets = np.concatenate([[0], np.cumsum(counts)])
    links = []
    for place, count in enumerate(counts):
        here = slice(int(offsets[place]), int(offsets[place + 1]))
        if place == 0:
            links.append((arrays.word[here], np.zeros(count, np.int32)))
            continue
        first = arrays.first_child[offsets[place - 1] : offsets[place] + 1]
        ahead = np.arange(counts[place - 1], dtype=np.int32)
        links.append((arrays.word[here], np.repeat(ahead, np.diff(first))))
    return [
        TrieLevel(
            *links[place],
            back,
            arrays.log_prob[offsets[place] : offsets[place + 1]].astype(np.float64),
            arrays.backoff[offsets[place] : offsets[place + 1]].astype(np.float64)
            if place + 1 < len(counts)
            else None,
        )
        for place, back in enumerate(back_pointers(links))
    ]
