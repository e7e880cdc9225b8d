"""How far chance alone may have moved an error rate, or the difference of two.

What is drawn again is speakers: what one of them says is recognised well or badly together, so
utterances alone would promise more than they know. Where the speakers are not known, or fewer than
`MIN_UNITS`, utterances are drawn, and the interval holds for these speakers only.

The interval is a studentized bootstrap (Efron and Tibshirani, An Introduction to the Bootstrap,
1993, 12.5), symmetric (Hall, Journal of the Royal Statistical Society B 50, 1988), of the rate's
logarithm: each resample tells how many of its own standard errors it is away from the rate. The
plain percentile bootstrap that Bisani and Ney (ICASSP 2004) use for error rates covers the truth in
86 of 100 cases, not 95, when there are eight speakers. `benchmarks/uncertainty.py` measures it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

MIN_UNITS = 8  # speakers, or utterances: the fewest at which 93 to 97 of 100 intervals hold
RESAMPLES = 10_000
_CONFIDENCE = 0.95
_CELLS = 2_000_000  # of the matrix of draws held at once
_SEED = 20041

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
    if len(table) < MIN_UNITS or not rate[0] or not error[0]:
        return Interval(None, None, units)
    spread = error[0] / rate[0]  # of the logarithm
    with np.errstate(divide="ignore", invalid="ignore"):
        distances = [
            np.log(drawn / rate[0]) / (own / drawn) for drawn, own in _resamples(table, RESAMPLES)
        ]
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
    if len(table) < MIN_UNITS or not error:
        return Difference(rate, None, None, 1.0, units)
    with np.errstate(divide="ignore", invalid="ignore"):
        distances = [(drawn - rate) / own for drawn, own in _resamples(table, RESAMPLES)]
    sizes = _sizes(distances)
    # One is added so that p is never 0: the data are one of the draws (Davison and Hinkley 1997).
    p = float((np.sum(sizes >= abs(rate) / error) + 1) / (len(sizes) + 1))
    reach = _reach(sizes) * error
    if not np.isfinite(reach):
        return Difference(rate, None, None, p, units)
    return Difference(rate, rate - reach, rate + reach, p, units)


def speakers_known(speakers: Sequence[str]) -> int:
    """How many speakers there are; 0 where one of them is not known."""
    return len(set(speakers)) if all(speakers) else 0


def _by_unit(errors: ArrayLike, words: ArrayLike, speakers: Sequence[str]) -> tuple[Units, Numbers]:
    """What is drawn again, and (units, 5) sums: e, n, e², e·n, n² of its errors e and words n."""
    pairs = np.stack([np.asarray(errors, np.float64), np.asarray(words, np.float64)])
    units: Units = "utterances"
    if speakers_known(speakers) >= MIN_UNITS:
        units = "speakers"
        _, places = np.unique(np.asarray(speakers), return_inverse=True)
        pairs = np.stack([np.bincount(places, each) for each in pairs])
    e, n = pairs
    return units, np.stack([e, n, e * e, e * n, n * n], axis=1)


def _rate(sums: Numbers, count: int) -> tuple[Numbers, Numbers]:
    """(draws, 5) sums over `count` units -> (draws,) rates and their standard errors.

    The standard error is that of a ratio of sums over independent units, by linearisation
    (Cochran, Sampling Techniques, 1977, 6.4).
    """
    e, n, ee, en, nn = sums.T
    words = np.maximum(n, 1)  # a draw of empty references alone has no rate to speak of
    rate = e / words
    squares = ee - 2 * rate * en + rate**2 * nn
    tiny = 1e-12 * (ee + rate**2 * nn)  # what is left of equal units once it is rounded
    squares = np.where(squares > tiny, squares, 0)
    return rate, np.sqrt(squares * count / max(1, count - 1)) / words


def _resamples(table: Numbers, number: int) -> list[tuple[Numbers, Numbers]]:
    """Rates and standard errors of `number` draws of as many units as there are, in blocks."""
    count, random = len(table), np.random.default_rng(_SEED)
    block = max(1, min(number, _CELLS // count))
    found = []
    for first in range(0, number, block):
        draws = min(block, number - first)
        drawn = random.integers(0, count, (draws, count), dtype=np.int32)
        drawn += np.arange(draws, dtype=np.int32)[:, None] * count
        times = np.bincount(drawn.ravel(), minlength=draws * count).reshape(draws, count)
        found.append(_rate(times @ table, count))
    return found


def _sizes(distances: Sequence[Numbers]) -> Numbers:
    """How far each draw is away, in its own standard errors; without any error of its own: ∞."""
    return np.nan_to_num(np.abs(np.concatenate(distances)), nan=np.inf, posinf=np.inf)


def _reach(sizes: Numbers) -> float:
    """How many standard errors hold 95 of 100 draws."""
    return float(np.quantile(sizes, _CONFIDENCE, method="higher"))
