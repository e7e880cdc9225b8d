"""Scores of a run: one row for each test set and decoder."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from speechkit.data.files import write_json
from speechkit.scoring.edits import character_edits, word_edits


@dataclass(frozen=True)
class Score:
    """Error rates of a decoder on a test set, as fractions, over the whole corpus.

    seconds           of speech
    real_time_factor  seconds the decoder took for a second of speech
    """

    test: str
    decoder: str
    wer: float
    cer: float
    utterances: int
    words: int
    substitutions: int
    deletions: int
    insertions: int
    seconds: float
    real_time_factor: float


def score(
    test: str,
    decoder: str,
    lines: Sequence[Mapping[str, Any]],
    *,
    seconds: float,
    decoding_seconds: float,
) -> Score:
    """Score the lines of a decoded test set."""
    pairs = [(line["reference"], line["hypothesis"]) for line in lines]
    words = word_edits(pairs)
    return Score(
        test,
        decoder,
        words.rate,
        character_edits(pairs).rate,
        len(pairs),
        words.reference_length,
        words.substitutions,
        words.deletions,
        words.insertions,
        round(seconds, 3),
        decoding_seconds / seconds if seconds else 0.0,
    )


def read_scores(place: Path) -> list[Score]:
    """Rows of scores.json; none where it is not there, or damaged: it can be made again."""
    try:
        return [Score(**row) for row in json.loads(place.read_text(encoding="utf-8"))]
    except (FileNotFoundError, ValueError, TypeError):
        return []


def write_scores(
    place: Path, new: Sequence[Score], *, holds: Callable[[Score], bool]
) -> list[Score]:
    """Put `new` rows in; earlier ones stay where they still hold. Gives all rows."""
    fresh = {(each.test, each.decoder) for each in new}
    earlier = [row for row in read_scores(place) if (row.test, row.decoder) not in fresh]
    kept = [row for row in earlier if holds(row)]
    rows = [*kept, *new]
    write_json(place, [asdict(each) for each in rows])
    return rows
