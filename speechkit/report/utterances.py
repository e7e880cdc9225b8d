"""The utterances a report shows: the best, the worst and some at random, aligned word by word."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from speechkit.scoring.edits import align
from speechkit.scoring.scores import Lines, edits_of

_WORDS = 80  # of an utterance that are shown
_SEED = 20041


@dataclass(frozen=True)
class Shown:
    """A word said, a word heard, or both, and when it was heard.

    kind  "same", "wrong", "out" (left out) or "in" (put in)
    """

    kind: str
    said: str | None
    heard: str | None
    start_seconds: float | None
    end_seconds: float | None


@dataclass(frozen=True)
class Aligned:
    """What a decoder made of an utterance.

    more  words of the reference, and of the hypothesis, that are not shown
    """

    decoder: str
    errors: int
    words: int
    shown: Sequence[Shown]
    more: int


@dataclass(frozen=True)
class Utterance:
    """An utterance of a test set, as every decoder has it; that used last comes first."""

    id: str
    speaker: str
    seconds: float | None
    decoded: Sequence[Aligned]


def chosen(lines: Lines, *, each: int) -> dict[str, list[int]]:
    """Places in `lines` by heading: the worst, the best and random ones; none stands twice.

    The worst are those of the highest rate, the best of the lowest; of those alike, the longer.
    """
    errors = edits_of(lines)
    order = sorted(
        range(len(lines)),
        key=lambda place: (-errors[place].rate, -errors[place].reference_length, place),
    )
    worst = [place for place in order if errors[place].total][:each]
    order.sort(key=lambda place: (errors[place].rate, -errors[place].reference_length, place))
    best = [place for place in order if place not in worst][:each]
    rest = sorted(set(range(len(lines))) - {*worst, *best})
    drawn = sorted(random.Random(_SEED).sample(rest, min(each, len(rest))))  # noqa: S311 - no secret
    groups = {"Worst": worst, "Best": best, "Random": drawn}
    return {name: places for name, places in groups.items() if places}


def utterance(line: Mapping[str, Any], decoded: Mapping[str, Mapping[str, Any]]) -> Utterance:
    """One as it is shown.

    Args:
        line: of the decoder that comes first.
        decoded: lines of all, by decoder.
    """
    return Utterance(
        line["id"],
        line.get("speaker") or "",
        line.get("seconds"),
        [_aligned(decoder, each) for decoder, each in decoded.items()],
    )


def _aligned(decoder: str, line: Mapping[str, Any]) -> Aligned:
    reference, hypothesis = line["reference"].split(), line["hypothesis"].split()
    (edits,) = edits_of([line])
    more = max(0, len(reference) - _WORDS) + max(0, len(hypothesis) - _WORDS)
    words = line.get("words") or []
    timed = iter(words if len(words) == len(hypothesis) else [{}] * len(hypothesis))
    shown = []
    for said, heard in align(reference[:_WORDS], hypothesis[:_WORDS]):
        time = {} if heard is None else next(timed)
        kind = "out" if heard is None else "in" if said is None else "wrong"
        kind = "same" if said == heard else kind
        shown.append(Shown(kind, said, heard, time.get("start_seconds"), time.get("end_seconds")))
    return Aligned(decoder, edits.total, edits.reference_length, shown, more)
