"""Scores of a run: one row for each test set and decoder."""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from math import isfinite
from pathlib import Path
from typing import Any, TypeAlias

from speechkit.component import NAME
from speechkit.data.files import write_json
from speechkit.errors import PluginError, RunError
from speechkit.interfaces import ScoreProtocol
from speechkit.scoring.edits import Edits, character_edits, edits, sclite_edits
from speechkit.scoring.uncertainty import Units, rate_interval, speakers_known

Lines: TypeAlias = Sequence[Mapping[str, Any]]
"""Of a decoded test set: `id`, `reference`, `hypothesis` and, where known, `speaker`, `seconds`."""

_LENGTHS = (5, 10, 20, 40)  # words: where the groups of `by_length` end


@dataclass(frozen=True)
class Score:
    """Error rates of a decoder on a test set, as fractions, over the whole corpus.

    seconds           of speech
    real_time_factor  seconds the decoder took for a second of speech
    ser               share of the utterances that hold an error
    wer_low, wer_high the word error rate's 95 % interval; None where nothing can be said
    interval          what was drawn again for it: "speakers" or "utterances"; None without one
    speakers          how many; 0 where they are not known
    sclite_wer        as NIST's sclite counts, which is at times a little more
    measures          those of `[score] protocol`: "n2_wer" where it is "n2"; keys of their own in a
                      row of scores.json
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
    ser: float | None = None
    wer_low: float | None = None
    wer_high: float | None = None
    interval: Units | None = None
    speakers: int = 0
    sclite_wer: float | None = None
    measures: Mapping[str, float] = field(default_factory=dict)

    def row(self) -> dict[str, Any]:
        """As scores.json has it."""
        values = asdict(self)
        measures: dict[str, float] = values.pop("measures")
        return values | measures


_FIELDS = {each.name for each in fields(Score)} - {"measures"}


def score(
    test: str,
    decoder: str,
    lines: Lines,
    *,
    seconds: float,
    decoding_seconds: float,
    measures: Mapping[str, float] | None = None,
) -> Score:
    """Score the lines of a decoded test set; `measures` are those of another protocol."""
    pairs = pairs_of(lines)
    each = edits_of(lines)
    words = sum(each, Edits())
    sclite = sum((sclite_edits(ref.split(), hyp.split()) for ref, hyp in pairs), Edits())
    speakers = speakers_of(lines)
    chance = rate_interval(
        [one.total for one in each], [one.reference_length for one in each], speakers
    )
    return Score(
        test=test,
        decoder=decoder,
        wer=words.rate,
        cer=character_edits(pairs).rate,
        utterances=len(pairs),
        words=words.reference_length,
        substitutions=words.substitutions,
        deletions=words.deletions,
        insertions=words.insertions,
        seconds=round(seconds, 3),
        real_time_factor=decoding_seconds / seconds if seconds else 0.0,
        ser=sum(one.total > 0 for one in each) / max(1, len(each)),
        wer_low=chance.low,
        wer_high=chance.high,
        interval=None if chance.low is None else chance.units,
        speakers=speakers_known(speakers),
        sclite_wer=sclite.rate,
        measures=dict(measures or {}),
    )


def rescored(row: Score, lines: Lines, measures: Mapping[str, float] | None = None) -> Score:
    """The same on these lines, all or some of its own; times are those of the whole test set.

    Args:
        row: as it was.
        lines: to score.
        measures: those of another protocol on these lines; else they are the row's, where the
            lines are all of its own.
    """
    seconds = row.seconds
    if len(lines) != row.utterances:
        seconds = sum(line.get("seconds", 0.0) for line in lines)
    elif measures is None:
        measures = row.measures
    return score(
        row.test,
        row.decoder,
        lines,
        seconds=seconds,
        decoding_seconds=row.real_time_factor * seconds,
        measures=measures,
    )


def measured(name: str, protocol: ScoreProtocol, lines: Lines) -> dict[str, float]:
    """The measures of the protocol `name`, each with that before its own name.

    Raises:
        PluginError: it fails, or gives anything but finite numbers by new names.
    """
    try:
        given = dict(protocol(pairs_of(lines)))
        found = {f"{name}_{key}": float(value) for key, value in given.items()}
    except Exception as error:  # whatever a plugin may raise
        raise PluginError(f"it failed ({type(error).__name__}: {error})") from error
    for key, value in found.items():
        if not re.fullmatch(NAME, key) or key in _FIELDS:
            raise PluginError(f"it gives a measure that would be `{key}` in scores.json")
        if not isfinite(value):
            raise PluginError(f"its measure {key} is {value}, not a finite number")
    return found


def pairs_of(lines: Lines) -> list[tuple[str, str]]:
    """(reference, hypothesis) of each utterance."""
    return [(line["reference"], line["hypothesis"]) for line in lines]


def edits_of(lines: Lines) -> list[Edits]:
    """By words, of each utterance."""
    return [edits(line["reference"].split(), line["hypothesis"].split()) for line in lines]


def speakers_of(lines: Lines) -> list[str]:
    """Of each utterance; "" where it is not known."""
    return [line.get("speaker") or "" for line in lines]


def by_speaker(lines: Lines) -> dict[str, Edits]:
    """By words, of all that each speaker says; those not known are ""."""
    return _grouped(zip(speakers_of(lines), edits_of(lines), strict=True))


def by_length(lines: Lines) -> dict[str, Edits]:
    """By words, of all utterances about as long: `1-5` words of the reference, and so on."""
    every = sorted(edits_of(lines), key=lambda one: one.reference_length)
    return _grouped((_length_group(one.reference_length), one) for one in every)


def _length_group(words: int) -> str:
    first = 0 if words == 0 else 1
    for last in (0, *_LENGTHS):
        if words <= last:
            return f"{first}-{last}" if last else "0"
        first = last + 1
    return f"{first} and more"


def _grouped(items: Iterable[tuple[str, Edits]]) -> dict[str, Edits]:
    sums: dict[str, Edits] = {}
    for name, each in items:
        sums[name] = sums.get(name, Edits()) + each
    return sums


def read_decoded(place: Path) -> list[Mapping[str, Any]]:
    """The lines that decoding wrote.

    Raises:
        RunError: the file is damaged.
    """
    lines = enumerate(place.read_bytes().split(b"\n"), 1)
    return [_line(place, number, line) for number, line in lines if line]


def _line(place: Path, number: int, line: bytes) -> Mapping[str, Any]:
    try:
        read: Mapping[str, Any] = json.loads(line.decode("utf-8"))
    except ValueError as error:  # of JSON or of UTF-8
        raise RunError(
            f"{place}, line {number}: is damaged: {getattr(error, 'msg', error)}",
            hint="carry its recipe out again: it is decoded anew",
        ) from None
    return read


def read_scores(place: Path) -> list[Score]:
    """Rows of scores.json; none where it is not there, or damaged: it can be made again."""
    try:
        return [_read(row) for row in json.loads(place.read_text(encoding="utf-8"))]
    except (FileNotFoundError, ValueError, TypeError, AttributeError):
        return []


def _read(row: Mapping[str, Any]) -> Score:
    own = {key: value for key, value in row.items() if key in _FIELDS}
    others = {key: row[key] for key in sorted(row.keys() - own.keys())}
    numbers = {key: each for key, each in others.items() if isinstance(each, int | float)}
    return Score(**own, measures=numbers)


def write_scores(
    place: Path, new: Sequence[Score], *, holds: Callable[[Score], bool]
) -> list[Score]:
    """Put `new` rows in; earlier ones stay where they still hold. Gives all rows."""
    fresh = {(each.test, each.decoder) for each in new}
    earlier = [row for row in read_scores(place) if (row.test, row.decoder) not in fresh]
    kept = [row for row in earlier if holds(row)]
    rows = [*kept, *new]
    write_json(place, [each.row() for each in rows])
    return rows
