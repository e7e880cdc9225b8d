"""Unpacks an archive that may be broken, or made to do harm: nothing it says is believed.

Only files and folders below the given one are made. Links are refused altogether: corpora do
without, and most of what archives were made to do harm with goes through links.
"""

import bz2
import errno
import gzip
import lzma
import tarfile
import zlib
from pathlib import Path, PurePosixPath
from threading import Event
from typing import IO, cast

from speechkit.download.trouble import StoppedError, in_words, writing
from speechkit.errors import DownloadError

MOST_MEMBERS = 1_000_000  # the largest part of LibriSpeech has 150,000
MOST_GROWTH = 100  # bytes for each of the archive's; recordings have less than 10
SPARE_BYTES = 64 << 20  # on top of it, for small archives
_LONGEST_READ = 64 << 20  # bytes at once; headers have less than 1 MB

_OPENERS = ((b"\x1f\x8b", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ\0", lzma.open))


def unpack(archive: Path, folder: Path, *, stop: Event) -> None:
    """Unpack all of `archive` into the empty `folder`.

    Args:
        archive: a tar, plain or as gzip, bzip2 or xz.
        folder: an existing one.
        stop: ends it early.

    Raises:
        DownloadError: it is broken, or holds what no corpus needs.
        StoppedError: `stop` was set.
    """
    try:
        with _decompressed(archive) as stream:
            limit = MOST_GROWTH * archive.stat().st_size + SPARE_BYTES
            _unpack(_Measured(stream, limit), folder, limit, stop)
    except (tarfile.TarError, OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        if isinstance(error, OSError) and error.errno == errno.EIO:  # not the archive's trouble
            raise DownloadError(
                f"{archive} cannot be unpacked: {error.strerror}",
                hint="see to the disk, and give the same command again",
            ) from None
        raise _broken(str(error) or type(error).__name__) from None
    # What tarfile gives for numbers that are none, dates that are none, and folders in folders.
    except (ValueError, OverflowError, RecursionError) as error:
        raise _broken(str(error) or type(error).__name__) from None
    except _HarmfulError as error:
        raise DownloadError(
            f"it holds {error}",
            hint="nothing of it is kept; tell those who publish it, and take another mirror",
        ) from None


class _HarmfulError(Exception):
    """What an archive of recordings has no need of."""


class _Measured:
    """A stream that ends an archive which swells beyond all measure."""

    def __init__(self, stream: IO[bytes], limit: int) -> None:
        self._stream = stream
        self._left = limit
        self._limit = limit
        self.seek = stream.seek
        self.tell = stream.tell

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _LONGEST_READ:
            raise _HarmfulError(f"a header of {in_words(size)}")
        data = self._stream.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise _HarmfulError(f"over {in_words(self._limit)} when unpacked")
        return data


def _decompressed(archive: Path) -> IO[bytes]:
    with archive.open("rb") as file:
        start = file.read(512)
    for magic, opener in _OPENERS:
        if start.startswith(magic):
            return cast("IO[bytes]", opener(archive, "rb"))
    if start[257:262] != b"ustar":
        shown = start[:40].decode("ascii", "replace").strip()
        raise _broken(f"no tar, gzip, bzip2 or xz; it begins with {shown!r}")
    return archive.open("rb")


def _unpack(stream: _Measured, folder: Path, limit: int, stop: Event) -> None:
    with tarfile.open(fileobj=cast("IO[bytes]", stream), mode="r:") as tar:
        # Python 3.11.0 to 3.11.3 have no filters; what is checked below is enough.
        tar.extraction_filter = getattr(tarfile, "data_filter", None)
        whole = 0
        for number, member in enumerate(tar):
            if stop.is_set():
                raise StoppedError
            whole += member.size
            if number >= MOST_MEMBERS:
                raise _HarmfulError(f"over {MOST_MEMBERS:,} files")
            if whole > limit:
                raise _HarmfulError(f"over {in_words(limit)} when unpacked")
            _check(member)
            with writing(folder / member.name):
                tar.extract(member, folder)
            tar.members = []  # type: ignore[attr-defined]  # which would grow with the archive
        _check_rest(stream, tar.offset)


def _check(member: tarfile.TarInfo) -> None:
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts or "\0" in member.name:
        raise _HarmfulError(f"{member.name!r}, which is no path below a folder")
    if member.size < 0:
        raise _HarmfulError(f"{member.name!r} of {member.size} bytes")
    if not member.isreg() and not member.isdir():
        kind = "a link" if member.issym() or member.islnk() else "a device or pipe"
        raise _HarmfulError(f"{member.name!r}, {kind}; only files and folders are taken")


def _check_rest(stream: _Measured, end: int) -> None:
    """See that zeros alone follow: tarfile takes a header that is broken for the end.

    With it the rest of a compressed file is read, and with that its own checksum is checked.
    """
    stream.seek(end)
    while rest := stream.read(1 << 20):
        if rest.strip(b"\0"):
            raise _broken("what follows its last whole file is no file")


def _broken(what: str) -> DownloadError:
    return DownloadError(
        f"the archive is broken: {what}",
        hint="it is thrown away: give the same command again; if it stays so, take a mirror: "
        "--base-url URL",
    )
