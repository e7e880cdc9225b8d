"""What a check is, and what it gives."""

import inspect
import logging
import random
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from speechkit.processwide import COMPUTING, generators, kept
from speechkit.testing.subject import Subject

Outcome = Literal["passed", "failed", "skipped"]
_HERE = Path(__file__).parent
_SEED = 20_001  # of the global generators while a check runs: it says the same each time


class Unmet(AssertionError):  # noqa: N818 - what a check says, more than an error
    """The part does not hold what its interface promises; the message is what was seen."""


class NotApplicable(Exception):  # noqa: N818 - no error
    """The check says nothing about this part; the message is why."""


@dataclass(frozen=True)
class Result:
    """What a check saw.

    component  "model:n2"
    check      the check's name
    outcome    "skipped" where it says nothing about this part
    did        what it did
    saw        what came of it
    cause      what usually causes a failure; empty where there is none
    seconds    it took
    """

    component: str
    check: str
    outcome: Outcome
    did: str
    saw: str
    cause: str
    seconds: float


@dataclass(frozen=True)
class Check:
    """A promise of an interface, and how to see whether a part keeps it.

    kind   of the parts it is for
    name   of it
    does   what it does, in a sentence or two
    cause  what usually causes a failure
    run    tries it on a part and says what it saw; raises `Unmet` or `NotApplicable`
    """

    kind: str
    name: str
    does: str
    cause: str
    run: Callable[[Any], str]

    def __call__(self, subject: Subject) -> Result:
        """Try it on a part. Whatever the part raises is a failure; global generators stay."""
        began = time.perf_counter()
        outcome: Outcome = "failed"
        cause = self.cause
        try:
            with _apart():
                saw = _leaving_flags(self.run, subject)
            outcome = "passed"
        except NotApplicable as reason:
            outcome, saw = "skipped", str(reason)
        except Unmet as unmet:
            saw = str(unmet)
        except (Exception, SystemExit) as error:  # whatever a part may raise
            place, is_own = _place(error, subject)
            saw = f"{type(error).__name__}: {error}{place}"
            cause = f"a mistake there; if there is none, {cause}" if is_own else cause
        return Result(
            component=str(subject),
            check=self.name,
            outcome=outcome,
            did=self.does,
            saw=saw,
            cause=cause if outcome == "failed" else "",
            seconds=time.perf_counter() - began,
        )


class Checks(list[Check]):
    """The checks of a kind of part, in the order in which they are run.

    The first says whether the part can be built at all: without it the others are not tried.
    """

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def add(self, cause: str) -> Callable[[Callable[[Any], str]], Check]:
        """Make a function a check: its name is the check's, its docstring what it does."""

        def added(run: Callable[[Any], str]) -> Check:
            does = " ".join((inspect.getdoc(run) or "").split())
            self.append(Check(self.kind, run.__name__, does, cause, run))
            return self[-1]

        return added


@contextmanager
def _apart() -> Iterator[None]:
    """Global generators are seeded within, warnings are not told; all is as it was afterwards."""
    with kept(), torch.random.fork_rng(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(_SEED)
        np.random.seed(_SEED)
        random.seed(_SEED)
        logged = logging.root.manager.disable
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(logged)


def _leaving_flags(run: Callable[[Any], str], subject: Subject) -> str:
    """Run a check, and see that the part sets no flag of PyTorch or NumPy, which are for all.

    Raises:
        Unmet: it does.
    """
    with kept(COMPUTING) as changes:
        saw = run(subject)
    flags = [each for each in changes if each not in {state.name for state in generators()}]
    if flags:
        raise Unmet(
            f"it changes what all code shares, and leaves it so: {', '.join(flags)}; "
            "a part sets such things for as long as it runs, and then back"
        )
    return saw


def _place(error: BaseException, subject: Subject) -> tuple[str, bool]:
    """Where it was raised, " (model.py:12)", and whether the part's own code did, or called it."""
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [each for each in frames if Path(each.filename).parent != _HERE]
    own = [each for each in theirs if subject.owns(each.filename)]
    if not (own or theirs):
        return "", False
    last = (own or theirs)[-1]
    return f" ({Path(last.filename).name}:{last.lineno})", bool(own)
