"""How many epochs fit into a time budget."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speechkit.training.budget import Budget


def budget(minutes: float, work, every: int, place="none.json", **measured) -> Budget:
    made = Budget(minutes, work, every, Path(place))
    made.put_back({"epochs": 0.0, "seconds_per_second": 0.01, "validation_seconds": 0.5} | measured)
    return made


@settings(deadline=None)
@given(
    st.floats(0.2, 600),
    st.lists(st.tuples(st.floats(10, 5e4), st.integers(1, 400)), min_size=1, max_size=4),
    st.integers(0, 3),
)
def test_as_much_is_planned_as_fits(minutes, work, every):
    made = budget(minutes, work, every)
    made.plan(0.0, 0.0)
    last = min(int(made.epochs), len(work) - 1)
    step = 1 / work[last][1]
    assert made.epochs > 0
    fits = made.needed(0.0, made.epochs) <= 60 * minutes * 0.94 + 1e-6
    one_step = made.epochs == pytest.approx(1 / work[0][1])
    assert fits or one_step
    assert made.needed(0.0, made.epochs + 1.01 * step) > 60 * minutes * 0.94 - 2 * 0.5 - 1e-6


def test_validations_cost_epochs():
    ends = []
    for every in (0, 2, 1):
        made = budget(1, [(100.0, 10)], every, validation_seconds=1.0)
        made.plan(0.0, 0.0)
        ends.append(made.epochs)
    assert ends == pytest.approx([55.35, 37.35, 28.0], abs=0.06)


def test_the_plan_is_kept_until_it_would_pass_the_budget():
    made = budget(1, [(100.0, 10)], 0)
    made.plan(0.0, 0.0)
    planned = made.epochs
    assert not made.shorten(20.0, 22.0)  # a little late, within the margin
    assert made.epochs == planned
    assert made.shorten(20.0, 40.0)
    assert 20 < made.epochs < 37
    assert 40 + made.needed(20.0, made.epochs) <= 60
    assert made.shorten(20.0, 70.0)  # too late: one step, and the end
    assert made.epochs == pytest.approx(20.1)
    assert not made.shorten(21.0, 70.0)  # it has ended


def test_a_machine_that_became_slower_is_noticed():
    made = budget(1, [(100.0, 10)], 0)
    made.plan(0.0, 0.0)
    made.observe(8.0, 400.0)  # half as fast as was measured
    assert made.shorten(4.0, 8.0)
    assert 8 + 2 * (made.epochs - 4) <= 60


def test_the_time_of_a_killed_process_counts(tmp_path):
    place = tmp_path / "time.json"
    place.write_text(json.dumps({"seconds": 50.0}))
    again = Budget(1, [(100.0, 10)], 0, place)
    assert 50 <= again.used < 51
    again.note()
    assert json.loads(place.read_text())["seconds"] >= 50
