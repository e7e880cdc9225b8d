"""SIGTERM, as `kill` and a cluster's scheduler send it, ends a command as tidily as Ctrl-C does."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class TerminationError(BaseException):
    """SIGTERM was received: raised wherever the command is, as Ctrl-C raises its exception."""


@contextmanager
def ends_tidily() -> Iterator[None]:
    """While inside, SIGTERM raises `TerminationError` in the main thread.

    So temporary files are removed, and a terminal gets its echo back. Processes forked inside end
    there and then, as they would without: their parent sees to what they leave.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # Python lets no other thread hear of signals
        return
    process = os.getpid()

    def end(number: int, _: FrameType | None) -> None:
        if os.getpid() == process:
            raise TerminationError
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
