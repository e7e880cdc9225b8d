"""`use = "ljspeech"`: the LJ Speech Dataset as unpacked.

The tree (keithito.com/LJ-Speech-Dataset), one speaker:

    LJSpeech-1.1/metadata.csv     a line each: ID|text as printed|text with numbers written out
                 wavs/ID.wav      an ID is LJ001-0001: a chapter, and a number

Lines have no quoting: a double quote is part of the text. Where a line lacks the form of the text
that is asked for, the other one is taken, and that is told.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from speechkit import DataError, Field, Speech
from speechkit_corpora.share import in_share
from speechkit_corpora.trees import (
    TreeConfig,
    Utterance,
    contents,
    existing_folder,
    listed,
    read_utf8,
    recordings,
    subfolders,
    to_speech,
    told_as_data_errors,
    warn,
    warn_left_out,
)

REVISION = 1  # goes up when the same tree gives other rows

_SPEAKER = "LJ"
_TABLE = "metadata.csv"
_EXPECTED = f"give the folder LJSpeech-1.1, which holds {_TABLE} and wavs/ID.wav"
_AGAIN = "the archive was not unpacked whole: do it again"


class LJSpeechConfig(TreeConfig):
    """LJ Speech as unpacked: the folder LJSpeech-1.1, or the one it is in.

    Rows are by id. There is one speaker, so `share` counts the 50 chapters, LJ001 to LJ050.
    """

    text: Literal["normalized", "raw"] = Field(
        "normalized", description="numbers and abbreviations written out, or as printed"
    )


@dataclass(frozen=True)
class _Line:
    """A line of the table."""

    id: str
    raw: str
    normalized: str

    @property
    def chapter(self) -> str:
        return self.id.partition("-")[0]


def build_ljspeech(config: LJSpeechConfig) -> Speech:
    """The utterances of the chapters in the share.

    Raises:
        DataError: a folder that is not there or is no LJ Speech tree, a broken line, a line
            without its recording.
    """
    with told_as_data_errors():
        root = _root(existing_folder(config.path))
        lines = _table(root / _TABLE)
        heard = _recordings(root, lines)
        chapters = {each: each.chapter for each in sorted(lines, key=lambda each: each.id)}
        chosen = in_share(chapters, config.share, what="chapters", where=root)
        utterances: list[Utterance] = []
        replaced: list[str] = []
        empty: list[str] = []
        for line in chosen:
            wanted, other = line.normalized, line.raw
            if config.text == "raw":
                wanted, other = other, wanted
            if not wanted:
                (replaced if other else empty).append(line.id)
            if text := wanted or other:
                utterances.append(Utterance(line.id, f"wavs/{heard[line.id].name}", text, _SPEAKER))
        untold = sorted(heard.keys() - {each.id for each in lines})
        warn_left_out(root, {"recordings without a line": untold, "lines without text": empty})
        if replaced:
            taken = "raw" if config.text == "normalized" else "normalized"
            warn(
                root,
                f"lines without {config.text} text, of which the {taken} one is taken: "
                f"{len(replaced)} ({listed(replaced)})",
            )
        return to_speech(utterances, root, config.limit, revision=f"ljspeech {REVISION}")


def _root(folder: Path) -> Path:
    """The folder with the table: the one given, or the only one in it that has one."""
    if (folder / _TABLE).is_file():
        return folder
    found = [each for each in subfolders(folder) if (each / _TABLE).is_file()]
    if len(found) == 1:
        return found[0]
    if found:
        names = listed([each.name for each in found])
        raise DataError(f"{folder}: {_TABLE} is in several folders: {names}", hint="give one")
    raise DataError(f"{folder}: no {_TABLE} in it; {contents(folder)}", hint=_EXPECTED)


def _table(path: Path) -> list[_Line]:
    lines = list(_lines(path))
    if not lines:
        raise DataError(f"{path}: no lines", hint=_AGAIN)
    seen: set[str] = set()
    for line in lines:
        if line.id in seen:
            raise DataError(f"{path}: {line.id} stands twice", hint="ids must be unique")
        seen.add(line.id)
    return lines


def _lines(path: Path) -> Iterator[_Line]:
    for number, line in enumerate(read_utf8(path), start=1):
        if not line.strip():
            continue
        fields = [each.strip() for each in line.split("|")]
        if len(fields) not in {2, 3} or not fields[0]:
            raise DataError(
                f"{path}:{number}: {len(fields)} fields parted by |: {line!r:.60}",
                hint="a line is ID|raw text|normalized text",
            )
        yield _Line(*fields, *([""] if len(fields) == 2 else []))


def _recordings(root: Path, lines: list[_Line]) -> dict[str, Path]:
    """ID -> recording: one for every line, and perhaps more."""
    folder = root / "wavs"
    if not folder.is_dir():
        raise DataError(f"{root}: no folder wavs in it; {contents(root)}", hint=_EXPECTED)
    heard = recordings(folder, ".wav")
    if silent := [each.id for each in lines if each.id not in heard]:
        raise DataError(
            f"{root / _TABLE}: {len(silent)} of {len(lines)} lines without a recording: "
            f"wavs/{silent[0]}.wav is not there",
            hint=_AGAIN,
        )
    return heard
