"""A model's file: the safetensors format, read as a memory map.

https://github.com/huggingface/safetensors#format: eight bytes with the length of a JSON header,
the header, then the tensors one after the other. Read here by hand, since the library copies
what it reads; any reader of the format can open the file all the same.
"""

import json
import mmap
import os
import shutil
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from speechkit import DataError

FILE_NAME = "lm.safetensors"
VERSION, PACKED = 1, 2  # of the format
_FORMAT = "speechkit n-gram model"
_NAMES = {"I32": "<i4", "F32": "<f4", "I64": "<i8", "U8": "|u1", "U16": "<u2", "F16": "<f2"}
_CODES = {np.dtype(name): code for code, name in _NAMES.items()}
_BYTES_AT_ONCE = 1 << 24
CHECKED_BYTES = 1 << 30  # above, reading everything once would be felt


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A place beside `path` to write to, renamed to `path` if all went well and removed if not.

    Raises:
        DataError: it cannot be written: a full disk, no permission, a folder of that name.
    """
    with told_of_writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".partial")
        os.close(handle)
        partial = Path(name)
        try:
            yield partial
            partial.chmod(0o666 & ~_umask())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


@contextmanager
def told_of_writing(path: Path) -> Iterator[None]:
    """While inside, what the system says is said of writing to `path`.

    Raises:
        DataError: it said something.
    """
    try:
        yield
    except OSError as error:
        raise DataError(
            f"{path}: cannot be written: {error.strerror or error}",
            hint="give a path on a disk with room, where you may write and no file is in the way",
        ) from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@contextmanager
def temporary_folder(beside: Path) -> Iterator[Path]:
    """A folder for temporary files on the disk of `beside`, removed at the end.

    Raises:
        DataError: it cannot be written.
    """
    with told_of_writing(beside):
        beside.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=beside, prefix=".lm.", suffix=".partial"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def save(
    path: Path,
    arrays: Mapping[str, npt.NDArray[Any]],
    metadata: Mapping[str, Any],
    *,
    version: int = VERSION,
) -> None:
    """Write arrays and what is to be known of them; the file is there whole or not at all."""
    header: dict[str, Any] = {}
    at = 0
    for name, array in arrays.items():
        code = _CODES[array.dtype.newbyteorder("<") if array.itemsize > 1 else array.dtype]
        header[name] = {
            "dtype": code,
            "shape": list(array.shape),
            "data_offsets": [at, at + array.nbytes],
        }
        at += array.nbytes
    known = {"format": _FORMAT, "version": str(version), **metadata}
    with written_whole(path) as partial, partial.open("r+b") as file:
        _write_header(file, {"__metadata__": {**known, "crc32": "0" * 8}, **header})
        checksum = 0
        for array in arrays.values():
            raw = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
            for start in range(0, len(raw), _BYTES_AT_ONCE):
                some = raw[start : start + _BYTES_AT_ONCE].data
                checksum = zlib.crc32(some, checksum)
                file.write(some)
        file.seek(0)
        _write_header(file, {"__metadata__": {**known, "crc32": f"{checksum:08x}"}, **header})
        file.flush()
        os.fsync(file.fileno())


def _write_header(file: IO[bytes], header: Mapping[str, Any]) -> None:
    written = json.dumps(header, ensure_ascii=False).encode()
    written += b" " * (-len(written) % 8)
    file.write(len(written).to_bytes(8, "little") + written)


def open_arrays(
    path: Path, *, verify: bool | None = None
) -> tuple[dict[str, npt.NDArray[Any]], dict[str, str]]:
    """Map a file that `save` wrote: its arrays, read-only and read as they are used, and metadata.

    Args:
        path: the file.
        verify: whether to compare the checksum, which reads the whole file; None: if that takes
            under a second.

    Raises:
        DataError: not such a file, of another version, cut off, or changed since.
    """
    rebuild = "build the model again with `speechkit lm build`"
    try:
        with path.open("rb") as file:
            whole = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}", hint=rebuild) from error
    except ValueError as error:  # mmap's word for an empty file
        raise DataError(f"{path}: the file is empty", hint=rebuild) from error
    length = int.from_bytes(whole[:8], "little")
    try:
        header = json.loads(whole[8 : 8 + length]) if length < len(whole) else {}
        metadata = header.pop("__metadata__")
    except (ValueError, KeyError, AttributeError):
        metadata = {}
    if metadata.get("format") != _FORMAT:
        raise DataError(
            f"{path}: not a {_FORMAT}",
            hint="give one that `speechkit lm build` wrote, or an ARPA file",
        )
    version = metadata.get("version")
    if version not in {str(VERSION), str(PACKED)}:
        raise DataError(
            f"{path}: version {version} of the format, this speechkit reads {VERSION} and {PACKED}",
            hint=rebuild,
        )
    start = 8 + length
    try:
        places = _places(header, start)
        wanted_checksum = int(metadata["crc32"], 16)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: the file's header is damaged: {error}", hint=rebuild) from error
    end = max(place.stop for place in places.values())
    if len(whole) != end:
        raise DataError(f"{path}: {len(whole)} bytes of {end}, the file is cut off", hint=rebuild)
    if verify is None:
        verify = len(whole) <= CHECKED_BYTES
    if verify and _checksum(whole, start) != wanted_checksum:
        raise DataError(f"{path}: its contents have changed since it was written", hint=rebuild)
    arrays = {
        name: np.frombuffer(
            whole, _NAMES[each["dtype"]], count=each["shape"][0], offset=places[name].start
        )
        for name, each in header.items()
    }
    return arrays, metadata


def _places(header: Mapping[str, Any], start: int) -> dict[str, slice]:
    """Where the bytes of each array are: one after the other, or the header is damaged.

    Raises:
        KeyError, TypeError, ValueError: it is.
    """
    places, at = {}, start
    for name, each in header.items():
        (count,), (first, last) = each["shape"], each["data_offsets"]
        place = slice(start + first, start + last)
        size = count * np.dtype(_NAMES[each["dtype"]]).itemsize
        if place != slice(at, at + size):
            raise ValueError(f"{name} is not where it should be")
        places[name], at = place, at + size
    if not places:
        raise ValueError("it names no arrays")
    return places


def _checksum(whole: mmap.mmap, start: int) -> int:
    checksum = 0
    with memoryview(whole) as view:
        for at in range(start, len(view), _BYTES_AT_ONCE):
            checksum = zlib.crc32(view[at : at + _BYTES_AT_ONCE], checksum)
    return checksum
