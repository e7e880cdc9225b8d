"""`use = "librispeech"`: LibriSpeech and Mini LibriSpeech as unpacked.

The tree, the same for the parts of openslr.org/12 (train-clean-100, dev-clean, ...) and those of
openslr.org/31 (train-clean-5, dev-clean-2):

    LibriSpeech/PART/SPEAKER/CHAPTER/SPEAKER-CHAPTER-NNNN.flac
                                     SPEAKER-CHAPTER.trans.txt    a line each: ID TEXT

The parts share no speaker, except that Mini LibriSpeech is taken from the large parts.
"""

import difflib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from speechkit import DataError, Field, Speech
from speechkit_corpora.share import in_share
from speechkit_corpora.trees import (
    TreeConfig,
    Utterance,
    contents,
    existing_folder,
    read_utf8,
    recordings,
    subfolders,
    to_speech,
    told_as_data_errors,
    warn_left_out,
)

REVISION = 1  # goes up when the same tree gives other rows

_EXPECTED = (
    "give the folder LibriSpeech, which holds PART/SPEAKER/CHAPTER/*.flac, or the folder of a part"
)
_AGAIN = "the archive was not unpacked whole: do it again"


class LibriSpeechConfig(TreeConfig):
    """LibriSpeech as unpacked: the folder LibriSpeech, the one it is in, or one part.

    Rows are in the order of the parts, and in a part by id; `share` counts speakers.
    """

    parts: list[str] | None = Field(
        None, min_length=1, description="such as train-clean-100; default: the only one there"
    )


def build_librispeech(config: LibriSpeechConfig) -> Speech:
    """The utterances of the parts.

    Raises:
        DataError: a folder that is not there or is no LibriSpeech tree, a part that is absent or
            empty, a transcript without its recording.
    """
    with told_as_data_errors():
        parts = _parts(config)
        root = parts[0].parent
        speakers = {each: each.name for part in parts for each in _numbered(part)}
        chosen = in_share(speakers, config.share, what="speakers", where=config.path)
        untold: list[str] = []
        utterances = [each for speaker in chosen for each in _spoken(speaker, root, untold)]
        _refuse_twice(utterances)
        if not utterances:
            raise DataError(f"{parts[0]}: no transcripts", hint=_AGAIN)
        warn_left_out(config.path, {"recordings without a transcript": untold})
        return to_speech(utterances, root, config.limit, revision=f"librispeech {REVISION}")


def _parts(config: LibriSpeechConfig) -> list[Path]:
    """The folders of the parts asked for."""
    folder = existing_folder(config.path)
    # The inner one first: beside it can be folders of other corpora that look like parts.
    places = [folder / "LibriSpeech", folder]
    place = next((each for each in places if each.is_dir() and _parts_in(each)), None)
    if place is None:
        raise DataError(f"{folder}: no part of LibriSpeech; {contents(folder)}", hint=_EXPECTED)
    there = _parts_in(place)
    if config.parts is None and len(there) > 1:
        raise DataError(
            f"{place}: {len(there)} parts: {', '.join(there)}",
            hint=f'say which: parts = ["{next(iter(there))}"]',
        )
    wanted = dict.fromkeys(config.parts or there)
    for name in wanted:
        if name not in there:
            raise _no_part(place, name, list(there))
    return [there[name] for name in wanted]


def _no_part(place: Path, name: str, there: list[str]) -> DataError:
    folder = place / name
    if folder.is_dir():
        return DataError(f"{folder}: no speakers; {contents(folder)}", hint=_AGAIN)
    near = difflib.get_close_matches(name, there, n=1)
    return DataError(
        f"{place}: no part {name!r}; there are {', '.join(there)}",
        hint=f"did you mean {near[0]!r}?" if near else "download it and unpack it there",
    )


def _parts_in(folder: Path) -> dict[str, Path]:
    """Name -> folder of the parts in a folder, or of the part that it is."""
    found = [folder] if _is_part(folder) else filter(_is_part, subfolders(folder))
    return {each.name: each for each in found}


def _is_part(folder: Path) -> bool:
    # A speaker's folder has numbers in it, too, its chapters; its own name is one.
    return not folder.name.isdecimal() and bool(_numbered(folder))


def _numbered(folder: Path) -> list[Path]:
    return [each for each in subfolders(folder) if each.name.isdecimal()]


def _spoken(speaker: Path, root: Path, untold: list[str]) -> Iterator[Utterance]:
    """A speaker's utterances; recordings that have no transcript are added to `untold`."""
    for chapter in _numbered(speaker):
        file = chapter / f"{speaker.name}-{chapter.name}.trans.txt"
        if not file.is_file():
            raise DataError(f"{chapter}: no {file.name}; {contents(chapter)}", hint=_AGAIN)
        lines = sorted({_line(line) for line in read_utf8(file) if line.strip()})
        texts = dict(lines)
        if len(texts) < len(lines):
            twice = next(one for (one, _), (other, _) in pairwise(lines) if one == other)
            raise DataError(f"{file}: {twice} has two texts that differ", hint=_AGAIN)
        heard = recordings(chapter, ".flac")
        if silent := [each for each in texts if each not in heard]:
            raise DataError(
                f"{file}: {len(silent)} of {len(texts)} lines without a recording: "
                f"{silent[0]}.flac is not there",
                hint=_AGAIN,
            )
        untold += [each for each in heard if each not in texts]
        for name, text in texts.items():
            audio = heard[name].relative_to(root).as_posix()
            yield Utterance(name, audio, text, speaker.name)


def _line(line: str) -> tuple[str, str]:
    name, _, text = line.strip().partition(" ")
    return name, text


def _refuse_twice(utterances: list[Utterance]) -> None:
    first: dict[str, str] = {}
    for each in utterances:
        other = first.setdefault(each.id, each.audio)
        if other != each.audio:
            parts = " and ".join(audio.partition("/")[0] for audio in (other, each.audio))
            raise DataError(
                f"{each.id} is in the parts {parts}",
                hint="the parts of Mini LibriSpeech are taken from the large ones: leave one out",
            )
