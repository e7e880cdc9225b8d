"""What corpora read from a tree of folders share: settings, folders, warnings, and rows.

A tree has no split made by its authors, or one that leaves no validation part: `share` makes parts.
"""

import contextlib
import itertools
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from speechkit import Config, DataError, Field, RecipePath, Speech
from speechkit_corpora.share import WHOLE, Share

_LOG = logging.getLogger(__name__)
_NAMED = 3  # of each kind of thing, in a message
_RELATIVE = "paths are relative to the recipe's file"


class TreeConfig(Config):
    """Settings of every corpus that is a tree of folders."""

    path: RecipePath = Field(description="the corpus' folder, as it was unpacked")
    share: Share = Field(
        WHOLE,
        description="whose speech: [0.0, 0.9] and [0.9, 1.0] have no speaker in common, or, where "
        "there is one speaker, no chapter",
    )
    limit: int | None = Field(None, gt=0, description="take the first utterances only")


@dataclass(frozen=True)
class Utterance:
    """A row: its id, the recording's path below the corpus' folder, what is said, and by whom."""

    id: str
    audio: str
    text: str
    speaker: str


def existing_folder(path: Path) -> Path:
    """The path, if there is a folder.

    Raises:
        DataError: there is none, or it is a file.
    """
    if path.is_dir():
        return path
    if not path.exists():
        raise DataError(f"{path}: no such folder", hint=_RELATIVE)
    raise DataError(
        f"{path}: a file, not a folder",
        hint="unpack it (tar xf FILE) and give the folder"
        if packed_name(path.name)
        else "give the folder that the corpus was unpacked to",
    )


def packed_name(name: str) -> str:
    """What an archive is of, by its name; empty where the name is no archive's.

    >>> packed_name("anna-20110507-jum.tgz"), packed_name("a.wav")
    ('anna-20110507-jum', '')
    """
    for suffix in (".tgz", ".tar.gz", ".tar.bz2", ".tar", ".zip"):
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return ""


def subfolders(folder: Path) -> list[Path]:
    """The folders in a folder, by name; without hidden ones."""
    with os.scandir(folder) as entries:
        names = [each.name for each in entries if each.is_dir() and each.name[0] != "."]
    return [folder / name for name in sorted(names)]


def recordings(folder: Path, suffix: str) -> dict[str, Path]:
    """Name -> file of a folder's recordings, by name; the suffix in any case.

    Hidden files and links to nothing are no recordings.
    """
    files = [each for each in folder.iterdir() if each.name[0] != "." and each.is_file()]
    found = {each.stem: each for each in files if each.suffix.lower() == suffix}
    return dict(sorted(found.items()))


def contents(folder: Path) -> str:
    """For messages: what is in a folder, such as "it holds 19, 26, 27, ..."."""
    names = sorted(each.name for each in folder.iterdir())
    return f"it holds {listed(names)}" if names else "it is empty"


def listed(names: Sequence[str]) -> str:
    """For messages: the first few names.

    >>> listed(["a", "b"]), listed(["a", "b", "c", "d"])
    ('a, b', 'a, b, c, ...')
    """
    return ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")


def warn_left_out(where: Path, left_out: Mapping[str, Sequence[str]]) -> None:
    """One warning for all that a corpus leaves out: of each kind the number and the first names.

    Args:
        where: the corpus' folder.
        left_out: kind, such as "recordings without a prompt" -> names.
    """
    told = [f"{kind}: {len(names)} ({listed(names)})" for kind, names in left_out.items() if names]
    if told:
        warn(where, f"left out {'; '.join(told)}")


def warn(where: Path, text: str) -> None:
    """A warning about a corpus."""
    _LOG.warning("%s: %s", where, text)


@contextlib.contextmanager
def told_as_data_errors() -> Iterator[None]:
    """What cannot be read is told as a `DataError`."""
    try:
        yield
    except OSError as error:
        raise DataError(f"{error.filename}: {error.strerror}") from None
    except UnicodeEncodeError as error:
        raise DataError(
            f"{error.object!r}: a name in the corpus' folder that is not UTF-8",
            hint="rename it, or leave it out of the folder",
        ) from None


def read_utf8(path: Path) -> list[str]:
    """The lines of a text file.

    Raises:
        DataError: not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig").rstrip("\n").split("\n")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: not UTF-8 (byte {error.start})", hint="unpack it again, or save it as UTF-8"
        ) from None


def to_speech(
    utterances: Sequence[Utterance], root: Path, limit: int | None, *, revision: str
) -> Speech:
    """The utterances with the columns of `speechkit.Speech`; durations are measured when read.

    Args:
        utterances: in order, with different ids.
        root: the folder that their recordings' paths start from.
        limit: how many of them, from the first; None for all.
        revision: the corpus' name and revision, for the fingerprint.
    """
    # Here, since `datasets` takes a second to import, which `speechkit --help` must not wait for.
    import datasets  # noqa: PLC0415

    from speechkit_corpora.canonical import Table, canonical, fingerprint  # noqa: PLC0415
    from speechkit_corpora.settings import ColumnConfig  # noqa: PLC0415

    taken = utterances[:limit]
    columns = {
        role: [getattr(each, role) for each in taken] for role in ("id", "audio", "text", "speaker")
    }
    digest = fingerprint(itertools.chain.from_iterable(columns.values()))
    # A table's recordings are looked for beside its file: any name in the root will do.
    table = Table(datasets.Dataset.from_dict(columns), ((root / "*", len(taken)),), digest)
    return canonical(table, ColumnConfig.model_validate({}), settings=revision)
