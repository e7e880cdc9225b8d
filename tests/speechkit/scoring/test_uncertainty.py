"""Intervals and tests on made-up test sets, whose true rates are known.

`benchmarks/uncertainty.py` measures more exactly, in other worlds.
"""

import numpy as np
import pytest

from speechkit.scoring import uncertainty
from speechkit.scoring.uncertainty import (
    MIN_SPEAKERS,
    paired_difference,
    rate_interval,
    speakers_known,
)

TRIALS = 400  # the error of a share is 1.1 % then; three of them are allowed
RATE = 0.15


@pytest.fixture
def few_resamples(monkeypatch):
    monkeypatch.setattr(uncertainty, "RESAMPLES", 500)


def draw(random, speakers=MIN_SPEAKERS, better=1.0):
    """Speakers of unequal difficulty, utterances of each, and errors of two systems."""
    hard = random.gamma(4, RATE / 4, speakers)
    of = np.repeat(np.arange(speakers), random.integers(5, 40, speakers))
    words = random.poisson(12, len(of)) + 1
    errors = [
        random.poisson((hard * factor * random.gamma(25, 1 / 25, speakers))[of] * words)
        for factor in (1.0, better)
    ]
    return *errors, words, [f"s{each}" for each in of]


def test_ninety_five_of_a_hundred_intervals_hold_the_truth(few_resamples):
    random = np.random.default_rng(1)
    held = 0
    for _ in range(TRIALS):
        errors, _, words, speakers = draw(random)
        found = rate_interval(errors, words, speakers)
        assert found.units == "speakers"
        held += found.low <= RATE <= found.high
    assert 0.917 <= held / TRIALS <= 0.983


def test_equal_systems_are_told_apart_in_five_of_a_hundred(few_resamples):
    random = np.random.default_rng(2)
    found = [paired_difference(*draw(random)) for _ in range(TRIALS)]
    assert 0.017 <= np.mean([each.p <= 0.05 for each in found]) <= 0.083
    # The interval holds 0 where the test says chance; the end of it is found to a step.
    beside = [(each.low > 0 or each.high < 0) != (each.p <= 0.05) for each in found]
    assert np.mean(beside) < 0.01


def test_a_true_difference_is_held_and_found(few_resamples):
    random = np.random.default_rng(3)
    found = [paired_difference(*draw(random, 40, better=0.8)) for _ in range(100)]
    assert np.mean([each.p <= 0.05 for each in found]) > 0.8
    assert np.mean([each.low <= -0.2 * RATE <= each.high for each in found]) >= 0.88


def test_too_few_speakers_are_not_drawn_again():
    random = np.random.default_rng(4)
    errors, _, words, speakers = draw(random, 2)
    assert rate_interval(errors, words, speakers).units == "utterances"
    assert rate_interval(errors, words, [""] * len(words)).units == "utterances"
    assert speakers_known(["a", "b", "a"]) == 2
    assert speakers_known(["a", "", "a"]) == 0


def test_speakers_give_a_wider_interval_than_their_utterances():
    errors, _, words, speakers = draw(np.random.default_rng(5), 12)
    over_speakers = rate_interval(errors, words, speakers)
    over_utterances = rate_interval(errors, words, [""] * len(words))
    assert over_speakers.high - over_speakers.low > over_utterances.high - over_utterances.low


def test_the_same_data_give_the_same_numbers():
    first, second, words, speakers = draw(np.random.default_rng(6))
    assert rate_interval(first, words, speakers) == rate_interval(first, words, speakers)
    there = paired_difference(first, second, words, speakers)
    back = paired_difference(second, first, words, speakers)
    assert (there.difference, there.p) == pytest.approx((-back.difference, back.p))
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low))


@pytest.mark.parametrize(
    ("errors", "words"),
    [
        ([], []),
        ([1, 0, 2], [5, 5, 5]),  # too few
        ([0] * 50, [5] * 50),  # no error
        ([3] + [0] * 50, [5] * 51),  # one error in one place
        ([1] * 50, [5] * 50),  # all alike
        ([2] * 50, [0] * 50),  # no words
    ],
)
def test_where_nothing_can_be_said_nothing_is(errors, words):
    found = rate_interval(errors, words, [""] * len(words))
    assert (found.low, found.high) == (None, None)
    alone = paired_difference(errors, errors, words, [""] * len(words))
    assert (alone.low, alone.high, alone.p) == (None, None, 1.0)


def test_many_utterances_take_little_memory(monkeypatch):
    monkeypatch.setattr(uncertainty, "RESAMPLES", 100)
    blocks = list(uncertainty._blocks(1_000_000))
    assert sum(blocks) == 100
    assert max(blocks) * 1_000_000 <= uncertainty._CELLS
