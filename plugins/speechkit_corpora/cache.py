"""The folder for what is made once and used by many runs, and how files get into it whole."""

import contextlib
import hashlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

_REMEMBERED = 32 * 2**20  # bytes; a smaller file is hashed again in milliseconds


def cache_folder() -> Path:
    """`$SPEECHKIT_CACHE`, by default `~/.cache/speechkit`."""
    return Path(os.environ.get("SPEECHKIT_CACHE") or "~/.cache/speechkit").expanduser()


@contextlib.contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A name beside `path` to write to; it becomes `path` when the block ends without an error.

    Whoever sees `path` sees all of it, however many processes write it, and whenever one is killed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def content_digest(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal.

    The content and not the time of change: a corpus that was copied to another machine is still
    the same, and a run trained on it stays valid. A large file's digest is remembered, by its
    place, size and time of change, since hashing a terabyte takes a quarter of an hour.
    """
    known = path.stat()
    remembered: Path | None = None
    if known.st_size >= _REMEMBERED:
        key = f"{path.resolve()}\n{known.st_size}\n{known.st_mtime_ns}"
        remembered = cache_folder() / "digests" / hashlib.sha256(key.encode()).hexdigest()
        with contextlib.suppress(OSError):
            return remembered.read_text(encoding="ascii")
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if remembered is not None:
        # A cache that cannot be written to costs time and nothing else.
        with contextlib.suppress(OSError), written_whole(remembered) as unfinished:
            unfinished.write_text(digest, encoding="ascii")
    return digest
