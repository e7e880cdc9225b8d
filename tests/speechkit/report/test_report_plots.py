"""Figures stand in a page, take its colours, and show what they are given."""

import re
import warnings
from functools import partial
from xml.etree import ElementTree

import numpy as np
import pytest
from markupsafe import Markup

from speechkit.report import plots
from speechkit.report.utterances import Shown
from speechkit.scoring.edits import Edits

HOSTILE = "</svg><script>$x^{2$\u202e\x00 &amp;"


def drawn(draw):
    found = plots.svg(draw)
    ElementTree.fromstring(found)
    return found


def ticks(axis):
    return [each.get_text() for each in axis.get_ticklabels()]


def test_a_figure_takes_the_colour_of_its_page():
    found = drawn(lambda: plots.by_length({"greedy": {"1-5": Edits(1, 0, 0, 4)}}, ["greedy"]))
    assert isinstance(found, Markup)
    assert "currentColor" in found
    assert plots._INK not in found
    assert not re.search(r"<svg[^>]* (width|height)=", found)


def test_parts_of_two_figures_have_names_of_their_own():
    one, other = (
        drawn(partial(plots.by_length, {"greedy": {"1-5": Edits(errors, 0, 0, 4)}}, ["greedy"]))
        for errors in (1, 2)
    )
    names = [set(re.findall(r' id="([^"]*)"', each)) for each in (one, other)]
    assert names[0]
    assert names[0].isdisjoint(names[1])
    for found, own in zip((one, other), names, strict=True):
        assert set(re.findall(r'(?:href="|url\()#([^")]*)', found)) <= own


def test_names_in_figures_are_texts():
    found = drawn(lambda: plots.by_speaker({HOSTILE: {HOSTILE: Edits(1, 0, 0, 4)}}, [HOSTILE]))
    assert "<script" not in found


def test_letters_that_matplotlib_cannot_draw_are_no_news():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawn(lambda: plots.by_speaker({"a": {"👨": Edits(1, 0, 0, 4)}}, ["a"]))


@pytest.mark.parametrize("speakers", [1, 61])
def test_the_rates_of_speakers_are_shown_best_first(speakers):
    found = {f"s{each}": Edits(each + 1, 0, 0, 100) for each in reversed(range(speakers))}
    figure = plots.by_speaker({"beam": found, "greedy": found}, ["greedy", "beam"])
    (axes,) = figure.axes
    rates = axes.lines[0].get_ydata()
    assert list(rates) == sorted(each.rate for each in found.values())
    assert axes.lines[0].get_color() == plots._COLOURS[1]  # as the run's second decoder
    if speakers == 1:
        assert ticks(axes.xaxis) == ["s0"]
    drawn(lambda: figure)


def test_curves_are_over_epochs():
    train = [
        {"step": step, "epoch": (step - 1) // 10, "loss": 1 / step, "learning_rate": step}
        for step in range(1, 36)  # of which the last five belong to an epoch that has not ended
    ]
    ends = [{"step": 10 * each, "epoch": each, "loss": 0.5} for each in (1, 2, 3)]
    validation = [{"step": 20, "epoch": 2, "loss": 0.7, "wer": 0.5, "cer": 0.2}]
    metrics = {"train": train, "epoch": ends, "validation": validation}
    batches, epochs, validated = plots.loss(metrics).axes[0].lines
    assert batches.get_xdata()[-1] == 3
    assert len(batches.get_xdata()) == 30
    assert list(epochs.get_xdata()) == [1, 2, 3]
    assert (list(validated.get_xdata()), list(validated.get_ydata())) == ([2], [0.7])
    wer, cer = plots.rates(metrics).axes[0].lines
    assert (wer.get_ydata()[0], cer.get_ydata()[0]) == (0.5, 0.2)
    assert plots.learning_rate(metrics).axes[0].lines[0].get_ydata()[9] == 10


def test_emissions_show_probable_labels_and_words_at_their_times():
    probabilities = np.full((50, 4), 0.01)
    probabilities[:25, 0] = probabilities[25:, 2] = 0.9
    seconds = np.arange(51) * 0.5
    words = [
        Shown("wrong", "a", "кот", 3.0, 3.5),
        Shown("out", "b", None, None, None),
        Shown("in", None, "late", 20.0, 20.5),
    ]
    figure = plots.emissions(probabilities, seconds, ("", "a", "ё", " "), words)
    axes = figure.axes[0]
    assert ticks(axes.yaxis) == ["blank", "ё"]
    assert axes.get_xlim() == (0, 15)  # what is past it does not fit
    (above,) = axes.child_axes
    assert ticks(above.xaxis) == ["кот"]
    assert list(above.get_xticks()) == [3.0]
    (map_,) = axes.collections
    assert map_.get_array()[0, 0] == 0.9
    assert map_.get_array()[1, 29] == 0.9
    drawn(lambda: figure)
