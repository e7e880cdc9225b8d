"""Tells trackers how a run goes: plugins that keep its curves and scores elsewhere.

A tracker sees, and changes nothing: what it is given cannot be changed, what it gives is not used,
what it changes of the libraries that compute is put back, and one that fails is warned of while the
run goes on. It is told by the first process alone.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from textwrap import shorten

from speechkit.discovery import Tracker
from speechkit.errors import TerminatedError
from speechkit.interfaces import RunEnd, RunInfo
from speechkit.processwide import COMPUTING, generators, kept
from speechkit.reporter import Reporter

_LONGEST = 300  # characters of what a tracker raised


class Tracking:
    """Trackers, and the run that they are told of once it has begun."""

    def __init__(self, trackers: Sequence[Tracker], reporter: Reporter) -> None:
        self._trackers = tuple(trackers)
        self._reporter = reporter
        self._run: RunInfo | None = None
        self._warned: set[tuple[Tracker, str]] = set()

    def begin(self, run: RunInfo) -> None:
        """Tell that a run begins."""
        self._run = run
        for tracker in self._trackers:
            self._reporter.say(f"{tracker} is told of this run")
        self.tell("speechkit_on_run_start")

    @contextmanager
    def ending(self, result: Callable[[], RunEnd]) -> Iterator[None]:
        """Tell how what is inside ended: well, which `result` describes, or with an error."""
        try:
            yield
        except BaseException as error:
            failed = isinstance(error, Exception) and not isinstance(error, TerminatedError)
            end = replace(
                result(),
                status="failed" if failed else "stopped",
                error=str(error) or type(error).__name__,
            )
            self.tell("speechkit_on_run_end", end=end)
            raise
        self.tell("speechkit_on_run_end", end=result())

    def tell(self, hook: str, **given: object) -> None:
        """Call a hook of each tracker, if a run has begun; whatever one raises is a warning.

        The same trouble is told once: a tracker that does not reach its server has it at each step.
        """
        if self._run is None:
            return
        for tracker in self._trackers:
            with kept(COMPUTING) as changes:
                try:
                    getattr(tracker.hook, hook)(run=self._run, **given)
                except (Exception, SystemExit) as error:
                    trouble = f"{type(error).__name__}: {error}"
                    self._warn(tracker, f"failed in {hook}", trouble, "the run goes on without it")
            # That a library draws a random number for itself is no defect.
            drawn = {each.name for each in generators()} if changes else set()
            if flags := [each for each in changes if each not in drawn]:
                self._warn(tracker, f"meddled in {hook}", ", ".join(flags), "it was put back")

    def _warn(self, tracker: Tracker, did: str, trouble: str, then: str) -> None:
        """Warn of a tracker, once of the same trouble."""
        trouble = shorten(trouble, _LONGEST, placeholder=" ...")
        if (tracker, trouble) not in self._warned:
            self._warned.add((tracker, trouble))
            self._reporter.warn(f"{tracker} {did} ({trouble}): {then}")
