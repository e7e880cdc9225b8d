"""A coarse, then a refined search of weights, which the noise of few utterances does not mislead.

The third weight and those after it come first, each at the ends and in the middle of its range.
With what was best follows a grid over the first two, since they act together: the more a language
model counts, the fewer words it writes. Then the neighbours of the point chosen so far are tried,
in the first two weights in all directions, in the others one by one. Where that moves the point,
its new neighbours follow at the same distance, beyond the ranges, too; where it does not, the
distance is halved.

The point chosen need not be the one of fewest errors: among settings that are equally good, that
one owes its place to chance. All that are worse by no more than a quarter of the standard error of
the difference count as equal, and the one in their middle is chosen. (A whole standard error, as
L. Breiman et al. have it in "Classification and Regression Trees", 1984, was worse on other speech:
surfaces are steeper on one side than on the other, and the middle moves to where they are flat.)
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

_GRID_SHARE = 0.45  # of all settings are for the coarse grid
_WIDEST = 9  # values of a weight in the coarse grid, at most
_NARROWEST = 3  # where there are too few settings for so many, there is no grid
_HALVINGS = 3  # of the distance between neighbours
_EQUAL = 0.25  # standard errors
_DECIMALS = 4  # of a weight


@dataclass(frozen=True)
class Trial:
    """Settings that were tried.

    errors  (utterances,) word errors of each
    """

    settings: dict[str, float]
    errors: NDArray[np.int64]

    @property
    def total(self) -> int:
        """Word errors of all utterances."""
        return int(self.errors.sum())


class Search:
    """Gives settings to try, one after the other; each that can be tried is noted before the next.

    >>> search = Search({"weight": (0.0, 2.0)}, start={"weight": 0.5}, settings=12)
    >>> for settings in search:
    ...     search.note(settings, np.array([round(8 * abs(settings["weight"] - 1.2))]))
    >>> search.chosen().settings
    {'weight': 1.1875}
    """

    def __init__(
        self, ranges: Mapping[str, tuple[float, float]], start: Mapping[str, float], settings: int
    ) -> None:
        """Begin.

        Args:
            ranges: weight -> the lowest and the highest value of the coarse grid.
            start: the weights as they are; in the middle of its range where one is not said.
            settings: how many to try at most, the start among them.
        """
        middle = {name: (low + high) / 2 for name, (low, high) in ranges.items()}
        self.start = {name: float(start.get(name, middle[name])) for name in ranges}
        self.trials: list[Trial] = []
        self._ranges = dict(ranges)
        self._settings = settings
        self._seen: set[tuple[float, ...]] = set()
        self._main = list(ranges)[:2]
        self._size = min(_WIDEST, int((_GRID_SHARE * settings) ** (1 / len(self._main))))

    def note(self, settings: Mapping[str, float], errors: NDArray[np.int64]) -> None:
        """What the settings gave: (utterances,) word errors."""
        self.trials.append(Trial(dict(settings), errors))

    def __iter__(self) -> Iterator[dict[str, float]]:
        yield from self._new([self.start])
        if self._size >= _NARROWEST:
            for name in list(self._ranges)[2:]:
                values = np.linspace(*self._ranges[name], num=_NARROWEST).tolist()
                so_far = self._fewest().settings
                yield from self._new(so_far | {name: value} for value in values)
            yield from self._new(self._grid(self._fewest().settings))
        intervals = dict.fromkeys(self._ranges, _NARROWEST - 1)
        intervals |= {name: max(_NARROWEST, self._size) - 1 for name in self._main}
        halvings = 1
        while halvings <= _HALVINGS and len(self.trials) < self._settings:
            steps = {
                name: (high - low) / intervals[name] / 2**halvings
                for name, (low, high) in self._ranges.items()
            }
            before = self.chosen()
            yield from self._new(self._around(before.settings, steps))
            halvings += self.chosen() is before

    def _new(self, points: Iterable[Mapping[str, float]]) -> Iterator[dict[str, float]]:
        """Those that were not given yet, as many as are left."""
        for point in points:
            rounded = {name: round(value, _DECIMALS) + 0.0 for name, value in point.items()}
            key = tuple(rounded.values())
            if key not in self._seen and len(self.trials) < self._settings:
                self._seen.add(key)
                yield rounded

    def _grid(self, others: Mapping[str, float]) -> Iterator[dict[str, float]]:
        values = [np.linspace(*self._ranges[name], num=self._size).tolist() for name in self._main]
        for chosen in product(*values):
            yield {**others, **dict(zip(self._main, chosen, strict=True))}

    def _around(
        self, centre: Mapping[str, float], steps: Mapping[str, float]
    ) -> Iterator[dict[str, float]]:
        """The neighbours of a point, nearest first."""
        directions = sorted(
            product((-1, 0, 1), repeat=len(self._main)), key=lambda each: sum(map(abs, each))
        )
        for direction in directions:
            moved = zip(self._main, direction, strict=True)
            yield {**centre, **{name: centre[name] + way * steps[name] for name, way in moved}}
        for name in list(self._ranges)[2:]:
            for way in (-1, 1):
                yield {**centre, name: centre[name] + way * steps[name]}

    def chosen(self) -> Trial:
        """The best so far: the middle one of those that are as good as the one of fewest errors.

        It has no more errors than the start. Of two as near to the middle it is the one nearer to
        the start.
        """
        fewest = self._fewest()
        limit = self.trials[0].total
        good = [
            trial
            for trial in self.trials
            if trial.total <= limit
            and trial.total - fewest.total <= _EQUAL * _standard_error(trial.errors - fewest.errors)
        ]
        places = np.array([self._place(trial.settings) for trial in good])
        start = self._place(self.start)
        from_middle = np.linalg.norm(places - places.mean(axis=0), axis=1).round(_DECIMALS)
        from_start = np.linalg.norm(places - start, axis=1).round(_DECIMALS)
        order = sorted(
            range(len(good)), key=lambda at: (from_middle[at], from_start[at], good[at].total)
        )
        return good[order[0]]

    def _fewest(self) -> Trial:
        """Of the fewest errors, the first where there are several."""
        return min(self.trials, key=lambda trial: trial.total)

    def edges(self) -> dict[str, str]:
        """Weights whose chosen value is the "lowest" or the "highest" tried."""
        found = {}
        for name, value in self.chosen().settings.items():
            tried = [trial.settings[name] for trial in self.trials]
            if min(tried) < max(tried) and value in (min(tried), max(tried)):
                found[name] = "lowest" if value == min(tried) else "highest"
        return found

    def _place(self, settings: Mapping[str, float]) -> NDArray[np.float64]:
        """Settings in units of their ranges."""
        widths = [high - low for low, high in self._ranges.values()]
        return np.array([settings[name] for name in self._ranges]) / widths


def _standard_error(differences: NDArray[np.int64]) -> float:
    """Of the sum of (utterances,) differences."""
    count = len(differences)
    return float(differences.std(ddof=1)) * math.sqrt(count) if count > 1 else 0.0
