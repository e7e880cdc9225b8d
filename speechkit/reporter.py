"""What a person sees while a run goes on: lines and progress bars, on stderr."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

_PATIENCE_SECONDS = 2.0  # a bar appears for what lasts longer

Advance = Callable[[int, int | None, str], None]
"""Done, of how many (None: not known), and a word on how it goes."""


class Reporter:
    """Lines and progress bars; `Reporter(Console(quiet=True))` shows nothing."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True, highlight=False)

    def say(self, text: str) -> None:
        """One line, as it is: no markup is read in it."""
        self.console.print(text, markup=False, soft_wrap=True)

    def warn(self, text: str) -> None:
        """One line that should not be overlooked."""
        self.console.print(f"warning: {text}", markup=False, style="yellow", soft_wrap=True)

    @contextmanager
    def progress(self, title: str) -> Iterator[Advance]:
        """A bar that appears once the work has lasted two seconds, on a terminal only."""
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[word]}"),
        )
        bar = Progress(*columns, console=self.console, transient=True)
        task = bar.add_task(title, total=None, word="")
        began, shown = time.monotonic(), False

        def advance(done: int, total: int | None, word: str = "") -> None:
            nonlocal shown
            bar.update(task, completed=done, total=total, word=word)
            waited = time.monotonic() - began > _PATIENCE_SECONDS
            if waited and not shown and self.console.is_terminal:
                bar.start()
                shown = True

        try:
            yield advance
        finally:
            if shown:
                bar.stop()
