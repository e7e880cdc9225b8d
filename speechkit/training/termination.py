"""A request to end, noted until there is a good moment to follow it."""

import signal
import threading
from types import FrameType
from typing import Self


class Termination:
    """Whether this process was asked to end (SIGTERM) while inside."""

    def __init__(self) -> None:
        self.asked = False

    def __enter__(self) -> Self:
        self._heard = threading.current_thread() is threading.main_thread()
        if self._heard:  # Python lets no other thread hear of signals
            self._before = signal.signal(signal.SIGTERM, self._note)
        return self

    def __exit__(self, *error: object) -> None:
        if self._heard:
            signal.signal(signal.SIGTERM, self._before)

    def _note(self, _: int, __: FrameType | None) -> None:
        self.asked = True
