"""The weights of a decoder, searched on the stored emissions of the validation part."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from speechkit.decoding.decode import answers
from speechkit.decoding.emissions import StoredEmissions
from speechkit.decoding.search import Search
from speechkit.interfaces import Decoder
from speechkit.reporter import Advance
from speechkit.scoring.edits import edits
from speechkit.settings import TuneSettings

_BATCH = 64
_TIMED = 8  # utterances decoded to know how long one takes
_FEW_SETTINGS = 25  # before a slow decoder tries fewer than these, it decodes fewer utterances;
_FEW_UTTERANCES = 50  # before fewer than these, it tries fewer settings
_FEWEST_SETTINGS = 10  # the weights as they are and their neighbours, however long that takes


@runtime_checkable
class Tunable(Protocol):
    """A decoder whose weights can be searched for.

    tunable  setting -> the lowest and the highest value to try, the two that act together first;
             the search goes beyond where errors fall on
    """

    tunable: Mapping[str, tuple[float, float]]

    def retuned(self, **settings: float) -> Decoder:
        """The same decoder with other weights; what was built is shared, so this is cheap.

        Raises:
            ValueError: it does not take these; the search leaves them out.
        """


@dataclass(frozen=True)
class Point:
    """Weights, and the errors they gave; rates are fractions."""

    settings: dict[str, float]
    wer: float
    cer: float
    word_errors: int


@dataclass(frozen=True)
class Tuning:
    """What a search found.

    best        the middle one of those as good as the one of fewest errors
    before      the weights as they were
    points      all that was tried, in order
    edges       weights whose best value is the "lowest" or the "highest" tried: look further there
    utterances  that were decoded for each point, of `available` ones, with so many `words`
    seconds     the search took
    hurried     whether there was no time for as many settings and utterances as were asked for
    """

    best: Point
    before: Point
    points: tuple[Point, ...]
    edges: dict[str, str]
    utterances: int
    available: int
    words: int
    seconds: float
    hurried: bool


def tune(
    stored: StoredEmissions,
    references: Sequence[str],
    decoder: Tunable,
    asked: TuneSettings,
    *,
    start: Mapping[str, float] | None = None,
    advance: Advance,
) -> Tuning:
    """Search the weights that give the fewest word errors.

    Args:
        stored: emissions of the validation part, never of a test.
        references: in the same order, under the text rules.
        decoder: whose weights to search.
        asked: how many settings and utterances, and for how long.
        start: the weights as they are; in the middle of their ranges where they are not said.
        advance: is told how far it is.
    """
    began = time.perf_counter()
    start = start or {}
    first = Search(decoder.tunable, start, asked.settings).start
    tries, utterances = _affordable(_pace(decoder.retuned(**first), stored), len(stored), asked)
    search = Search(decoder.tunable, start, tries)
    part = _Part(stored, references, utterances)
    points: list[Point] = []
    seconds = 0.0
    for weights in search:
        try:
            retuned = decoder.retuned(**weights)
        except ValueError:
            continue
        errors = part.errors(retuned)
        search.note(weights, errors[:, 0])
        points.append(part.point(weights, errors))
        advance(len(points), tries, f"WER {min(point.wer for point in points):.4f}")
        seconds = time.perf_counter() - began
        if seconds > 60 * asked.minutes and len(points) >= _FEWEST_SETTINGS:
            break
    chosen = search.chosen().settings
    wanted = asked.settings, min(asked.utterances, len(stored))
    return Tuning(
        best=next(point for point in points if point.settings == chosen),
        before=points[0],
        points=tuple(points),
        edges=search.edges(),
        utterances=utterances,
        available=len(stored),
        words=part.words,
        seconds=seconds,
        hurried=(tries, utterances) != wanted or seconds > 60 * asked.minutes,
    )


def told(found: Mapping[str, Any]) -> Iterator[str]:
    """Lines on what `tuning/DECODER.json` holds, for people."""
    best, before = found["best"], found["before"]
    weights = ", ".join(f"{name} {value:.3g}" for name, value in best["settings"].items())
    tries, utterances, seconds = len(found["points"]), found["utterances"], found["seconds"]
    yield (
        f"{found['decoder']}: {weights}: the best of {tries} settings on {utterances} utterances "
        f"of {found['part']} in {seconds:.0f} s; WER {before['wer']:.4f} before, "
        f"{best['wer']:.4f} now"
    )
    if found["hurried"]:
        pace = 1000 * seconds / (tries * utterances)
        yield (
            f"{found['decoder']} takes {pace:.0f} ms an utterance: there was no time for more "
            f"settings and utterances; [tune] minutes gives it more"
        )
    for name, edge in found["edges"].items():
        value = best["settings"][name]
        yield f"{name}: {value:.3g} is the {edge} tried: the best may lie beyond"


def _pace(decoder: Decoder, stored: StoredEmissions) -> float:
    """Seconds an utterance takes."""
    few = next(stored.select(_spread(len(stored), _TIMED)).batches(_TIMED))
    answers(decoder, next(stored.batches(1)))  # what is compiled or loaded at first use
    began = time.perf_counter()
    answers(decoder, few)
    return (time.perf_counter() - began) / len(few.lengths)


def _affordable(pace: float, available: int, asked: TuneSettings) -> tuple[int, int]:
    """How many settings, and utterances for each, there is time for.

    >>> _affordable(0.01, 500, TuneSettings(settings=60, utterances=300, minutes=10))
    (60, 300)
    >>> _affordable(0.2, 500, TuneSettings(settings=60, utterances=300, minutes=10))
    (25, 120)
    >>> _affordable(0.8, 500, TuneSettings(settings=60, utterances=300, minutes=10))
    (15, 50)
    """
    decoded = 60 * asked.minutes / max(pace, 1e-9)
    tries, utterances = asked.settings, min(asked.utterances, available)
    tries = min(tries, max(_FEW_SETTINGS, int(decoded / utterances)))
    utterances = min(utterances, max(_FEW_UTTERANCES, int(decoded / tries)))
    return min(tries, max(_FEWEST_SETTINGS, int(decoded / utterances))), utterances


def _spread(available: int, count: int) -> list[int]:
    """Places of so many utterances, spread over all.

    >>> _spread(10, 4)
    [0, 2, 5, 7]
    """
    count = min(count, available)
    return [number * available // count for number in range(count)]


class _Part:
    """Utterances that are decoded again and again, longest first: threads then end together."""

    def __init__(self, stored: StoredEmissions, references: Sequence[str], count: int) -> None:
        chosen = _spread(len(stored), count)
        chosen.sort(key=lambda index: -int(stored.lengths[index]))
        self._batches = list(stored.select(chosen).batches(_BATCH))
        self._texts = [references[index] for index in chosen]
        self._spoken = [text.split() for text in self._texts]
        self._known: list[dict[str, tuple[int, int]]] = [{} for _ in chosen]
        self.words = sum(map(len, self._spoken))
        self.characters = sum(map(len, self._texts))

    def errors(self, decoder: Decoder) -> NDArray[np.int64]:
        """(utterances, 2) word errors and character errors."""
        found = [each[0].text for batch in self._batches for each in answers(decoder, batch)]
        return np.array([self._errors(index, text) for index, text in enumerate(found)])

    def _errors(self, index: int, text: str) -> tuple[int, int]:
        known = self._known[index]  # most settings write what others wrote
        if text not in known:
            words = edits(self._spoken[index], text.split()).total
            known[text] = words, edits(self._texts[index], text).total
        return known[text]

    def point(self, weights: dict[str, float], errors: NDArray[np.int64]) -> Point:
        """Error rates over all utterances."""
        words, characters = errors.sum(axis=0).tolist()
        rates = words / max(1, self.words), characters / max(1, self.characters)
        return Point(weights, *rates, words)
