import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from speechkit import DataError
from speechkit_corpora.share import in_share, place
from speechkit_corpora.trees import TreeConfig, listed

NAMES = st.lists(st.text(st.characters(exclude_categories=["Cs"])), unique=True, max_size=30)
CUT = st.floats(0.01, 0.99)


@given(NAMES, CUT)
def test_two_shares_that_meet_hold_every_name_once(names, cut):
    sides = [(0.0, cut), (cut, 1.0)]
    found = [name for name in names for start, end in sides if start <= place(name) < end]
    assert found == names


@given(NAMES, CUT)
def test_nobody_changes_sides_when_others_come(names, cut):
    taken = {each: each for each in ["1034", *names]}
    with_others = [each for each in taken if place(each) < cut]
    assert ("1034" in with_others) == (place("1034") < cut)
    if with_others:
        assert in_share(taken, (0.0, cut), what="speakers", where=None) == with_others


def test_a_place_is_the_same_on_every_machine():
    # SHA-256 of "1034" begins with these bytes: printf 1034 | sha256sum
    assert place("1034") == 0x6719009A7685 / 2**48


def test_shares_of_many_names_are_about_as_large_as_they_say():
    taken = sum(place(f"speaker {number}") < 0.9 for number in range(2000))
    assert 1760 < taken < 1840  # three standard deviations


def test_an_empty_share_names_the_nearest(tmp_path):
    with pytest.raises(DataError, match=r"share = \[0, 0.001\] holds none of the 2 speakers") as e:
        in_share({1: "a", 2: "b", 3: "a"}, (0.0, 0.001), what="speakers", where=tmp_path)
    assert "'b', stands at 0.243" in e.value.hint


@pytest.mark.parametrize("share", [[0.5, 0.5], [0.9, 0.1], [-0.1, 1.0], [0.0, 1.1]])
def test_a_share_is_a_range(share):
    with pytest.raises(ValidationError, match="no range from 0 to 1"):
        TreeConfig.model_validate_json(f'{{"path": "x", "share": {share}}}')


def test_a_long_list_is_cut():
    assert listed([f"{number}" for number in range(9)]) == "0, 1, 2, ..."
