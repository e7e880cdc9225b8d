"""What goes wrong while fetching, by what follows from it."""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from speechkit.errors import DownloadError


class PassingError(Exception):
    """Trouble that may pass: try again, after `wait_seconds` if the server says how long."""

    def __init__(self, message: str, *, wait_seconds: float | None = None) -> None:
        super().__init__(message)
        self.wait_seconds = wait_seconds


class StoppedError(Exception):
    """Another thread is done for: this one ends, too."""


class HopelessError(DownloadError):
    """What goes wrong with one archive will go wrong with the others: no server, no disk."""


def in_words(size: float) -> str:
    """A number of bytes.

    >>> in_words(337_926_286), in_words(30_593_501_606), in_words(12)
    ('337.9 MB', '30.6 GB', '0.0 MB')
    """
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


def free_bytes(place: Path) -> int:
    """What the disk has left on which `place` is, or will be."""
    while not place.exists():
        place = place.absolute().parent
    return shutil.disk_usage(place).free


@contextmanager
def writing(place: Path) -> Iterator[None]:
    """While inside, a disk that is full or cannot be written is told as what it is.

    Raises:
        HopelessError: it is.
        DownloadError: the name of what is written is too long for the disk.
    """
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            raise HopelessError(
                f"the disk is full: {place} could not be written, "
                f"{in_words(free_bytes(place))} are free",
                hint="free some space and give the same command again: it goes on where it was; "
                "or name a folder on a larger disk: --to FOLDER",
            ) from error
        if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
            raise HopelessError(
                f"{error.filename or place} cannot be written: {error.strerror}",
                hint="name another folder: --to FOLDER",
            ) from error
        if error.errno == errno.ENAMETOOLONG:
            raise DownloadError(
                f"{place} is too long a name for this disk",
                hint="name a folder with a shorter path: --to FOLDER",
            ) from error
        raise
