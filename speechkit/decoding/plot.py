"""A picture of a search of weights: where the errors are few."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from speechkit.data.files import written_whole

_STYLE: Any = {
    "svg.fonttype": "path",  # letters of any alphabet are seen where their font is not installed
    "svg.hashsalt": "speechkit",  # the same search gives the same file
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 9,
}
_UNITS = {
    "word_bonus": "nats a word",
    "oov_penalty": "nats a word",
    "blank_penalty": "nats a frame",
}
_BEST, _BEFORE = "#d62728", "#ffffff"
_SHOWN = 0.75  # of all points are told apart by colour; the worst would take all of the scale
_LEVELS = 12


def draw_tuning(found: Mapping[str, Any], place: Path) -> None:
    """Write an SVG of what `tuning/DECODER.json` holds."""
    with mpl.rc_context(_STYLE), written_whole(place) as beside:
        tuning_figure(found).savefig(beside, format="svg", metadata={"Date": None})


def tuning_figure(found: Mapping[str, Any]) -> Figure:
    """A map of the word error rate over the first two weights, and a panel for each weight.

    A panel shows the lowest rate at each value tried.
    """
    names = list(found["best"]["settings"])
    points = {
        name: np.array([point["settings"][name] for point in found["points"]]) for name in names
    }
    rates = np.array([100 * point["wer"] for point in found["points"]], np.float64)
    has_map = len(names) > 1
    figure = Figure(figsize=(9.5 if has_map else 5.5, 5.2), layout="constrained")
    grid = figure.add_gridspec(
        max(2, len(names)) if has_map else 1,
        2 if has_map else 1,
        width_ratios=[1.9, 1] if has_map else None,
    )
    if has_map:
        _draw_map(figure, figure.add_subplot(grid[:, 0]), found, names[:2], points, rates)
    for row, name in enumerate(names):
        axes = figure.add_subplot(grid[row, -1])
        _draw_line(axes, found, name, points[name], rates)
    figure.suptitle(_title(found), fontsize=10)
    return figure


def _title(found: Mapping[str, Any]) -> str:
    before, best = (100 * found[which]["wer"] for which in ("before", "best"))
    return (
        f"{found['decoder']}: {len(found['points'])} settings on {found['utterances']} utterances "
        f"of {found['part']}\nword error rate {before:.2f} % before, {best:.2f} % with the best"
    )


def _label(name: str) -> str:
    return f"{name} ({_UNITS[name]})" if name in _UNITS else name


def _ceiling(rates: NDArray[np.float64]) -> float:
    """The rate from which on one is as bad as another, to the eye."""
    return float(max(np.quantile(rates, _SHOWN), rates.min() + 0.1))


def _draw_map(
    figure: Figure,
    axes: Axes,
    found: Mapping[str, Any],
    names: Sequence[str],
    points: Mapping[str, NDArray[np.float64]],
    rates: NDArray[np.float64],
) -> None:
    """The rate over two weights, the lowest where other weights differ."""
    lowest: dict[tuple[float, float], float] = {}
    for left, below, rate in zip(points[names[0]], points[names[1]], rates, strict=True):
        place = float(left), float(below)
        lowest[place] = min(rate, lowest.get(place, np.inf))
    x, y = np.array(list(lowest)).T
    z = np.array(list(lowest.values()))
    levels = np.linspace(z.min(), _ceiling(z), _LEVELS)
    kinds: dict[str, Any] = {"cmap": "viridis_r", "vmin": levels[0], "vmax": levels[-1]}
    shown: Any = axes.scatter(x, y, c=z, s=14, edgecolors="#ffffffb0", linewidths=0.7, **kinds)
    if np.linalg.matrix_rank([x - x[0], y - y[0]]) == 2:  # not all in a line
        # In units of the plot: triangles of long sides would join what is far apart.
        from matplotlib.tri import Triangulation  # noqa: PLC0415 - here alone

        flat = Triangulation((x - x.min()) / np.ptp(x), (y - y.min()) / np.ptp(y))
        mesh = Triangulation(x, y, flat.triangles)
        shown = axes.tricontourf(mesh, z, levels=levels, extend="max", zorder=0, **kinds)
    bar = figure.colorbar(shown, ax=axes, pad=0.02, format="%.1f")
    bar.set_label("word error rate (%)")
    for which, colour, mark, size in (
        ("before", _BEFORE, "o", 60),
        ("best", _BEST, "*", 190),
    ):
        across, up = (found[which]["settings"][name] for name in names)
        axes.scatter(
            across, up, c=colour, marker=mark, s=size, edgecolors="black", label=which, zorder=3
        )
    axes.set_xlabel(_label(names[0]))
    axes.set_ylabel(_label(names[1]))
    axes.use_sticky_edges = False  # else points at the edge of the map are cut
    axes.margins(0.04)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.11), ncols=2, frameon=False)


def _draw_line(
    axes: Axes,
    found: Mapping[str, Any],
    name: str,
    values: NDArray[np.float64],
    rates: NDArray[np.float64],
) -> None:
    """The lowest rate at each value of a weight, whatever the others."""
    at = np.unique(values)
    lowest = np.array([rates[values == value].min() for value in at])
    axes.scatter(values, rates, s=6, color="#999999", linewidths=0)
    axes.plot(at, lowest, color="#4a8fbf", linewidth=1.2)
    best = found["best"]
    axes.scatter(
        best["settings"][name],
        100 * best["wer"],
        c=_BEST,
        marker="*",
        s=90,
        edgecolors="black",
        zorder=3,
    )
    floor, ceiling = float(rates.min()), _ceiling(rates)
    room = 0.1 * (ceiling - floor)
    axes.set_ylim(floor - room, ceiling + room)
    axes.set_xlabel(_label(name))
    axes.set_ylabel("WER (%)")
