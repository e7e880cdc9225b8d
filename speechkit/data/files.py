"""Files written whole or not at all: beside their place, then renamed into it."""

import errno
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from speechkit.errors import RunError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}  # the disk, what a user may have, a file's limit


def cache_folder() -> Path:
    """Where what can be made again is kept: `$SPEECHKIT_CACHE`, or `~/.cache/speechkit`."""
    return Path(os.environ.get("SPEECHKIT_CACHE") or "~/.cache/speechkit").expanduser()


@contextmanager
def written_whole(place: Path) -> Iterator[Path]:
    """Give a path beside `place` to write a file at; rename it into `place` if all went well."""
    beside = place.with_name(f".{place.name}.{os.getpid()}.partial")
    with telling_of_full_disks(place):
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            beside.touch()
            mode = beside.stat().st_mode
            beside.unlink()
            yield beside
            _give_mode(beside, mode)
            with beside.open("rb") as file:
                os.fsync(file.fileno())
            beside.replace(place)
        finally:
            beside.unlink(missing_ok=True)


@contextmanager
def folder_written_whole(place: Path) -> Iterator[Path]:
    """Give a folder beside `place` to fill; rename it into `place` if all went well.

    Where another process has put one in `place` meanwhile, that one stays.
    """
    beside = place.with_name(f".{place.name}.{os.getpid()}.partial")
    with telling_of_full_disks(place):
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
        mode = beside.stat().st_mode & 0o666
        try:
            yield beside
            for each in filter(Path.is_file, beside.rglob("*")):
                _give_mode(each, mode)
                with each.open("rb") as file:
                    os.fsync(file.fileno())
            try:
                beside.replace(place)
            except OSError as error:
                if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
                    raise
        finally:
            shutil.rmtree(beside, ignore_errors=True)


def _give_mode(file: Path, mode: int) -> None:
    """Let those read it who may read any new file: safetensors leaves its owner alone."""
    with suppress(PermissionError):  # a file system that has no modes
        file.chmod(mode)


@contextmanager
def telling_of_full_disks(place: Path) -> Iterator[None]:
    """While inside, a disk that is full or cannot be written is told as what it is.

    Raises:
        RunError: it is.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise disk_full(place) from error
        if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR}:
            raise RunError(
                f"{error.filename or place} cannot be written: {error.strerror}",
                hint="SPEECHKIT_CACHE names another place for the cache; runs are kept in runs/ of "
                "the folder the command is given in",
            ) from error
        raise
    except SafetensorError as error:  # which has its number in its words
        number = re.search(r"\(os error (\d+)\)", str(error))
        if number and int(number[1]) in _FULL:
            raise disk_full(place) from error
        raise


def disk_full(place: Path) -> RunError:
    """What to say of a disk on which `place` did not fit."""
    return RunError(
        f"the disk is full: {place} could not be written",
        hint="free some space and run the same command again: what was finished is kept; "
        "SPEECHKIT_CACHE names another place for the cache",
    )


def write_json(place: Path, value: Any) -> None:  # noqa: ANN401 - what json takes
    """Write `value`, indented, whole or not at all."""
    with written_whole(place) as beside:
        text = json.dumps(value, ensure_ascii=False, indent=1)
        beside.write_text(text + "\n", encoding="utf-8")


def digest(value: Any) -> str:  # noqa: ANN401 - what json takes
    """A short name for a value: equal values give equal names, on any machine."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def sha256(file: Path) -> str:
    """Of a file's content."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def stamp(file: Path) -> list[int | str]:
    """Changes when the file does; reads nothing of it."""
    status = file.stat()
    return [str(file.resolve()), status.st_size, status.st_mtime_ns]
