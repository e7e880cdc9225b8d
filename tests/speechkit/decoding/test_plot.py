"""Searches of one, two and more weights are drawn; so are those of a single point."""

import sys
from xml.etree import ElementTree

import numpy as np
import pytest

from speechkit.decoding.plot import draw_tuning


def search(names, count, *, decoder="beam", part="validation"):
    random = np.random.default_rng(3)
    points = [
        {
            "settings": dict(zip(names, random.uniform(0, 2, len(names)).tolist(), strict=True)),
            "wer": float(random.uniform(0.2, 0.4)),
        }
        for _ in range(count)
    ]
    best = min(points, key=lambda point: point["wer"])
    return {
        "decoder": decoder,
        "part": part,
        "points": points,
        "before": points[0],
        "best": best,
        "utterances": 12,
    }


@pytest.mark.parametrize("names", [["weight"], ["lm_weight", "word_bonus"], list("abcde")])
@pytest.mark.parametrize("count", [1, 2, 3, 40])
def test_any_search_is_drawn(tmp_path, names, count):
    draw_tuning(search(names, count), tmp_path / "tuning" / "beam.svg")
    root = ElementTree.parse(tmp_path / "tuning" / "beam.svg").getroot()
    assert root.tag.endswith("svg")


def test_points_in_a_line_and_equal_rates_are_drawn(tmp_path):
    found = search(["a", "b"], 6)
    for number, point in enumerate(found["points"]):
        point["settings"] = {"a": float(number), "b": float(number)}
        point["wer"] = 0.5
    draw_tuning(found, tmp_path / "line.svg")
    assert (tmp_path / "line.svg").stat().st_size


def test_the_same_search_gives_the_same_file(tmp_path):
    found = search(["a", "b", "c"], 30, decoder="луч")
    for name in ("one.svg", "two.svg"):
        draw_tuning(found, tmp_path / name)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()


def test_no_window_is_opened(tmp_path):
    draw_tuning(search(["a", "b"], 5), tmp_path / "x.svg")
    assert "matplotlib.pyplot" not in sys.modules
