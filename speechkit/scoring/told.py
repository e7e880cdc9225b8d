"""Scores in words: their intervals, and what a decoder saves."""

from collections.abc import Sequence
from typing import Protocol

from speechkit.scoring.scores import Score
from speechkit.scoring.uncertainty import MIN_UTTERANCES


def errors_cut(row: Score, rows: Sequence[Score]) -> str:
    """The share of greedy's word errors on this test that another decoder saves, or nothing."""
    greedy = {each.test: each.wer for each in rows if each.decoder == "greedy"}
    compared = row.decoder != "greedy" and greedy.get(row.test)
    return f"{1 - row.wer / compared:.0%}" if compared else ""


class HasInterval(Protocol):
    """A word error rate with an interval, or none: a `Score`, or a result in a model's card."""

    @property
    def wer_low(self) -> float | None:
        """Where its 95 % interval begins."""

    @property
    def wer_high(self) -> float | None:
        """Where it ends."""


def interval_shown(row: HasInterval) -> str:
    """`0.112–0.138`, or nothing."""
    if row.wer_low is None or row.wer_high is None:
        return ""
    return f"{row.wer_low:.3f}–{row.wer_high:.3f}"


def interval_told(row: Score) -> str:
    """What the interval of a score stands on, and whom it speaks of."""
    utterances = _count(row.utterances, "utterance")
    if row.speakers:
        utterances += f" of {_count(row.speakers, 'speaker')}"
    if row.wer_low is None:
        if row.utterances < MIN_UTTERANCES:
            return f"{utterances}: too few for an interval"
        if not row.wer:
            return f"{utterances}: no error, and so no interval"
        return f"{utterances}: no interval: hardly an error, or hardly a word right"
    if row.interval == "speakers":
        return f"{utterances}: the interval speaks of others like them"
    if not row.speakers:
        return f"{utterances}, of unknown speakers: the interval takes each for another"
    these = "this one" if row.speakers == 1 else "these"
    return f"{utterances}: too few to speak of others; the interval is of {these} alone"


def _count(number: int, one: str) -> str:
    return f"{number:,} {one}" + ("" if number == 1 else "s")
