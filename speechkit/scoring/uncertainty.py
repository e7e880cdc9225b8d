"""How far chance alone may have moved an error rate, or the difference of two.

What is drawn again is speakers: what one of them says is recognised well or badly together, so
utterances alone would promise more than they know. Where the speakers are not known, or fewer than
`MIN_SPEAKERS`, utterances are drawn, and the interval holds for these speakers only.

The interval of a rate is a studentized bootstrap (Efron and Tibshirani, An Introduction to the
Bootstrap, 1993, 12.5), symmetric (Hall, Journal of the Royal Statistical Society B 50, 1988), of
the rate's logarithm: each resample tells how many of its own standard errors it is off. The plain
percentile bootstrap, which Bisani and Ney (ICASSP 2004) use for error rates, covers the truth in
86 to 88 of 100 cases, not 95, when there are ten speakers.

The difference of two systems is tested by the wild cluster bootstrap (Cameron, Gelbach and Miller,
Review of Economics and Statistics 90, 2008), paired: were the systems equally good, each speaker's
share in the difference could as well have the other sign; so signs are drawn. Its interval holds
the differences that the test would not refuse. `benchmarks/uncertainty.py` measures both.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

MIN_SPEAKERS = 10  # from here on 93 to 97 of 100 intervals hold
MIN_UTTERANCES = 20  # as well
RESAMPLES = 10_000
_CONFIDENCE = 0.95
_CELLS = 2_000_000  # of the matrix of draws held at once
_SEED = 20041
_FARTHEST = 100  # standard errors from a difference to the end of its interval
_ROUNDING = 1e-10  # of sums in floating point, relative
_HALVINGS = 12  # of a standard error, until the end of an interval is found

Units: TypeAlias = Literal["speakers", "utterances"]
Numbers: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """Where a rate is, with 95 % confidence.

    low, high  None where nothing can be said: too few units, or hardly an error among them
    units      what was drawn again
    """

    low: float | None
    high: float | None
    units: Units


@dataclass(frozen=True)
class Difference:
    """The second system's rate less the first's: below 0 the second makes fewer errors.

    low, high  its interval, 95 %; None where nothing can be said
    p          how often chance alone gives a difference at least as large
    units      what was drawn again
    """

    difference: float
    low: float | None
    high: float | None
    p: float
    units: Units


def rate_interval(errors: ArrayLike, words: ArrayLike, speakers: Sequence[str]) -> Interval:
    """The interval of all errors over all words.

    Args:
        errors: (utterances,) how many in each.
        words: (utterances,) of each reference.
        speakers: of each utterance; "" where it is not known.
    """
    units, table = _by_unit(errors, words, speakers)
    rate, error = _rate(table.sum(0)[None], len(table))
    if not _is_enough(units, table) or not rate[0] or not error[0]:
        return Interval(None, None, units)
    spread = error[0] / rate[0]  # of the logarithm
    with np.errstate(divide="ignore", invalid="ignore"):
        distances = [np.log(drawn / rate[0]) / (own / drawn) for drawn, own in _resamples(table)]
    reach = float(np.exp(_reach(_sizes(distances)) * spread))
    if not np.isfinite(reach):
        return Interval(None, None, units)
    return Interval(float(rate[0]) / reach, float(rate[0]) * reach, units)


def paired_difference(
    first: ArrayLike, second: ArrayLike, words: ArrayLike, speakers: Sequence[str]
) -> Difference:
    """The difference of two systems' rates on the same utterances.

    Args:
        first: (utterances,) the first system's errors in each.
        second: (utterances,) the second's.
        words: (utterances,) of each reference.
        speakers: of each utterance; "" where it is not known.
    """
    units, table = _by_unit(np.subtract(second, first), words, speakers)
    rates, errors = _rate(table.sum(0)[None], len(table))
    rate, error = float(rates[0]), float(errors[0])
    if not _is_enough(units, table) or not error:
        return Difference(rate, None, None, 1.0, units)
    chance = _Wild(table[:, 0], table[:, 1], error)
    p, edges = chance.of(0.0), [chance.edge(sign * error) for sign in (-1, 1)]
    if not np.isfinite(edges).all():
        return Difference(rate, None, None, p, units)
    return Difference(rate, edges[0], edges[1], p, units)


def speakers_known(speakers: Sequence[str]) -> int:
    """How many speakers there are; 0 where one of them is not known."""
    return len(set(speakers)) if all(speakers) else 0


def _by_unit(errors: ArrayLike, words: ArrayLike, speakers: Sequence[str]) -> tuple[Units, Numbers]:
    """What is drawn again, and (units, 5) sums: e, n, e², e·n, n² of its errors e and words n."""
    pairs = np.stack([np.asarray(errors, np.float64), np.asarray(words, np.float64)])
    units: Units = "utterances"
    if speakers_known(speakers) >= MIN_SPEAKERS:
        units = "speakers"
        _, places = np.unique(np.asarray(speakers), return_inverse=True)
        pairs = np.stack([np.bincount(places, each) for each in pairs])
    e, n = pairs
    return units, np.stack([e, n, e * e, e * n, n * n], axis=1)


def _is_enough(units: Units, table: Numbers) -> bool:
    """Whether there are units enough to speak of, and words in them."""
    least = MIN_SPEAKERS if units == "speakers" else MIN_UTTERANCES
    return len(table) >= least and bool(table[:, 1].any())


def _rate(sums: Numbers, count: int) -> tuple[Numbers, Numbers]:
    """(draws, 5) sums over `count` units -> (draws,) rates and their standard errors.

    The standard error is that of a ratio of sums over independent units, by linearisation
    (Cochran, Sampling Techniques, 1977, 6.4).
    """
    e, n, ee, en, nn = sums.T
    words = np.maximum(n, 1)  # a draw of empty references alone has no rate to speak of
    rate = e / words
    squares = ee - 2 * rate * en + rate**2 * nn
    tiny = _ROUNDING * (ee + rate**2 * nn)  # what is left of equal units once it is rounded
    squares = np.where(squares > tiny, squares, 0)
    return rate, np.sqrt(squares * count / max(1, count - 1)) / words


def _resamples(table: Numbers) -> Iterator[tuple[Numbers, Numbers]]:
    """Rates and standard errors of draws of as many units as there are, in blocks."""
    count, random = len(table), np.random.default_rng(_SEED)
    for draws in _blocks(count):
        drawn = random.integers(0, count, (draws, count), dtype=np.int32)
        drawn += np.arange(draws, dtype=np.int32)[:, None] * count
        times = np.bincount(drawn.ravel(), minlength=draws * count).reshape(draws, count)
        yield _rate(times @ table, count)


class _Wild:
    """The wild cluster bootstrap of (units,) differences e over words n."""

    def __init__(self, e: Numbers, n: Numbers, error: float) -> None:
        random = np.random.default_rng(_SEED)
        terms = np.stack([e, n, e * n, n * n], axis=1)
        signs = (random.integers(0, 2, (draws, len(e)), np.int8) for draws in _blocks(len(e)))
        self._drawn = np.concatenate([(2.0 * each - 1.0) @ terms for each in signs])
        self._e, self._n, self._error = e, n, error
        self._rate = float(e.sum() / n.sum())

    def of(self, difference: float) -> float:
        """How often chance gives what was seen, or more, if this were the true difference."""
        rest = self._e - difference * self._n
        e, n, en, nn = self._drawn.T
        words, squares, lengths = self._n.sum(), rest @ rest, self._n @ self._n
        fixed = (np.full(len(e), each) for each in (words, squares, lengths))
        all_words, all_squares, all_lengths = fixed
        columns = [e - difference * n, all_words, all_squares, en - difference * nn, all_lengths]
        off, own = _rate(np.stack(columns, axis=1), len(self._n))
        with np.errstate(divide="ignore", invalid="ignore"):
            sizes = _sizes([off / own])
        # One is added, so that it is never 0: the data themselves are one of the draws (Davison
        # and Hinkley, Bootstrap Methods and their Application, 1997, 4.2).
        seen = (1 - _ROUNDING) * abs(self._rate - difference) / self._error
        return float((np.sum(sizes >= seen) + 1) / (len(sizes) + 1))

    def edge(self, step: float) -> float:
        """The last difference in the direction of `step` that chance explains; ∞ if all are."""
        inside, outside = 0.0, step
        while self.of(self._rate + outside) > 1 - _CONFIDENCE:
            inside, outside = outside, 2 * outside
            if abs(outside) > _FARTHEST * abs(step):
                return np.inf
        for _ in range(_HALVINGS):
            middle = (inside + outside) / 2
            if self.of(self._rate + middle) > 1 - _CONFIDENCE:
                inside = middle
            else:
                outside = middle
        return self._rate + outside


def _blocks(count: int) -> Iterator[int]:
    """How many resamples of `count` units to draw at once, one block after the other."""
    block = max(1, _CELLS // count)
    for first in range(0, RESAMPLES, block):
        yield min(block, RESAMPLES - first)


def _sizes(distances: Sequence[Numbers]) -> Numbers:
    """How far each draw is away, in its own standard errors; without any error of its own: ∞."""
    return np.nan_to_num(np.abs(np.concatenate(distances)), nan=np.inf, posinf=np.inf)


def _reach(sizes: Numbers) -> float:
    """How many standard errors hold 95 of 100 draws."""
    return float(np.quantile(sizes, _CONFIDENCE, method="higher"))
