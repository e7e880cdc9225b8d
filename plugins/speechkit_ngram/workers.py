"""Utterances searched in several processes, once that pays."""

import multiprocessing
import os
import signal
import sys
import time
import warnings
import weakref
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.util import Finalize

from speechkit import SpeechkitError, usable_cores
from speechkit_ngram.search import Found, Job, Search

_FORK_SECONDS = 0.2  # to start processes that share this one's memory
_SPAWN_SECONDS = 2.0  # to start Python anew, beside opening the language model
_LAST = -1000  # of what multiprocessing calls as a process ends

_search: Search | None = None  # of a worker process


def start_method() -> str:
    """`fork` where that is safe: the workers then share the language model as it is."""
    return "fork" if sys.platform == "linux" else "spawn"


class Workers:
    """Calls a search for each job: here, and in other processes from when they are worth it.

    They are started once the time spent here and the time to come, as estimated, exceed what
    starting takes: a few utterances never wait for processes, and no work takes much more than
    twice the time of the better choice. They stay until the decoder goes.
    """

    def __init__(self, search: Search, processes: int) -> None:
        self._search = search
        self._processes = processes or usable_cores()
        if multiprocessing.current_process().daemon:
            self._processes = 1  # which may have no children
        self._pool: ProcessPoolExecutor | None = None
        self._seconds = 0.0
        self._frames = 0

    def __call__(self, jobs: Sequence[Job]) -> list[list[Found]]:
        """The hypotheses of each, in the same order.

        Raises:
            SpeechkitError: a worker process died.
        """
        results: list[list[Found]] = []
        while len(results) < len(jobs) and not self._share(jobs[len(results) :]):
            results.append(self._here(jobs[len(results)]))
        rest = jobs[len(results) :]
        if not rest:
            return results
        try:
            return [*results, *self._started().map(_in_worker, rest)]
        except BrokenProcessPool as error:
            raise SpeechkitError(
                "a process of the decoder kenlm died: out of memory, or a script that starts "
                'speechkit has no `if __name__ == "__main__":`',
                hint="set processes = 1 in the decoder's table",
            ) from error

    def _share(self, left: Sequence[Job]) -> bool:
        """Whether these go to the other processes."""
        if self._processes == 1 or len(left) == 1:
            return False
        if self._pool is not None:
            return True
        if not self._frames:
            return False
        to_come = sum(len(job.log_probs) for job in left) * self._seconds / self._frames
        start = _FORK_SECONDS
        if start_method() != "fork":
            start = _SPAWN_SECONDS + self._search.opening_seconds
        return self._seconds + to_come > start

    def _here(self, job: Job) -> list[Found]:
        began = time.perf_counter()
        found = self._search(job)
        self._seconds += time.perf_counter() - began
        self._frames += len(job.log_probs)
        return found

    def _started(self) -> ProcessPoolExecutor:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                self._processes,
                mp_context=multiprocessing.get_context(start_method()),
                initializer=_start,
                initargs=(self._search,),
            )
            weakref.finalize(self, self._pool.shutdown, wait=False, cancel_futures=True)
            with warnings.catch_warnings():
                # Of forking beside other threads: a worker takes none of the locks they may hold.
                warnings.simplefilter("ignore", DeprecationWarning)
                self._pool.submit(os.getpid)
        return self._pool


def _start(search: Search) -> None:
    """Set a worker process up: forked, `search` is the parent's; spawned, it opens the model."""
    global _search  # noqa: PLW0603 - a process' own
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent stops them
    # A fork knows the threads of its parent's other pools, and Python would join them at its end:
    # forever, where one was just ending as this process was made.
    Finalize(None, os._exit, args=(0,), exitpriority=_LAST)
    search.open()
    _search = search


def _in_worker(job: Job) -> list[Found]:
    assert _search is not None
    return _search(job)
