"""Interpolated modified Kneser-Ney, as lmplz does it, from n-gram counts.

S. Chen and J. Goodman, "An empirical study of smoothing techniques for language modeling", 1998,
section 3; K. Heafield et al., "Scalable modified Kneser-Ney language model estimation", ACL 2013.
What lmplz (kenlm 0.3.0, lm/builder) does beyond the papers is done here, too, and said where.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from speechkit import DataError
from speechkit_lm.counts import Level
from speechkit_lm.progress import Progress, silent
from speechkit_lm.scratch import Scratch
from speechkit_lm.text import SPECIAL_IDS, START_ID, UNKNOWN_ID
from speechkit_lm.trie import NGRAMS_AT_ONCE, TrieLevel, back_pointers, pieces, select

Ints = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Discounts:
    """What is taken from adjusted counts of 1, 2, and 3 or more, for one order."""

    amounts: tuple[float, float, float]
    fallback: bool  # they could not be estimated

    def of(self, counts: Ints) -> Floats:
        """(n,) counts -> (n,) discounts, 0 of 0."""
        amounts: Floats = np.array([0.0, *self.amounts])[np.minimum(counts, 3)]
        return amounts


def smooth(
    levels: Sequence[Level],
    *,
    cutoffs: Sequence[int],
    allowed: npt.NDArray[np.bool_] | None = None,
    fallback: tuple[float, float, float] | None,
    scratch: Scratch | None = None,
    progress: Progress = silent,
) -> tuple[list[TrieLevel], list[Discounts]]:
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
    backs = back_pointers([(each.word, each.parent) for each in levels], scratch)
    progress("linking n-grams", 1.0)
    adjusted = [_adjusted_counts(levels, backs, place, scratch) for place in range(order)]
    discounts = [
        estimate_discounts(tally, place + 1, fallback)
        for place, tally in enumerate(_counts_of_counts(levels, adjusted))
    ]
    keep = _kept(levels, cutoffs, allowed)
    probabilities = [_unigrams(adjusted[0], discounts[0], keep[0] if keep else None)]
    backoffs: list[Floats | None] = []
    for place in range(1, order):
        probability, backoff = _interpolate(
            levels[place],
            contexts=len(levels[place - 1]),
            adjusted=adjusted[place],
            discounts=discounts[place],
            kept=keep[place] if keep else None,
            back=backs[place],
            below=probabilities[-1],
            scratch=scratch,
        )
        probabilities.append(probability)
        backoffs.append(_log(backoff))
        progress("estimating probabilities", (place + 1) / order)
    smoothed = [
        TrieLevel(level.word, level.parent, back, _log(probability), backoff)
        for level, back, probability, backoff in zip(
            levels, backs, probabilities, [*backoffs, None], strict=True
        )
    ]
    return (select(smoothed, keep, scratch) if keep else smoothed), discounts


def _log(numbers: Floats) -> Floats:
    """Natural logarithms in the place of numbers; of nothing, minus infinity."""
    with np.errstate(divide="ignore"):
        return np.log(numbers, out=numbers)


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
        for piece in pieces(len(above), at_once=max(NGRAMS_AT_ONCE, len(level))):
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
        for piece in pieces(len(counts)):
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
    level: Level,
    *,
    contexts: int,
    adjusted: Ints,
    discounts: Discounts,
    kept: Ints | None,
    back: Ints,
    below: Floats,
    scratch: Scratch,
) -> tuple[Floats, Floats]:
    """Probabilities of a level's n-grams, and the back-off weights of their (n,) `contexts`.

    The adjusted counts of n-grams that are left out go to the lower order whole, as in lmplz.
    """
    probability = scratch.empty(len(level), np.float64)
    backoff = scratch.empty(contexts, np.float64)
    backoff[:] = 1.0  # of what is no context
    first = np.searchsorted(level.parent, np.arange(contexts + 1))
    low = 0
    while low < contexts:
        high = int(np.searchsorted(first, first[low] + NGRAMS_AT_ONCE, side="right")) - 1
        high = min(max(high, low + 1), contexts)
        here = slice(int(first[low]), int(first[high]))
        context = level.parent[here] - low
        counts = adjusted[here]
        taken = discounts.of(counts)
        total = np.bincount(context, counts, minlength=high - low)
        given = taken if kept is None else np.where(kept[here], taken, counts)
        share = np.bincount(context, given, minlength=high - low)
        np.divide(share, total, out=backoff[low:high], where=total > 0)
        weight = backoff[low:high][context]
        probability[here] = (counts - taken) / total[context] + weight * below[back[here]]
        low = high
    return probability, backoff
