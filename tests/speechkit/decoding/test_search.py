"""Points near the best are found, beyond the ranges, too, and chance does not choose."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speechkit.decoding.search import Search

RANGES = {"a": (0.0, 1.2), "b": (-1.0, 5.0), "c": (4.0, 24.0)}
START = {"a": 0.8, "b": 1.5, "c": 12.0}


def bowl(best, utterances=200, steepness=150.0):
    """(utterances,) errors alike in all utterances, that grow with the square of the distance."""

    def errors(settings):
        parts = [
            (settings[name] - best[name]) / (high - low) for name, (low, high) in RANGES.items()
        ]
        return np.full(utterances, round(steepness * sum(part**2 for part in parts)))

    return errors


def searched(errors, settings=60, ranges=RANGES, start=START, allowed=lambda _: True):
    search = Search(ranges, start, settings)
    for point in search:
        if allowed(point):
            search.note(point, errors(point))
    return search


@given(st.floats(0.1, 1.1), st.floats(-0.5, 4.5), st.floats(6.0, 22.0))
def test_the_best_is_found(a, b, c):
    search = searched(bowl({"a": a, "b": b, "c": c}, steepness=4000.0))
    chosen = search.chosen().settings
    assert abs(chosen["a"] - a) < 1.2 / 8
    assert abs(chosen["b"] - b) < 6.0 / 8
    assert abs(chosen["c"] - c) < 20.0 / 8
    assert len(search.trials) <= 60
    assert len({tuple(trial.settings.values()) for trial in search.trials}) == len(search.trials)


def test_the_search_goes_beyond_an_edge():
    search = searched(bowl({"a": 1.6, "b": 1.0, "c": 12.0}), settings=80)
    assert search.chosen().settings["a"] == pytest.approx(1.6, abs=0.1)
    assert not search.edges()


def test_an_edge_the_decoder_does_not_pass_is_told():
    search = searched(
        bowl({"a": -0.4, "b": 1.0, "c": 12.0}), allowed=lambda point: point["a"] >= 0.0
    )
    assert search.edges() == {"a": "lowest"}
    assert search.chosen().settings["a"] == 0.0


def test_what_cannot_be_reached_is_at_the_edge():
    assert searched(bowl({"a": 9.0, "b": 1.0, "c": 12.0})).edges() == {"a": "highest"}


@pytest.mark.parametrize("settings", [1, 2, 5, 10, 16, 25, 60, 200])
def test_no_more_are_tried_than_asked_and_none_is_worse_than_the_start(settings):
    search = searched(bowl({"a": 0.3, "b": 3.0, "c": 12.0}), settings=settings)
    assert len(search.trials) <= settings
    assert search.trials[0].settings == START
    assert search.chosen().total <= search.trials[0].total


def test_few_settings_are_tried_near_the_start():
    search = searched(bowl({"a": 0.5, "b": 0.5, "c": 12.0}), settings=10)
    assert all(abs(trial.settings["a"] - 0.8) <= 0.3001 for trial in search.trials)


def test_a_weight_that_does_not_matter_stays():
    """As the penalty of unknown words where there are none."""
    best = bowl({"a": 0.5, "b": 1.0, "c": 12.0})
    search = searched(lambda settings: best({**settings, "c": 12.0}))
    assert search.chosen().settings["c"] == 12.0
    assert not search.edges()


def test_the_others_are_set_before_the_first_two_make_up_for_them():
    """As word bonus and blank penalty, which both make hypotheses longer."""

    def errors(settings):
        off = (settings["b"] - 4.5 + (settings["c"] - 12) / 4) / 6
        return np.full(200, round(4000 * off**2 + 20 * (24 - settings["c"]) / 20))

    assert searched(errors).chosen().settings["c"] > 20


def test_where_all_are_equal_the_middle_is_taken():
    search = searched(lambda _: np.full(50, 3))
    assert search.chosen().settings["a"] == pytest.approx(0.7, abs=0.15)
    assert not search.edges()


def test_one_that_is_better_by_chance_is_not_chosen():
    """A plateau, and at its rim a setting with a single error less."""
    rim = {"a": 0.9, "b": 3.5}

    def errors(settings):
        flat = 0.2 < settings["a"] < 1.0 and -0.5 < settings["b"] < 4.0
        made = np.full(100, 3 if flat else 9)
        if all(settings[name] == value for name, value in rim.items()):
            made[:40] -= 1  # it is another text, in many utterances
            made[40:79] += 1
        return made

    ranges = {"a": (0.0, 1.2), "b": (-1.0, 5.0)}
    search = searched(errors, ranges=ranges, start={"a": 0.9, "b": 2.0})
    fewest = min(search.trials, key=lambda trial: trial.total)
    assert fewest.settings == rim
    chosen = search.chosen().settings
    assert 0.45 <= chosen["a"] <= 0.75
    assert 0.5 <= chosen["b"] <= 3.0


def test_a_difference_that_is_sure_counts():
    search = Search({"a": (0.0, 1.0)}, {"a": 0.5}, 9)
    errors = np.random.default_rng(0).integers(0, 5, 100)
    search.note({"a": 0.5}, errors + 1)
    search.note({"a": 0.25}, errors + 1)
    search.note({"a": 1.0}, errors)
    assert search.chosen().settings == {"a": 1.0}


@given(st.integers(1, 3), st.integers(1, 80), st.integers(1, 4))
def test_the_same_is_tried_again(weights, settings, utterances):
    ranges = dict(list(RANGES.items())[:weights])

    def errors(point):
        return np.random.default_rng(abs(hash(tuple(point.values())))).integers(0, 9, utterances)

    first, second = (
        [trial.settings for trial in searched(errors, settings, ranges, {}).trials]
        for _ in range(2)
    )
    assert first == second
