"""What every corpus must hold."""

import io
from collections.abc import Mapping
from itertools import islice
from typing import Any

import numpy as np
import soundfile
from pydantic import ValidationError

from speechkit.errors import SpeechkitError
from speechkit.testing import imports
from speechkit.testing.checks import Checks, NotApplicable, Unmet
from speechkit.testing.globals import leaves_generators, seeds_nothing
from speechkit.testing.subject import Subject

CHECKS = Checks("corpus")

_ROWS = 24  # that are read; a corpus may have millions
_PARTS = ("part", "split")  # settings that choose a part of a corpus


def _first(speech: Any) -> list[Mapping[str, Any]]:  # noqa: ANN401 - a dataset
    return list(islice(iter(speech), _ROWS))


def _sound(row: Mapping[str, Any]) -> tuple[Any, int]:
    """Samples and their rate."""
    audio = row["audio"]
    source = io.BytesIO(audio["bytes"]) if audio.get("bytes") else audio["path"]
    samples, rate = soundfile.read(source, dtype="float32")
    return samples, int(rate)


@CHECKS.add(
    "a DatasetDict in place of one of its splits, another name for a column, or a missing setting"
)
def is_a_corpus(subject: Subject) -> str:
    """Build it, and look at what it is and at the names of its columns."""
    speech = subject.build()
    if isinstance(speech, Mapping):
        raise Unmet(f"it gives {type(speech).__name__} with {sorted(speech)}: choose one of them")
    columns = getattr(speech, "column_names", None)
    if columns is None or not hasattr(speech, "__iter__"):
        raise Unmet(
            f"it gives a {type(speech).__name__}, not a Hugging Face dataset that names its columns"
        )
    lacking = {"id", "text"} - set(columns)
    if not {"audio", "features"} & set(columns):
        lacking.add("audio")
    if lacking:
        raise Unmet(
            f"it has no column {', '.join(sorted(lacking))}; its columns: {', '.join(columns)}"
        )
    return f"a {type(speech).__name__} with {', '.join(columns)}"


@CHECKS.add("a number for an id, None for a text, or a column of lists")
def rows_are_of_their_types(subject: Subject) -> str:
    """Look at the first 24 rows: id, text and speaker are strings, no id is empty."""
    found = _first(subject.build())
    if not found:
        raise Unmet("it has no row")
    for number, row in enumerate(found):
        for name in ("id", "text", "speaker"):
            if (
                name in row
                and not isinstance(row[name], str)
                and (name, row[name]) != ("speaker", None)
            ):
                raise Unmet(f"row {number}: its {name} is {row[name]!r:.60}, not a string")
        if not row["id"]:
            raise Unmet(f"row {number} has an empty id")
    return f"{len(found)} rows; the first: {found[0]['text']!r:.50}"


@CHECKS.add("ids from file names in several folders, or from a number that begins anew")
def ids_are_unique(subject: Subject) -> str:
    """Look for an id that comes twice among the first 24 rows, or all where they are at hand."""
    speech = subject.build()
    ids = [row["id"] for row in _first(speech)]
    if hasattr(speech, "__len__"):
        ids = list(speech["id"])
    seen: set[str] = set()
    for each in ids:
        if each in seen:
            raise Unmet(f"the id {each!r} comes {ids.count(each)} times among {len(ids)} rows")
        seen.add(each)
    return f"{len(ids)} different ids"


@CHECKS.add(
    "an order of files as the disk gives it (sort them), a set, a shuffle, or random numbers "
    "without a seed of their own"
)
def the_same_order_every_time(subject: Subject) -> str:
    """Build it twice, and read each twice: the same rows in the same order."""
    first, second = subject.build(), subject.build()
    rows = _first(first)
    for said, again in (("read again", _first(first)), ("built again", _first(second))):
        if len(again) != len(rows):
            raise Unmet(f"{said}, it has {len(again)} rows, not {len(rows)}: is it an iterator?")
        for number, (one, other) in enumerate(zip(rows, again, strict=True)):
            before, now = _content(one), _content(other)
            if others := [name for name in before if now[name] != before[name]]:
                shown = [
                    f"its {name} {now[name]!r:.40}, not {before[name]!r:.40}" for name in others
                ]
                raise Unmet(f"{said}, row {number} is another: {'; '.join(shown)}")
    return f"{len(rows)} rows are the same"


def _content(row: Mapping[str, Any]) -> dict[str, Any]:
    """What must be the same each time a row is read."""
    audio = row.get("audio") or {}
    data = (audio.get("bytes"), audio.get("path")) if isinstance(audio, Mapping) else None
    columns = ("id", "text", "speaker", "duration_seconds")
    return {name: row.get(name) for name in columns} | {"audio": data}


@CHECKS.add("datasets.Audio() in place of datasets.Audio(decode=False), or arrays in the rows")
def audio_is_not_decoded(subject: Subject) -> str:
    """Look at `audio` in the first 24 rows: bytes or a path, as the file has them."""
    speech = subject.build()
    if "audio" not in speech.column_names:
        raise NotApplicable("it gives ready features")
    for number, row in enumerate(_first(speech)):
        audio = row["audio"]
        if not isinstance(audio, Mapping) or not {"bytes", "path"} & set(audio) or "array" in audio:
            raise Unmet(f'row {number}: audio is {audio!r:.70}, not {{"bytes", "path"}}')
        if not (audio.get("bytes") or audio.get("path")):
            raise Unmet(f"row {number} has neither bytes nor a path")
    return "bytes or paths"


@CHECKS.add("a path relative to another folder, raw samples without a header, or a broken file")
def audio_can_be_read(subject: Subject) -> str:
    """Decode the first 24 recordings: some sound, finite, in [-1, 1]."""
    speech = subject.build()
    if "audio" not in speech.column_names:
        raise NotApplicable("it gives ready features")
    seconds = 0.0
    for row in _first(speech):
        try:
            samples, rate = _sound(row)
        except (OSError, RuntimeError) as error:
            raise Unmet(f"{row['id']}: {error}") from error
        if not len(samples) or not np.isfinite(samples).all():
            raise Unmet(f"{row['id']} has {len(samples)} samples, or one that is not finite")
        if not np.abs(samples).max() > 0:
            raise Unmet(f"{row['id']} is silent")
        seconds += len(samples) / rate
    return f"{seconds:.1f} s of sound"


@CHECKS.add("samples, frames or milliseconds in `duration_seconds`, or another recording's length")
def durations_are_seconds(subject: Subject) -> str:
    """Compare `duration_seconds` with the length of the first 24 recordings."""
    speech = subject.build()
    if not {"audio", "duration_seconds"} <= set(speech.column_names):
        raise NotApplicable("it has no column duration_seconds, or no audio")
    for row in _first(speech):
        samples, rate = _sound(row)
        part = row.get("start_seconds") is not None or row.get("end_seconds") is not None
        stated, real = row["duration_seconds"], len(samples) / rate
        if stated is not None and not part and abs(stated - real) > 0.05 + 0.02 * real:
            raise Unmet(f"{row['id']}: it says {stated:g} s, the recording has {real:.2f} s")
    return "as the recordings"


@CHECKS.add("D of the settings is not that of the data, or frames not one after the other")
def ready_features_are_whole(subject: Subject) -> str:
    """Look at the `features` of the first 24 rows: finite numbers."""
    speech = subject.build()
    if "features" not in speech.column_names:
        raise NotApplicable("it gives audio")
    for row in _first(speech):
        values = np.asarray(row["features"], dtype=np.float64)
        if not values.size or not np.isfinite(values).all():
            raise Unmet(f"{row['id']} has {values.size} numbers, or one that is not finite")
    return "finite"


@CHECKS.add("an unknown part taken for the default: let the settings' type name those there are")
def unknown_parts_are_refused(subject: Subject) -> str:
    """Set its setting `part` or `split` to a name that no part has, and read a row."""
    name = next((each for each in _PARTS if subject.takes(each)), None)
    if name is None:
        raise NotApplicable("it has no setting `part` or `split`")
    try:
        _first(subject.build(subject.configured(**{name: "no-such-part"})))
    except (ValidationError, SpeechkitError) as error:
        return f"told: {str(error).splitlines()[0]:.80}"
    raise Unmet(f'{name} = "no-such-part" gives rows all the same')


@CHECKS.add("a part that is cut at random, or cut anew in each: parts share no utterance")
def parts_share_nothing(subject: Subject) -> str:
    """Compare the ids of the parts that its setting `part` or `split` can name."""
    name = next((each for each in _PARTS if subject.takes(each)), "")
    known = _choices(subject, name)
    if len(known) < 2:
        raise NotApplicable("its settings do not list the parts there are")
    owner: dict[str, str] = {}
    for part in known:
        for row in _first(subject.build(subject.configured(**{name: part}))):
            if owner.setdefault(row["id"], part) != part:
                raise Unmet(f"{row['id']!r} is in {owner[row['id']]!r} and in {part!r}")
    return f"{', '.join(known)}: {len(owner)} different ids"


def _choices(subject: Subject, name: str) -> list[str]:
    if not name:
        return []
    schema = subject.component.config.model_json_schema()
    field = schema["properties"][name]
    if reference := field.get("$ref"):
        field = schema["$defs"][reference.rsplit("/", 1)[1]]
    return [each for each in field.get("enum", ()) if isinstance(each, str)]


@CHECKS.add("a shuffle or a split with the global generator, or a seed set")
def no_random_numbers(subject: Subject) -> str:
    """Build and read it, and look at the global generators."""
    leaves_generators(lambda: _first(subject.build()))
    seeds_nothing(lambda: _first(subject.build()))
    return "none drawn"


@CHECKS.add("code at the module's top level: put it in functions")
def nothing_happens_at_import(subject: Subject) -> str:
    """Import its module in a fresh process: no file, program, output, seed, flag or weights."""
    return imports.does_nothing(subject)
