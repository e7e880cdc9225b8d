"""Figures of a report, as SVG that stands in the page and takes its colours.

Lines and letters are drawn in a colour that becomes `currentColor`, on no ground, so that a figure
is as dark or light as the page around it.
"""

import io
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import matplotlib as mpl
import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from speechkit.data.files import digest
from speechkit.decoding.plot import tuning_figure
from speechkit.report.html import shown
from speechkit.report.utterances import Shown
from speechkit.scoring.edits import Edits
from speechkit.scoring.scores import Score

Numbers: TypeAlias = NDArray[np.float64]
Metrics: TypeAlias = Mapping[str, Sequence[Mapping[str, Any]]]
"""Lines of metrics.jsonl by their kind."""

_INK = "#010203"  # becomes currentColor: no figure draws in it for its own sake
_STYLE: Any = {
    "svg.fonttype": "path",  # letters of any alphabet are seen where their font is not installed
    "svg.hashsalt": "speechkit",  # the same run gives the same file
    "text.parse_math": False,  # a dollar in a name is a dollar
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.alpha": 0.2,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "legend.frameon": False,
    **dict.fromkeys(
        ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), _INK
    ),
    "grid.color": _INK,
}
# Told apart by eyes that see few colours, on light ground and dark (Okabe and Ito, 2008).
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
_MARKS = "os^Dv*"
_POINTS = 300  # of a curve: more are not seen
_LABEL = 20  # characters of a name in a figure
_SPEAKERS = 40  # whose names fit under a figure
_HEAT_SECONDS = 15.0  # of emissions, at most
_SEEN = 0.1  # a label that is nowhere as probable as this gets no row of the heat map
_ROWS = 40


def svg(draw: Callable[[], Figure]) -> Markup:
    """The figure that `draw` gives, to stand in a page."""
    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        file = io.StringIO()
        # The browser has the letters of names that matplotlib's font lacks.
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font")
        draw().savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    text = file.getvalue()
    text = text[text.index("<svg") :].replace(_INK, "currentColor")
    # Names of parts are those of every figure, and a page may have each but once.
    mark = f"p{digest(text)[:8]}-"
    text = re.sub(r'\bid="', f'id="{mark}', text)
    text = re.sub(r'((?:xlink:)?href="#|url\(#)', rf"\g<1>{mark}", text)
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    return Markup(text.replace("<svg", '<svg aria-hidden="true" focusable="false"', 1))  # noqa: S704 - matplotlib escapes what it writes


def loss(metrics: Metrics) -> Figure:
    """The loss of batches, of epochs and of the validation part, over epochs."""
    figure, axes = _panel("Loss (nats a label)")
    steps, ends = _epochs(metrics)
    done = [each for each in metrics.get("train", []) if each["step"] <= steps[-1]]
    if done:
        x, y = _thinned(_epoch_of(metrics, done), [each["loss"] for each in done])
        axes.plot(x, y, color=_COLOURS[4], alpha=0.7, linewidth=1, label="batches")
    values = [each["loss"] for each in metrics.get("epoch", [])]
    axes.plot(ends[1:], values, _MARKS[0] + "-", color=_COLOURS[0], markersize=3, label="training")
    _line(axes, metrics, "loss", "validation", kind=1)
    axes.set_ylim(bottom=0)
    axes.legend()
    return figure


def rates(metrics: Metrics) -> Figure:
    """Error rates of the validation part over epochs."""
    figure, axes = _panel("Error rates, validation")
    _line(axes, metrics, "wer", "WER", kind=1)
    _line(axes, metrics, "cer", "CER", kind=2)
    axes.set_ylim(bottom=0)
    axes.legend()
    return figure


def learning_rate(metrics: Metrics) -> Figure:
    """The learning rate over epochs."""
    figure, axes = _panel("Learning rate")
    lines = metrics.get("train", [])
    x, y = _thinned(_epoch_of(metrics, lines), [each["learning_rate"] for each in lines])
    axes.plot(x, y, color=_COLOURS[2])
    axes.set_ylim(bottom=0)
    return figure


def _panel(title: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(4.2, 3.2), layout="constrained")
    axes = figure.subplots()
    axes.set_title(title)
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    return figure, axes


def _epochs(metrics: Metrics) -> tuple[Numbers, Numbers]:
    """Steps at which epochs ended, and their numbers; the first is the start."""
    ends = [(each["step"], each["epoch"]) for each in metrics.get("epoch", [])]
    steps, epochs = np.array([(0, 0), *ends], np.float64).T
    return steps, epochs


def _epoch_of(metrics: Metrics, lines: Sequence[Mapping[str, Any]]) -> Numbers:
    """When each was written, in epochs; what is past the last one that ended is put at its end."""
    return np.interp([each["step"] for each in lines], *_epochs(metrics))


def _line(axes: Axes, metrics: Metrics, key: str, label: str, *, kind: int) -> None:
    lines = [each for each in metrics.get("validation", []) if key in each]
    values = [each[key] for each in lines]
    style: Any = {"color": _COLOURS[kind], "marker": _MARKS[kind], "markersize": 4}
    axes.plot(_epoch_of(metrics, lines), values, label=label, **style)


def intervals(rows: Sequence[Score], decoders: Sequence[str]) -> Figure:
    """The word error rate of each test and decoder, with its interval."""
    figure = Figure(figsize=(5.6, 0.7 + 0.32 * len(rows)), layout="constrained")
    axes = figure.subplots()
    for place, row in enumerate(rows):
        kind = decoders.index(row.decoder)
        axes.plot(row.wer, place, color=_colour(kind), marker=_mark(kind))
        if row.wer_low is not None and row.wer_high is not None:
            axes.plot([row.wer_low, row.wer_high], [place, place], color=_colour(kind))
    names = [f"{_name(row.test)}, {_name(row.decoder)}" for row in rows]
    axes.set_yticks(range(len(rows)), names)
    axes.invert_yaxis()
    axes.set_xlim(left=0)
    axes.margins(y=0.5 / len(rows))
    axes.set_xlabel("word error rate, and where it is with 95 % confidence")
    return figure


def by_length(found: Mapping[str, Mapping[str, Edits]], decoders: Sequence[str]) -> Figure:
    """Word error rates by length of the reference.

    Args:
        found: by decoder, by group.
        decoders: all of the run, so that each has its colour everywhere.
    """
    figure = Figure(figsize=(5.4, 3.6), layout="constrained")
    axes = figure.subplots()
    groups = list(next(iter(found.values())))
    width = 0.8 / len(found)
    for place, (decoder, each) in enumerate(found.items()):
        at = np.arange(len(groups)) + (place - (len(found) - 1) / 2) * width
        heights = [each[group].rate for group in groups]
        colour = _colour(decoders.index(decoder))
        axes.bar(at, heights, width * 0.9, color=colour, label=_name(decoder))
    axes.set_xticks(range(len(groups)), groups)
    axes.set_xlabel("words in the reference")
    axes.set_ylabel("word error rate")
    axes.grid(visible=False, axis="x")
    figure.legend(loc="outside upper left", ncols=4)
    return figure


def by_speaker(found: Mapping[str, Mapping[str, Edits]], decoders: Sequence[str]) -> Figure:
    """Word error rates by speaker, from the one the first decoder recognises best on."""
    first = next(iter(found.values()))
    order = sorted(first, key=lambda name: first[name].rate)
    figure = Figure(figsize=(5.4, 3.6), layout="constrained")
    axes = figure.subplots()
    for decoder, each in found.items():
        kind = decoders.index(decoder)
        style: Any = {"color": _colour(kind), "marker": _mark(kind), "label": _name(decoder)}
        heights = [each[name].rate for name in order]
        axes.plot(heights, linestyle="", markersize=5, clip_on=False, **style)
    if len(order) <= _SPEAKERS:
        names = [_name(name) or "?" for name in order]
        axes.set_xticks(range(len(order)), names, rotation=90, fontsize=8 if len(order) < 30 else 6)
        axes.set_xlabel("speaker")
    else:
        axes.set_xlabel("speakers")
    axes.set_ylabel("word error rate")
    axes.set_ylim(bottom=0)
    axes.grid(visible=False, axis="x")
    figure.legend(loc="outside upper left", ncols=4)
    return figure


def emissions(
    probabilities: Numbers, seconds: Numbers, labels: Sequence[str], words: Sequence[Shown]
) -> Figure:
    """Label probabilities over time.

    Args:
        probabilities: (T, V).
        seconds: (T + 1,) where each frame begins, and the last ends.
        labels: V texts.
        words: what was heard, written above.
    """
    kept = seconds[:-1] < _HEAT_SECONDS
    probabilities, seconds = probabilities[kept], seconds[: int(kept.sum()) + 1]
    peaks = probabilities.max(axis=0)
    rows = np.flatnonzero(peaks >= _SEEN)
    if len(rows) > _ROWS:
        rows = np.sort(np.argsort(-peaks)[:_ROWS])
    figure = Figure(figsize=(10, 1.4 + 0.17 * len(rows)), layout="constrained")
    axes = figure.subplots()
    edges = np.arange(len(rows) + 1) - 0.5
    map_ = axes.pcolormesh(
        seconds, edges, probabilities.T[rows], cmap="viridis", vmin=0, vmax=1, rasterized=True
    )
    axes.set_yticks(range(len(rows)), [_label(labels[row]) for row in rows])
    axes.invert_yaxis()
    axes.grid(visible=False)
    axes.set_xlabel("seconds")
    figure.colorbar(map_, ax=axes, pad=0.01, label="probability")
    above = axes.secondary_xaxis("top")
    timed = [
        (each.start_seconds, _name(each.heard))
        for each in words
        if each.heard and each.start_seconds is not None and each.start_seconds < seconds[-1]
    ]
    above.set_xticks([start for start, _ in timed], [heard for _, heard in timed])
    above.tick_params(axis="x", rotation=45, length=3)
    for text in above.get_xticklabels():
        text.set_horizontalalignment("left")
    return figure


def tuning(found: Mapping[str, Any]) -> Figure:
    """The surface of a search of weights."""
    figure = tuning_figure(found)
    for axes in figure.axes:
        axes.grid(visible=False)
    return figure


def _thinned(x: Numbers, y: Sequence[float]) -> tuple[Numbers, Numbers]:
    """Means of as many neighbours as it takes to have few points."""
    parts = np.array_split(np.arange(len(x)), min(len(x), _POINTS))
    values = np.asarray(y, np.float64)
    return (
        np.array([x[part].mean() for part in parts]),
        np.array([values[part].mean() for part in parts]),
    )


def _colour(kind: int) -> str:
    return _COLOURS[kind % len(_COLOURS)]


def _mark(kind: int) -> str:
    return _MARKS[kind % len(_MARKS)]


def _name(text: str) -> str:
    seen = shown(text)
    return seen if len(seen) <= _LABEL else seen[: _LABEL - 1] + "…"


def _label(label: str) -> str:
    """A row of the heat map.

    >>> _label(""), _label(" "), _label("a")
    ('blank', 'space', 'a')
    """
    return {"": "blank", " ": "space"}.get(label) or _name(label)
