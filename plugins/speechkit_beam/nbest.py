"""The best paths through a trace, best first."""

import heapq
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from speechkit_beam.backtrace import walk
from speechkit_beam.records import Records

Path = NDArray[np.int32]


class Candidate(NamedTuple):
    """A hypothesis at the end: its score, its entry, and whether its last word is whole."""

    score: float
    entry: int
    whole: bool


class _Branch(NamedTuple):
    """A path not yet followed: `done[:kept]`, then back from `entry`."""

    cost: float
    number: int  # of equal ones, the first found comes first
    entry: int
    done: Path
    kept: int
    whole: bool


def best_paths(
    trace: Records, starts: Sequence[Candidate], frames: int, most: int
) -> Iterator[tuple[float, Path, bool]]:
    """Paths from the hypotheses back to the beginning, best first.

    At each join of the trace a path can take the other history, whose score is worse by a known
    amount. So those that leave the best path once are known when it was followed, and so on.

    Args:
        trace: (A,) of the search.
        starts: where paths begin, best first; those whose last word is not whole come last.
        frames: T.
        most: paths wanted, about.

    Yields:
        Score; entries of the labels, last first; whether the last word is whole.
    """
    path = np.empty(frames, np.int32)
    joins = np.empty((2, len(trace) if most > 1 else 0), np.int32)
    for whole in (True, False):
        waiting = [
            _Branch(-start.score, number, start.entry, path[:0], 0, whole)
            for number, start in enumerate(starts)
            if start.whole == whole
        ]
        number = len(waiting)
        while waiting:
            branch = heapq.heappop(waiting)
            count, met = walk(trace, branch.entry, path, joins)
            whole_path = np.concatenate([branch.done[: branch.kept], path[:count]])
            yield -branch.cost, whole_path, whole
            here = joins[:, : min(met, joins.shape[1])]
            shares = trace["prob"][here[1]]
            for at in np.argsort(-shares, kind="stable")[:most]:
                entry = int(here[1, at])
                waiting_cost = branch.cost - math.log(float(shares[at]))
                other, done = int(trace["other"][entry]), branch.kept + int(here[0, at])
                heapq.heappush(
                    waiting, _Branch(waiting_cost, number, other, whole_path, done, whole)
                )
                number += 1
