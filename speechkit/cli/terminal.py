"""A terminal that is spoken to while something is recorded: lines typed, and a level meter."""

import os
import select
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from math import isinf

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.live import Live
from rich.text import Text

from speechkit.errors import DeviceError
from speechkit.inference.microphone import Microphone, Recording, peak_decibels

_COLUMNS = 30  # of the meter
_LOWEST_DECIBELS = -60.0  # where the meter begins
_LOUD_DECIBELS = -6.0  # from here on it is yellow
_FALL_DECIBELS = 3.0  # by which the meter falls from one block to the next, so that it can be read


class Keyboard:
    """Lines typed on standard input, waited for or not.

    It reads the descriptor itself: what Python's own buffer has taken, `select` cannot see.

    Raises:
        DeviceError: standard input is closed.
    """

    def __init__(self, descriptor: int | None = None) -> None:
        if descriptor is None:
            if sys.stdin is None:  # as Python has it where the descriptor is closed
                raise DeviceError(
                    "nothing can be typed: standard input is closed",
                    hint="give the command in a terminal",
                )
            descriptor = sys.stdin.fileno()
        self._descriptor = descriptor
        self._is_terminal = os.isatty(self._descriptor)
        self._is_closed = False  # nothing more can be typed
        self._typed = b""

    def line(self) -> str | None:
        """The next line, without spaces around it; None when there will be none."""
        while not self._is_closed and b"\n" not in self._typed:
            self._read()
        return self._next()

    def line_typed(self) -> str | None:
        """A line if one is typed already, `""` where it was only Enter; None if not."""
        while not self._is_closed and select.select([self._descriptor], [], [], 0)[0]:
            self._read()
        return self._next()

    def _read(self) -> None:
        given = os.read(self._descriptor, 4096)
        if not given and self._is_terminal:
            given = b"q\n"  # Ctrl-D, after which more could be typed
        self._typed += given
        self._is_closed = not given

    def _next(self) -> str | None:
        if b"\n" not in self._typed:
            return None
        line, _, self._typed = self._typed.partition(b"\n")
        return line.decode(errors="replace").strip()

    @contextmanager
    def unseen(self) -> Iterator[None]:
        """While inside, what is typed does not show: it would break the meter's line.

        A terminal keeps that after the process, which therefore always ends by way of here.
        """
        if not self._is_terminal:
            yield
            return
        before = termios.tcgetattr(self._descriptor)
        silent = [*before]
        silent[3] &= ~termios.ECHO
        termios.tcsetattr(self._descriptor, termios.TCSADRAIN, silent)
        try:
            yield
        finally:
            termios.tcsetattr(self._descriptor, termios.TCSADRAIN, before)


class Ending(Enum):
    """What ended a recording."""

    ENTER = 1
    QUIT = 2
    LIMIT = 3


def is_quit(line: str | None) -> bool:
    """Whether a line says that it is enough; the end of all lines does, too."""
    return line is None or line.lower().startswith("q")


class Studio:
    """Records while a meter shows the level, until Enter is pressed."""

    def __init__(self, microphone: Microphone, keyboard: Keyboard, console: Console) -> None:
        self.microphone = microphone
        self.keyboard = keyboard
        self.console = console

    def record(self, seconds_limit: float) -> tuple[Recording, Ending]:
        """Record, and say what ended it."""
        ending = Ending.LIMIT

        def stopped() -> bool:
            nonlocal ending
            line = self.keyboard.line_typed()
            if line is not None:
                ending = Ending.QUIT if is_quit(line) else Ending.ENTER
            return line is not None

        level = _LOWEST_DECIBELS
        with (
            self.keyboard.unseen(),
            Live(console=self.console, transient=True, auto_refresh=False) as live,
        ):

            def heard(seconds: float, samples: NDArray[np.int16]) -> None:
                nonlocal level
                level = max(peak_decibels(samples), level - _FALL_DECIBELS, _LOWEST_DECIBELS)
                live.update(meter(seconds, level), refresh=self.console.is_terminal)

            recording = self.microphone.record(
                seconds_limit=seconds_limit, stopped=stopped, heard=heard
            )
            live.update(Text(), refresh=False)
        return recording, ending

    def warn(self, recording: Recording) -> None:
        """Tell what is wrong with a recording."""
        if recording.lost:
            self._warn("the computer was too slow: some samples are missing")
        if not recording.seconds:
            self._warn("nothing was recorded")
        elif recording.is_silent:
            self._warn(
                f"almost silent, at most {level_of(recording)}: is this the right microphone, and "
                "is it on?"
            )
        elif recording.is_clipped:
            self._warn("clipped: it was too loud; move away from the microphone, or turn it down")

    def _warn(self, text: str) -> None:
        self.console.print(f"warning: {text}", markup=False, style="yellow", soft_wrap=True)


def level_of(recording: Recording) -> str:
    """How loud its loudest sample is, in words."""
    level = recording.peak_decibels
    return "digital silence" if isinf(level) else f"{round(level)} dB"


def meter(seconds: float, decibels: float) -> Text:
    """A line with the seconds recorded and a bar as long as it is loud."""
    filled = round(_COLUMNS * (1 - decibels / _LOWEST_DECIBELS))
    colour = "red" if decibels > -0.1 else "yellow" if decibels > _LOUD_DECIBELS else "green"
    return Text.assemble(
        ("● ", "red"),
        f"{seconds:5.1f} s  ",
        ("█" * filled, colour),
        ("░" * (_COLUMNS - filled), "dim"),
        f" {round(decibels):4} dB   ",
        ("Enter: stop", "dim"),
    )
