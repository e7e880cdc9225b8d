"""Interpolated modified Kneser-Ney, as lmplz does it, from n-gram counts.

S. Chen and J. Goodman, "An empirical study of smoothing techniques for language modeling", 1998,
section 3; K. Heafield et al., "Scalable modified Kneser-Ney language model estimation", ACL 2013.
What lmplz (kenlm 0.3.0, lm/builder) does beyond the papers is done here, too, and said where.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from speechkit import DataError
from speechkit_lm.counts import Level
from speechkit_lm.progress import Progress, silent
from speechkit_lm.scratch import Scratch
from speechkit_lm.text import START_ID, UNKNOWN_ID

Ints = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]

NGRAMS_AT_ONCE = 1 << 20
SPECIAL_IDS = 3


@dataclass(frozen=True)
class Discounts:
    """What is taken from adjusted counts of 1, 2, and 3 or more, for one order."""

    amounts: tuple[float, float, float]
    fallback: bool  # they could not be estimated

    def of(self, counts: Ints) -> Floats:
        """(n,) counts -> (n,) discounts, 0 of 0."""
        amounts: Floats = np.array([0.0, *self.amounts])[np.minimum(counts, 3)]
        return amounts


@dataclass(frozen=True)
class SmoothedLevel:
    """The k-grams of a model, sorted as in `Level`.

    word         (n,) int32
    probability  (n,) float64, of the word after the words before it; of `<s>` 1, as lmplz has it
    backoff      (n,) float64, what the words seen after this k-gram leave to the others;
                 None for the highest order
    back         (n,) int32, the (k-1)-gram without its first word; of 1-grams, nothing
    parent       (n,) int32, the (k-1)-gram without its last word; of 1-grams, nothing
    """

    word: npt.NDArray[np.int32]
    probability: Floats
    backoff: Floats | None
    back: npt.NDArray[np.int32]
    parent: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.word)


def smooth(
    levels: Sequence[Level],
    *,
    cutoffs: Sequence[int],
    allowed: npt.NDArray[np.bool_] | None = None,
    fallback: tuple[float, float, float] | None,
    scratch: Scratch | None = None,
    progress: Progress = silent,
) -> tuple[list[SmoothedLevel], list[Discounts]]:
    """Counts to probabilities.

    Args:
        levels: the 1- to N-grams.
        cutoffs: of each order; n-grams that occur as often or less are left out, and what they
            would have had goes to the lower order. Never falling from order to order.
        allowed: (V,) which words the model keeps; n-grams with others are left out likewise.
        fallback: discounts of an order whose own cannot be estimated; None is an error then.
        scratch: where large arrays go.
        progress: is told how far it is.

    Returns:
        The levels of the model, without what was left out (words are numbered anew, in the
        same order), and the discounts of each order.

    Raises:
        DataError: discounts cannot be estimated and there is no fallback.
    """
    scratch = scratch or Scratch()
    order = len(levels)
    backs = _back_pointers(levels, scratch, progress)
    adjusted = [_adjusted_counts(levels, backs, place, scratch) for place in range(order)]
    discounts = [
        estimate_discounts(counts_of_counts, place + 1, fallback)
        for place, counts_of_counts in enumerate(_counts_of_counts(levels, adjusted))
    ]
    keep = _kept(levels, cutoffs, allowed)

    smoothed: list[SmoothedLevel] = []
    below = np.ones(0)
    for place, level in enumerate(levels):
        kept = None if keep is None else keep[place]
        if place == 0:
            probability = _unigrams(adjusted[0], discounts[0], kept)
        else:
            probability, backoff = _interpolate(
                levels[place - 1], level, adjusted[place], discounts[place], kept,
                backs[place], below, scratch,
            )  # fmt: skip
            smoothed[-1] = _with_backoff(smoothed[-1], backoff)
        smoothed.append(SmoothedLevel(level.word, probability, None, backs[place], level.parent))
        below = probability
        progress("estimating probabilities", (place + 1) / order)
    return (smoothed if keep is None else _without(smoothed, keep)), discounts


def _with_backoff(level: SmoothedLevel, backoff: Floats) -> SmoothedLevel:
    return SmoothedLevel(level.word, level.probability, backoff, level.back, level.parent)


def _pieces(size: int, at_once: int = NGRAMS_AT_ONCE) -> Iterator[slice]:
    for start in range(0, size, at_once):
        yield slice(start, min(start + at_once, size))


def _back_pointers(
    levels: Sequence[Level], scratch: Scratch, progress: Progress
) -> list[npt.NDArray[np.int32]]:
    """Of each k-gram the (k-1)-gram without its first word.

    The words of a k-gram without the first are the parent's words without the first, then its
    last word: so it is a child of the parent's back pointer, and is looked up there.
    """
    size = len(levels[0])
    backs = [np.zeros(size, np.int32)]
    for place, level in enumerate(levels[1:], 1):
        if place == 1:
            backs.append(level.word)
            continue
        below = levels[place - 1]
        known = scratch.empty(len(below), np.int64)
        np.multiply(below.parent, size, out=known, dtype=np.int64)
        known += below.word
        back = scratch.empty(len(level), np.int32)
        for piece in _pieces(len(level)):
            wanted = backs[-1][level.parent[piece]].astype(np.int64) * size
            wanted += level.word[piece]
            back[piece] = np.searchsorted(known, wanted)
        backs.append(back)
        progress("linking n-grams", place / len(levels))
    return backs


def _adjusted_counts(
    levels: Sequence[Level], backs: Sequence[Ints], place: int, scratch: Scratch
) -> npt.NDArray[np.int64]:
    """How many different words stand before each n-gram.

    Of the highest order, and of n-grams that begin with `<s>` (before which nothing stands), how
    often they occur. `<unk>` has none, nor has `<s>` alone.
    """
    level = levels[place]
    if place == len(levels) - 1:
        adjusted = level.count.copy() if place == 0 else level.count
    else:
        adjusted = scratch.empty(len(level), np.int64)
        adjusted[:] = 0
        above = backs[place + 1]
        for piece in _pieces(len(above), at_once=max(NGRAMS_AT_ONCE, len(level))):
            np.add(adjusted, np.bincount(above[piece], minlength=len(level)), out=adjusted)
        begins = _after_start(levels, place)
        adjusted[begins] = level.count[begins]
    if place == 0:
        adjusted[[UNKNOWN_ID, START_ID]] = 0
    return adjusted


def _after_start(levels: Sequence[Level], place: int) -> slice:
    """Where the n-grams that begin with `<s>` are: side by side, since n-grams are sorted."""
    start, stop = START_ID, START_ID + 1
    for level in levels[1 : place + 1]:
        start, stop = np.searchsorted(level.parent, [start, stop]).tolist()
    return slice(start, stop)


def _counts_of_counts(levels: Sequence[Level], adjusted: Sequence[Ints]) -> list[list[int]]:
    """How many n-grams of each order have the adjusted counts 1, 2, 3, 4.

    Of the n-grams that end the text's list when sorted from their last word to their first, lmplz
    takes the plain count instead of the adjusted one. That matters for very small texts only,
    and is done to have the same discounts there.
    """
    found = []
    last = _last_by_suffix(levels)
    for place, counts in enumerate(adjusted):
        tally = np.zeros(5, np.int64)
        for piece in _pieces(len(counts)):
            tally += np.bincount(np.minimum(counts[piece], 5), minlength=6)[:5]
        if place in last and len(levels) > 1:
            node = last[place]
            for count, change in ((counts[node], -1), (levels[place].count[node], 1)):
                if count < 5:
                    tally[count] += change
        found.append(tally[1:].tolist())
    return found


def _last_by_suffix(levels: Sequence[Level]) -> dict[int, int]:
    """By place, the n-gram lmplz counts last: the one with the greatest words, from its end."""
    last = {0: len(levels[0]) - 1}
    for place in range(1, len(levels) - 1):
        candidates = np.flatnonzero(levels[place].word == last[0])
        ending = _paths(levels, place - 1, np.array([last[place - 1]]))
        paths = _paths(levels, place, candidates)
        matches = (paths[1:] == ending).all(axis=0)
        if not matches.any():  # the one found before begins with <s>
            break
        last[place] = int(candidates[matches][np.argmax(paths[0, matches])])
    return last


def _paths(levels: Sequence[Level], place: int, nodes: Ints) -> Ints:
    """(place + 1, nodes) words of n-grams."""
    words = []
    for level in levels[place:0:-1]:
        words.append(level.word[nodes])
        nodes = level.parent[nodes]
    words.append(nodes)
    return np.stack(words[::-1])


def estimate_discounts(
    counts_of_counts: Sequence[int], order: int, fallback: tuple[float, float, float] | None
) -> Discounts:
    """Chen and Goodman's equation 26: what to take from counts of 1, 2, and 3 or more.

    Args:
        counts_of_counts: how many n-grams occur once, twice, three times, four times.
        order: of the n-grams, for messages.
        fallback: what to take where that gives nothing that makes sense.

    >>> estimate_discounts([10, 4, 2, 1], 3, None).amounts
    (0.5555555555555556, 1.1666666666666665, 1.8888888888888888)
    """
    one, two, three, four = counts_of_counts
    if one and two and three:
        share = one / (one + 2 * two)
        amounts = (
            1 - 2 * share * two / one,
            2 - 3 * share * three / two,
            3 - 4 * share * four / three,
        )
        if all(0 <= amount <= count for count, amount in enumerate(amounts, 1)):
            return Discounts(amounts, fallback=False)
    if fallback is None:
        raise DataError(
            f"the text is too small or too regular for {order}-grams: {one}, {two}, {three}, {four}"
            " of them have adjusted counts of 1, 2, 3, 4, which gives no discounts",
            hint="give more text without repeated lines, a lower order, or fallback discounts",
        )
    return Discounts(fallback, fallback=True)


def _kept(
    levels: Sequence[Level], cutoffs: Sequence[int], allowed: npt.NDArray[np.bool_] | None
) -> list[npt.NDArray[np.bool_]] | None:
    """Which n-grams stay in the model; None: all of them."""
    if allowed is None and not any(cutoffs):
        return None
    if allowed is None:
        allowed = np.ones(len(levels[0]), bool)
    known = allowed | (np.arange(len(allowed)) < SPECIAL_IDS)  # of the words so far
    keep = [known & ((levels[0].count > cutoffs[0]) | (np.arange(len(known)) < SPECIAL_IDS))]
    words = known
    for level, cutoff in zip(levels[1:], cutoffs[1:], strict=True):
        known = known[level.parent] & words[level.word]
        keep.append(known & (level.count > cutoff))
    return keep


def _unigrams(adjusted: Ints, discounts: Discounts, kept: Ints | None) -> Floats:
    """Words that were seen, interpolated with all words of the model alike, `<unk>` among them."""
    total = adjusted.sum()
    taken = discounts.of(adjusted)
    share = (taken if kept is None else np.where(kept, taken, adjusted)).sum() / total
    words = (len(adjusted) if kept is None else np.count_nonzero(kept)) - 1  # without <s>
    probability: Floats = (adjusted - taken) / total + share / words
    probability[START_ID] = 1.0
    return probability


def _interpolate(
    contexts: Level,
    level: Level,
    adjusted: Ints,
    discounts: Discounts,
    kept: Ints | None,
    back: Ints,
    below: Floats,
    scratch: Scratch,
) -> tuple[Floats, Floats]:
    """Probabilities of the n-grams of a level, and the back-off weights of their contexts.

    The adjusted counts of n-grams that are left out go to the lower order whole, as in lmplz.
    """
    probability = scratch.empty(len(level), np.float64)
    backoff = scratch.empty(len(contexts), np.float64)
    backoff[:] = 1.0  # of what is no context
    first = np.searchsorted(level.parent, np.arange(0, len(contexts) + 1))
    low = 0
    while low < len(contexts):
        high = int(np.searchsorted(first, first[low] + NGRAMS_AT_ONCE, side="right")) - 1
        high = min(max(high, low + 1), len(contexts))
        here = slice(int(first[low]), int(first[high]))
        context = level.parent[here] - low
        counts = adjusted[here]
        taken = discounts.of(counts)
        total = np.bincount(context, counts, minlength=high - low)
        given = taken if kept is None else np.where(kept[here], taken, counts)
        share = np.bincount(context, given, minlength=high - low)
        is_context = total > 0
        np.divide(share, total, out=backoff[low:high], where=is_context)
        weight = backoff[low:high][context]
        probability[here] = (counts - taken) / total[context] + weight * below[back[here]]
        low = high
    return probability, backoff


def _without(levels: Sequence[SmoothedLevel], keep: Sequence[Ints]) -> list[SmoothedLevel]:
    """Take out what is not kept. What is kept has its context and its suffix kept."""
    words = np.cumsum(keep[0], dtype=np.int32) - 1
    below = np.zeros(1, np.int32)
    result = []
    for place, (level, kept) in enumerate(zip(levels, keep, strict=True)):
        number = np.cumsum(kept, dtype=np.int32) - 1
        result.append(
            SmoothedLevel(
                words[level.word[kept]],
                level.probability[kept],
                None if level.backoff is None else level.backoff[kept],
                below[level.back[kept]] if place else number[:0],
                below[level.parent[kept]] if place else number[:0],
            )
        )
        below = number
    return result
