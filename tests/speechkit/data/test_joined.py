"""Several corpora are read as one, and what cannot be one is refused."""

import datasets
import pytest

from speechkit import DataError
from speechkit.data.joined import Joined
from speechkit.data.store import fingerprint_of


def corpus(*ids, kind="audio", **more):
    rows = [{"id": each, "text": f"text of {each}", kind: None, **more} for each in ids]
    return datasets.Dataset.from_list(rows)


def joined(**corpora):
    described = {name: {"use": "toy", "path": name} for name in corpora}
    return Joined(corpora, described, name="train")


def mark(speech):
    return fingerprint_of(speech, {}, sample_rate=16_000)


def test_rows_one_corpus_after_the_other_with_ids_of_their_own():
    rows = list(joined(one=corpus("a", "b", speaker="s"), two=corpus("a")))
    assert [each["id"] for each in rows] == ["one/a", "one/b", "two/a"]
    assert [each["text"] for each in rows] == ["text of a", "text of b", "text of a"]
    assert [each.get("speaker") for each in rows] == ["s", "s", None]


def test_they_can_be_read_again():
    speech = joined(one=corpus("a"), two=corpus("b"))
    assert list(speech) == list(speech)


def test_columns_are_those_of_any():
    speech = joined(one=corpus("a", speaker="s"), two=corpus("b", duration=1.0))
    assert speech.column_names == ["audio", "duration", "id", "speaker", "text"]


def test_the_fingerprint_is_of_all_and_of_their_names():
    one, two, other = corpus("a"), corpus("b"), corpus("c")
    before = mark(joined(one=one, two=two))
    assert mark(joined(one=one, two=two)) == before
    assert len({before, mark(joined(one=one, two=other)), mark(joined(one=one, more=two))}) == 3
    assert mark(joined(two=two, one=one)) != before  # ids decide the order of equals


def test_data_without_a_fingerprint_is_known_by_its_settings():
    class Bare:
        column_names = ("id", "text", "audio")

    bare = {"one": Bare(), "two": Bare()}
    marks = [
        mark(Joined(bare, {"one": {"path": path}, "two": {}}, name="train")) for path in ("a", "b")
    ]
    assert marks[0] != marks[1]


def test_a_column_that_lacks_is_told_of_its_corpus():
    lacking = datasets.Dataset.from_list([{"id": "a", "audio": None}])
    with pytest.raises(DataError, match=r"corpus train\.two: has no column text"):
        joined(one=corpus("a"), two=lacking)


def test_features_and_audio_are_not_one():
    with pytest.raises(DataError, match="corpus train: two gives ready features, one audio"):
        joined(one=corpus("a"), two=corpus("b", kind="features"))
