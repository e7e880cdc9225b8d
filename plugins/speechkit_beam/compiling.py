"""Compiling with numba, where it is installed; the same functions run by Python where it is not.

Compiled code is kept in `$NUMBA_CACHE_DIR`, else in `$SPEECHKIT_CACHE/numba`, by default
`~/.cache/speechkit/numba`: site-packages may not be writable. Each version of this package's source
has a folder of its own there, since numba does not see that a function of another file changed.
"""

import hashlib
import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar, cast

numba: Any  # its types do not know of all its options
try:
    numba = import_module("numba")
except ImportError:
    numba = None

Function = TypeVar("Function", bound=Callable[..., Any])

COMPILED = numba is not None
_SAY_AFTER_SECONDS = 2.0
_log = logging.getLogger(__name__)


def _folder() -> Path | None:
    """Where compiled code is kept; None where it cannot be."""
    given = os.environ.get("NUMBA_CACHE_DIR")
    cache = os.environ.get("SPEECHKIT_CACHE") or "~/.cache/speechkit"
    source = hashlib.sha256()
    for file in sorted(Path(__file__).parent.glob("*.py")):
        source.update(file.read_bytes())
    folder = Path(given) if given else Path(cache).expanduser() / "numba"
    folder = folder / f"speechkit_beam-{source.hexdigest()[:16]}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return folder if os.access(folder, os.W_OK) else None


_FOLDER = _folder() if COMPILED else None


def compiled(function: Function) -> Function:
    """Compile a function on its first call; it then runs without the interpreter's lock."""
    return _jit(function, cache=_FOLDER is not None)


def inlined(function: Function) -> Function:
    """Compile a small function into those that call it."""
    return _jit(function, forceinline=True)


def _jit(function: Function, **options: Any) -> Function:  # noqa: ANN401 - numba's
    if not COMPILED:
        return function
    options |= {"nogil": True, "error_model": "numpy"}
    usual, numba.config.CACHE_DIR = numba.config.CACHE_DIR, str(_FOLDER or "")
    try:
        # None of this package's functions allocates memory. To count references to the arrays it is
        # handed all the same takes them half their time.
        return cast(Function, numba.njit(_nrt=False, **options)(function))
    except KeyError:  # a numba that has no such option
        return cast(Function, numba.njit(**options)(function))
    finally:
        numba.config.CACHE_DIR = usual


_called: list[bool] = []


@contextmanager
def first_call() -> Iterator[None]:
    """Around the search: the first time in a process, say on stderr why it takes long.

    Compiling takes half a minute where it was not done before; nobody shall think it hangs.
    """
    first, timer = not _called, None
    _called[:] = [True]
    if first and not COMPILED:
        _log.warning(
            "numba is not installed: the beam search is interpreted, over a thousand times "
            "slower; pip install numba"
        )
    elif first:
        kept = f"kept in {_FOLDER}" if _FOLDER else "not kept: no folder can be written"
        said = "compiling the beam search, which takes half a minute; %s"
        timer = threading.Timer(_SAY_AFTER_SECONDS, _log.warning, [said, kept])
        timer.daemon = True
        timer.start()
    try:
        yield
    finally:
        if timer is not None:
            timer.cancel()
