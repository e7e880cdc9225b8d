"""A bundle's archive: a ZIP file of one shape, so that the same files give the same bytes.

One folder holds all; every entry has the same date and rights, and they follow each other without
a gap. What is read is refused where it has another shape. So what other programs would unpack is
what is checked here, and a file made to do harm (paths that lead out, links, contents that expand
without end, entries that overlap or hide) is told before any of its contents is read. Nothing is
unpacked to the disk.
"""

import hashlib
import shutil
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from stat import S_IFMT, S_ISDIR, S_ISLNK, S_ISREG
from typing import IO

from speechkit.errors import BundleError

WEIGHTS = "model.safetensors"
MANIFEST = "manifest.json"
MOST_FILES = 1000
MOST_BYTES = 1_000_000_000  # of all files but the weights
MOST_WEIGHTS_BYTES = 2_000_000_000  # where ZIP files need an extension
_MOST_EXPANDED = 100  # times; text such as ours expands 3 to 30 times
_SMALL_BYTES = 1_000_000  # of a file that may expand more: it does no harm
_LONGEST_NAME = 500  # bytes
_EVER = (1980, 1, 1, 0, 0, 0)  # the first date a ZIP file knows
_RIGHTS = 0o100644  # a file that all may read
_UNICODE = 0x800  # flag of an entry whose name is UTF-8
_ENCRYPTED = 0x1  # as well
_UNIX = 3
_BLOCK = 1 << 20
_END = struct.Struct("<4s4H2LH")  # the record that ends a ZIP file
_ALIKE = (
    *("date_time", "external_attr", "internal_attr", "create_system", "compress_type"),
    *("flag_bits", "extra", "comment", "volume"),
)


class Archive:
    """An archive whose shape has been checked; its files are not read yet.

    name   of its folder
    sizes  bytes of each file, by its name in the folder
    """

    def __init__(self, opened: zipfile.ZipFile) -> None:
        self._opened = opened
        entries = opened.infolist()
        self.name = entries[0].filename.partition("/")[0]
        self._entries = {each.filename.removeprefix(f"{self.name}/"): each for each in entries}
        self.sizes = {name: each.file_size for name, each in self._entries.items()}

    def read(self, name: str) -> bytes:
        """A whole file.

        Raises:
            BundleError: it is not there, or damaged.
        """
        return b"".join(self._blocks(name))

    def sha256(self, name: str) -> str:
        """Of a file's content; little of it is held at once.

        Raises:
            BundleError: it is damaged.
        """
        found = hashlib.sha256()
        for block in self._blocks(name):
            found.update(block)
        return found.hexdigest()

    def _blocks(self, name: str) -> Iterator[bytes]:
        if name not in self._entries:
            raise BundleError(f"{name} is missing: this is no bundle, or not a whole one")
        read = 0
        try:
            with self._opened.open(self._entries[name]) as file:
                while block := file.read(_BLOCK):
                    read += len(block)
                    yield block
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
            raise _damaged(f"{name!r}: {error}") from None
        if read != self.sizes[name]:
            raise _damaged(f"{name!r} has {read:,} bytes, not {self.sizes[name]:,}")


def write_archive(place: Path, folder: str, files: Mapping[str, Path | bytes]) -> None:
    """Write `files`, by their names in `folder`, as they follow each other."""
    with zipfile.ZipFile(place, "w", allowZip64=False) as archive:
        for name, content in files.items():
            entry = _entry(f"{folder}/{name}")
            with archive.open(entry, "w") as opened:
                if isinstance(content, bytes):
                    opened.write(content)
                else:
                    with content.open("rb") as file:
                        shutil.copyfileobj(file, opened, _BLOCK)


@contextmanager
def open_archive(place: Path) -> Iterator[Archive]:
    """Open an archive, and check its shape.

    Raises:
        BundleError: it is none, or of another shape: damaged, or made to do harm.
    """
    if place.is_dir():
        raise BundleError(
            f"{place} is a folder, not a bundle",
            hint=f"if it is a run's, write its bundle first: speechkit bundle {place}",
        )
    if not place.is_file():
        raise BundleError(f"{place}: there is no such file")
    try:
        with place.open("rb") as file:
            count, end = _check_end(file)
            with zipfile.ZipFile(file) as opened:
                entries = opened.infolist()
                if len(entries) != count:
                    raise _foreign(f"it says that it holds {count} files, and lists {len(entries)}")
                _check_entries(entries)
                _check_layout(file, entries, end)
                yield Archive(opened)
    except (zipfile.BadZipFile, UnicodeDecodeError, struct.error) as error:
        raise _damaged(str(error)) from None
    except NotImplementedError as error:  # a later version of the format, as the entry says
        raise _foreign(str(error)) from None
    except OSError as error:
        raise BundleError(f"{place} cannot be read: {error.strerror}") from None


def _entry(name: str) -> zipfile.ZipInfo:
    """What the archive says of a file."""
    entry = zipfile.ZipInfo(name, _EVER)
    entry.create_system = _UNIX
    entry.external_attr = _RIGHTS << 16
    # Weights are noise to a compressor.
    weights = name.endswith(f"/{WEIGHTS}")
    entry.compress_type = zipfile.ZIP_STORED if weights else zipfile.ZIP_DEFLATED
    return entry


def _check_end(file: IO[bytes]) -> tuple[int, int]:
    """Check the last record, before the list of files is read; gives their count, and its place."""
    size = file.seek(0, 2)
    if size < _END.size:
        raise BundleError("this is no bundle: it is no ZIP file")
    file.seek(size - _END.size)
    count: int
    place: int
    sign, disk, first, here, count, length, place, comment = _END.unpack(file.read(_END.size))
    if sign != b"PK\x05\x06" or comment:
        raise BundleError("this is no bundle, or not a whole one: it does not end as a bundle does")
    if count > MOST_FILES:
        raise BundleError(f"there are {count:,} files in it: a bundle has {MOST_FILES:,} at most")
    if length > MOST_FILES * (_LONGEST_NAME + 100):
        raise _foreign(f"its list of files is {length:,} bytes long")
    if not count or disk or first or here != count or place + length + _END.size != size:
        raise _foreign("its list of files does not stand where it should")
    return count, place


def _check_entries(entries: list[zipfile.ZipInfo]) -> None:
    seen: set[str] = set()
    for each in entries:
        _check_name(each)
        if each.filename in seen:
            raise BundleError(f"{each.filename!r} is in it twice")
        seen.add(each.filename)
        _check_kind(each)
        _check_size(each)
    folders = {each.filename.partition("/")[0] for each in entries}
    if len(folders) > 1:
        raise _foreign(f"it holds {len(folders)} folders")
    expanded = sum(each.file_size for each in entries if not _is_weights(each))
    if expanded > MOST_BYTES:
        raise _too_large("its files together", expanded, MOST_BYTES)


def _check_name(entry: zipfile.ZipInfo) -> None:
    name = entry.orig_filename
    shown = repr(name[:_LONGEST_NAME])
    parts = name.split("/")
    if name.startswith("/") or (len(name) > 1 and name[1] == ":"):
        raise BundleError(f"{shown} is an absolute path: a bundle has none")
    if ".." in parts:
        raise BundleError(f"{shown} leads out of the bundle's folder")
    if name.endswith("/"):
        raise _foreign(f"{shown} is a folder of its own")
    if (
        len(parts) < 2
        or {"", "."} & set(parts)
        or "\\" in name
        or not name.isprintable()
        or len(name.encode(errors="replace")) > _LONGEST_NAME
        or name != entry.filename
    ):
        raise BundleError(f"{shown}: no file in a bundle has such a name")


def _check_kind(entry: zipfile.ZipInfo) -> None:
    """Check that it is a plain file as `_entry` has it."""
    name, rights = repr(entry.filename), entry.external_attr >> 16
    if S_ISLNK(rights):
        raise BundleError(f"{name} is a link: a bundle has none")
    if S_IFMT(rights) and not S_ISREG(rights):
        kind = "a folder" if S_ISDIR(rights) else "a device"
        raise BundleError(f"{name} is {kind}: a bundle has plain files alone")
    if entry.flag_bits & _ENCRYPTED:
        raise BundleError(f"{name} is encrypted: a bundle is for all to read")
    own = _entry(entry.filename)
    own.flag_bits = 0 if entry.filename.isascii() else _UNICODE
    if other := [what for what in _ALIKE if getattr(entry, what) != getattr(own, what)]:
        raise _foreign(f"{name} has another {other[0]}")


def _check_size(entry: zipfile.ZipInfo) -> None:
    name, size = repr(entry.filename), entry.file_size
    if _is_weights(entry) and size > MOST_WEIGHTS_BYTES:
        raise _too_large(name, size, MOST_WEIGHTS_BYTES)
    if size > max(_SMALL_BYTES, _MOST_EXPANDED * entry.compress_size):
        raise BundleError(
            f"{name} would expand from {entry.compress_size:,} bytes to {size:,}: a bundle's files "
            f"expand {_MOST_EXPANDED} times at most"
        )


def _check_layout(file: IO[bytes], entries: list[zipfile.ZipInfo], end: int) -> None:
    """Check that the entries fill the file up to `end`, each behind the header it should have."""
    place = 0
    for each in entries:
        if each.header_offset != place:
            raise _foreign(f"{each.filename!r} does not follow on what is before it")
        header = each.FileHeader(zip64=False)
        file.seek(place)
        if file.read(len(header)) != header:
            raise _foreign(f"{each.filename!r} is listed as another file than it is")
        place += len(header) + each.compress_size
    if place != end:
        raise _foreign("there is something behind its files")


def _is_weights(entry: zipfile.ZipInfo) -> bool:
    return entry.filename.endswith(f"/{WEIGHTS}")


def _too_large(what: str, size: int, most: int) -> BundleError:
    return BundleError(f"{what}: {size:,} bytes, and a bundle has {most:,} at most")


def _damaged(what: str) -> BundleError:
    return BundleError(
        f"the bundle is damaged: {what}", hint="get it once more: it was cut or changed"
    )


def _foreign(what: str) -> BundleError:
    return BundleError(
        f"speechkit has not written this: {what}",
        hint="take the file as `speechkit bundle` wrote it, not one that was packed again",
    )
