"""One process at a time in a folder."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from speechkit.data.files import telling_of_full_disks
from speechkit.errors import RunError

# Folders this process holds. The locks are POSIX ones, which a process that is forked off does not
# inherit: a decoder's worker that outlives a killed run must not keep its folder locked.
_HELD: set[Path] = set()


@contextmanager
def locked(folder: Path, *, name: str, busy: str, unwritable: str) -> Iterator[None]:
    """Hold `folder` while inside; it is made where it is not there.

    Args:
        folder: the lock is a file `.lock` in it.
        name: what the folder is, for messages: "the run's folder runs/n2".
        busy: what to do if another holds it: the error's hint.
        unwritable: what to do if it cannot be written: the error's hint.

    Raises:
        RunError: another process holds it, it cannot be written, or the disk is full.
    """
    if folder.resolve() in _HELD:  # which this process's own lock would let in again
        raise RunError(f"{name} is in use by process {os.getpid()}", hint=busy)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("a+")
    except OSError as error:
        raise RunError(f"{name} cannot be written: {error.strerror}", hint=unwritable) from None
    with lock:
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            holder = lock.read().strip() or "?"
            raise RunError(f"{name} is in use by process {holder}", hint=busy) from None
        _HELD.add(folder.resolve())
        try:
            with telling_of_full_disks(folder):
                lock.truncate(0)
                lock.write(f"{os.getpid()}\n")
                lock.flush()
            yield
        finally:
            _HELD.discard(folder.resolve())
