"""Figures of a report, as SVG that stands in the page and takes its colours.

Lines and letters are drawn in a colour that becomes `currentColor`, on no ground, so that a figure
is as dark or light as the page around it.
"""

import io
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

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

Numbers = NDArray[np.float64]

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
_LABEL = 24  # characters of a name in a figure
_SPEAKERS = 60  # whose names fit under a figure
_HEAT_SECONDS = 15.0  # of emissions, at most
_SEEN = 0.1  # a label that is nowhere as probable as this gets no row of the heat map
_ROWS = 40


def svg(draw: Callable[[], Figure]) -> Markup:
    """The figure that `draw` gives, to stand in a page."""
    with mpl.rc_context(_STYLE):
        file = io.StringIO()
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


def curves(metrics: Mapping[str, Sequence[Mapping[str, Any]]]) -> Figure:
    """Loss, error rates and learning rate over epochs."""
    ends = [(0.0, 0.0)] + [(each["step"], each["epoch"]) for each in metrics.get("epoch", [])]
    steps, epochs = np.array(ends, np.float64).T

    def epoch_of(lines: Sequence[Mapping[str, Any]]) -> Numbers:
        return np.interp([each["step"] for each in lines], steps, epochs)

    figure = Figure(figsize=(10, 3.2), layout="constrained")
    loss, rates, speed = figure.subplots(1, 3)
    train, validation = metrics.get("train", []), metrics.get("validation", [])
    done = [each for each in train if each["step"] <= steps[-1]]  # of epochs that ended
    if done:
        x, y = _thinned(epoch_of(done), [each["loss"] for each in done])
        loss.plot(x, y, color=_COLOURS[0], alpha=0.35, linewidth=1, label="batches")
        x, y = _thinned(epoch_of(done), [each["learning_rate"] for each in done])
        speed.plot(x, y, color=_COLOURS[2])
    loss.plot(
        epochs[1:],
        [each["loss"] for each in metrics.get("epoch", [])],
        color=_COLOURS[0],
        marker="o",
        markersize=3,
        label="training",
    )
    for axes, names in ((loss, ["loss"]), (rates, ["wer", "cer"])):
        for place, name in enumerate(names):
            points = [(epoch, each[name]) for epoch, each in zip(epoch_of(validation), validation, strict=True) if name in each]
            if points:
                label = "validation" if name == "loss" else name.upper()
                style = {"color": _COLOURS[1 + place], "marker": _MARKS[1 + place]}
                axes.plot(*np.array(points).T, markersize=4, label=label, **style)
    loss.set_title("Loss (nats a label)")
    rates.set_title("Error rates, validation")
    speed.set_title("Learning rate")
    for axes in (loss, rates, speed):
        axes.set_xlabel("epoch")
        axes.set_ylim(bottom=0)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    for axes in (loss, rates):
        if axes.get_legend_handles_labels()[0]:
            axes.legend()
    return figure


def intervals(rows: Sequence[Score]) -> Figure:
    """The word error rate of each test and decoder, with its interval."""
    figure = Figure(figsize=(8, 0.7 + 0.32 * len(rows)), layout="constrained")
    axes = figure.subplots()
    decoders = list(dict.fromkeys(row.decoder for row in rows))
    for place, row in enumerate(rows):
        kind = decoders.index(row.decoder)
        style = {"color": _colour(kind), "marker": _MARKS[kind % len(_MARKS)]}
        axes.plot(row.wer, place, **style)
        if row.wer_low is not None and row.wer_high is not None:
            axes.plot([row.wer_low, row.wer_high], [place, place], color=style["color"])
    names = [f"{_name(row.test)}, {_name(row.decoder)}" for row in rows]
    axes.set_yticks(range(len(rows)), names)
    axes.invert_yaxis()
    axes.set_xlim(left=0)
    axes.margins(y=0.5 / len(rows))
    axes.set_xlabel("word error rate, and where it is with 95 % confidence")
    return figure


def by_group(
    lengths: Mapping[str, Mapping[str, Edits]], speakers: Mapping[str, Mapping[str, Edits]]
) -> Figure:
    """Word error rates by length and by speaker.

    Args:
        lengths: by decoder, by group.
        speakers: by decoder, by speaker; empty where none is known.
    """
    many = len(next(iter(speakers.values()), {}))
    figure = Figure(figsize=(10, 3.2), layout="constrained")
    shares = [1, 1.6] if many else [1]
    parts = figure.subplots(1, len(shares), width_ratios=shares, squeeze=False)[0]
    _bars(parts[0], lengths)
    if many:
        _speakers(parts[1], speakers)
    return figure


def _bars(axes: Axes, lengths: Mapping[str, Mapping[str, Edits]]) -> None:
    groups = list(next(iter(lengths.values())))
    width = 0.8 / len(lengths)
    for kind, (decoder, found) in enumerate(lengths.items()):
        at = np.arange(len(groups)) + (kind - (len(lengths) - 1) / 2) * width
        rates = [found[group].rate for group in groups]
        axes.bar(at, rates, width * 0.9, color=_colour(kind), label=_name(decoder))
    axes.set_xticks(range(len(groups)), groups)
    axes.set_xlabel("words in the reference")
    axes.set_ylabel("word error rate")
    axes.grid(visible=False, axis="x")
    axes.legend()


def _speakers(axes: Axes, speakers: Mapping[str, Mapping[str, Edits]]) -> None:
    first = next(iter(speakers.values()))
    order = sorted(first, key=lambda name: first[name].rate)
    for kind, found in enumerate(speakers.values()):
        rates = [found[name].rate for name in order]
        mark = _MARKS[kind % len(_MARKS)]
        axes.plot(rates, mark, color=_colour(kind), markersize=4)
    if len(order) <= _SPEAKERS:
        size = 8 if len(order) <= 30 else 6
        names = [_name(name) or "?" for name in order]
        axes.set_xticks(range(len(order)), names, rotation=90, fontsize=size)
        axes.set_xlabel("speaker")
    else:
        axes.set_xlabel("speakers, from the best recognised on")
    axes.set_ylim(bottom=0)
    axes.grid(visible=False, axis="x")


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
    timed = [each for each in words if each.start_seconds is not None and each.heard]
    timed = [each for each in timed if each.start_seconds < seconds[-1]]
    above.set_xticks(
        [each.start_seconds for each in timed], [_name(each.heard or "") for each in timed]
    )
    above.tick_params(axis="x", rotation=45, length=3)
    for text in above.get_xticklabels():
        text.set_horizontalalignment("left")
    return figure


def tuning(found: Mapping[str, Any]) -> Figure:
    """The surface of a search of weights."""
    return tuning_figure(found)


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


def _name(text: str) -> str:
    return shown(text, _LABEL)


def _label(label: str) -> str:
    """A row of the heat map.

    >>> _label(""), _label(" "), _label("a")
    ('blank', 'space', 'a')
    """
    return {"": "blank", " ": "space"}.get(label) or _name(label)
