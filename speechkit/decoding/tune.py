"""The weights of a decoder, searched on the stored emissions of the validation part."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Protocol, runtime_checkable

from speechkit.decoding.emissions import StoredEmissions
from speechkit.interfaces import Decoder, Emissions
from speechkit.reporter import Advance
from speechkit.scoring.edits import word_edits

_COARSE = 4  # values of each of the first two settings tried together
_ROUNDS = 2  # of refinement, each with half the step of the one before
_BATCH = 16


@runtime_checkable
class Tunable(Protocol):
    """A decoder whose weights can be searched for.

    tunable  setting -> the lowest and the highest value to try
    """

    tunable: Mapping[str, tuple[float, float]]

    def retuned(self, **settings: float) -> Decoder:
        """The same decoder with other weights; what was built is shared, so this is cheap."""


@dataclass(frozen=True)
class Point:
    """One setting of the weights, and the word error rate it gave."""

    settings: dict[str, float]
    wer: float


@dataclass(frozen=True)
class Tuning:
    """What a search found.

    points  all that was tried, in order
    edges   settings whose best value is the lowest or highest that was tried: look further there
    """

    best: Point
    points: tuple[Point, ...]
    edges: tuple[str, ...]
    utterances: int


def tune(
    stored: StoredEmissions,
    references: Sequence[str],
    decoder: Tunable,
    *,
    utterances: int,
    advance: Advance,
) -> Tuning:
    """Search the weights that give the fewest word errors; the first found of equals.

    A grid over the first two settings comes first, then steps from the best point along each
    setting, halved in each round.

    Args:
        stored: emissions of the validation part, never of a test.
        references: in the same order, under the text rules.
        decoder: whose weights to search.
        utterances: how many to decode for each point, spread over the whole part.
        advance: is told how far it is.
    """
    chosen = range(0, len(stored), max(1, -(-len(stored) // utterances)))
    batches = list(_batches(stored, chosen))
    texts = [references[index] for index in chosen]
    ranges = dict(decoder.tunable)
    tried: dict[tuple[float, ...], Point] = {}
    first_two = list(ranges)[:2]
    total = _COARSE ** len(first_two) + _ROUNDS * 2 * len(ranges)

    def wer_of(settings: dict[str, float]) -> Point:
        key = tuple(settings.values())
        if key not in tried:
            part = decoder.retuned(**settings)
            found = [each[0].text for batch in batches for each in part(batch)]
            tried[key] = Point(settings, word_edits(zip(texts, found, strict=True)).rate)
            advance(len(tried), total, f"WER {min(each.wer for each in tried.values()):.4f}")
        return tried[key]

    middle = {name: (low + high) / 2 for name, (low, high) in ranges.items()}
    steps = {name: (high - low) / (_COARSE - 1) for name, (low, high) in ranges.items()}
    grid = [
        [ranges[name][0] + number * steps[name] for number in range(_COARSE)] for name in first_two
    ]
    points = [
        wer_of(middle | dict(zip(first_two, values, strict=True))) for values in product(*grid)
    ]
    best = min(points, key=lambda point: point.wer)
    for _ in range(_ROUNDS):
        steps = {name: step / 2 for name, step in steps.items()}
        for name, (low, high) in ranges.items():
            near = [best.settings[name] + sign * steps[name] for sign in (-1, 1)]
            points = [wer_of(best.settings | {name: min(high, max(low, each))}) for each in near]
            best = min([best, *points], key=lambda point: point.wer)
    edges = tuple(name for name, ends in ranges.items() if best.settings[name] in ends)
    return Tuning(best, tuple(tried.values()), edges, len(texts))


def _batches(stored: StoredEmissions, chosen: Sequence[int]) -> Iterator[Emissions]:
    part = stored.select(chosen)
    yield from part.batches(_BATCH)
