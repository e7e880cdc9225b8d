"""Do the intervals hold what they promise? Test sets are made up whose true error rates are known.

    python benchmarks/uncertainty.py            # about half an hour on one core
    python benchmarks/uncertainty.py --trials 400

In each trial speakers are drawn from a world: how hard each is to recognise (a gamma distribution),
how much each one says (log-normal), utterances of about 12 words, and errors by Poisson's law. A
second system finds other speakers hard than the first does. `coverage` is the share of trials in
which the interval holds the true rate (or true difference), `false` the share in which two systems
that are equally good are told apart at 5 %, `none` that of trials without an interval. The error of
a share is about 0.5 % at 2000 trials. `percentile` is the coverage of the plain bootstrap.

What it says is in docs/explanation/scores.md.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from speechkit.scoring import uncertainty
from speechkit.scoring.uncertainty import (
    MIN_SPEAKERS,
    MIN_UTTERANCES,
    paired_difference,
    rate_interval,
)

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class World:
    """From which speakers are drawn.

    rate     the true word error rate
    spread   standard deviation of speakers' rates, as a share of their mean
    uneven   standard deviation of the logarithm of how many utterances each has
    apart    standard deviation of a speaker's rate under one system, as a share of that speaker's
    """

    name: str
    rate: float
    spread: float
    uneven: float
    utterances: float = 20.0
    apart: float = 0.2

    def draw(self, random: np.random.Generator, speakers: int, better: float) -> "Trial":
        """A test set and two systems on it; the second makes `better` as many errors."""
        hard = self.rate * _gamma(random, self.spread, speakers)
        said = random.lognormal(np.log(self.utterances), self.uneven, speakers)
        of = np.repeat(np.arange(speakers), np.maximum(1, said).astype(int))
        words = np.maximum(1, random.poisson(12, len(of)))
        first, second = (
            random.poisson((hard * factor * _gamma(random, self.apart, speakers))[of] * words)
            for factor in (1.0, better)
        )
        return Trial(first, second, words, [f"s{each}" for each in of])


@dataclass(frozen=True)
class Trial:
    """(utterances,) errors of two systems, words, and speakers."""

    first: Counts
    second: Counts
    words: Counts
    speakers: Sequence[str]


@dataclass(frozen=True)
class Shares:
    """Of trials."""

    coverage: float
    none: float
    percentile: float
    difference: float
    false: float


def _gamma(random: np.random.Generator, spread: float, count: int) -> NDArray[np.float64]:
    return random.gamma(1 / spread**2, spread**2, count)


WORLDS = (
    World("alike", 0.15, 0.5, 0.3),
    World("few errors", 0.05, 0.8, 0.3),
    World("few talk much", 0.30, 0.4, 0.8),
    World("few talk much, few errors", 0.10, 0.6, 0.8),
)
# An utterance each: what is drawn again where speakers are not known.
SINGLE = (
    World("utterances", 0.15, 0.5, 0.0, 1.0),
    World("utterances, few errors", 0.03, 0.8, 0.0, 1.0),
)


def measure(world: World, speakers: int, trials: int, seed: int = 1) -> Shares:
    """Shares over trials; differences are those of a second system with a tenth fewer errors."""
    random = np.random.default_rng([seed, speakers])
    told, held, plain, apart, false = 0, 0, 0, [], 0
    for _ in range(trials):
        trial = world.draw(random, speakers, 0.9)
        interval = rate_interval(trial.first, trial.words, trial.speakers)
        if interval.low is not None and interval.high is not None:
            told += 1
            held += interval.low <= world.rate <= interval.high
        low, high = _percentile(random, trial)
        plain += low <= world.rate <= high
        found = paired_difference(trial.first, trial.second, trial.words, trial.speakers)
        if found.low is not None and found.high is not None:
            apart.append(found.low <= -0.1 * world.rate <= found.high)
        same = world.draw(random, speakers, 1.0)
        p = paired_difference(same.first, same.second, same.words, same.speakers).p
        false += p <= 0.05
    return Shares(
        held / max(1, told),
        1 - told / trials,
        plain / trials,
        float(np.mean(apart)) if apart else float("nan"),
        false / trials,
    )


def _percentile(random: np.random.Generator, trial: Trial) -> tuple[float, float]:
    """The plain interval: the middle 95 of 100 resampled rates."""
    _, places = np.unique(trial.speakers, return_inverse=True)
    errors, words = (np.bincount(places, each) for each in (trial.first, trial.words))
    drawn = random.integers(0, len(words), (1000, len(words)))
    low, high = np.quantile(errors[drawn].sum(1) / words[drawn].sum(1), [0.025, 0.975])
    return float(low), float(high)


def rows(trials: int) -> Iterator[str]:
    """The table, line by line."""
    heading = ("coverage", "none", "percentile", "difference", "false")
    yield f"{'world':28}{'units':>6}" + "".join(f"{each:>12}" for each in heading)
    for worlds, counts in (
        (WORLDS, (MIN_SPEAKERS, 20, 40)),
        (SINGLE, (MIN_UTTERANCES, 50, 200)),
    ):
        for world in worlds:
            for count in counts:
                found = measure(world, count, trials)
                shares = (getattr(found, each) for each in heading)
                yield f"{world.name:28}{count:6}" + "".join(f"{each:12.1%}" for each in shares)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=2000)
    uncertainty.RESAMPLES = 1000  # of 10,000: chance in drawing is small beside that of the trials
    for line in rows(parser.parse_args().trials):
        print(line, flush=True)
