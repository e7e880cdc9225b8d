"""Rows of scores.json."""

import json

import pytest

from speechkit import PluginError, RunError
from speechkit.scoring.edits import Edits
from speechkit.scoring.scores import (
    by_length,
    by_speaker,
    measured,
    read_decoded,
    read_scores,
    score,
    write_scores,
)


def line(number: int, reference: str, hypothesis: str, **more) -> dict:
    return {"id": f"u{number}", "reference": reference, "hypothesis": hypothesis, **more}


LINES = [
    line(number, "a b c d", heard, speaker=f"s{number // 4}", seconds=2.0)
    for number, heard in enumerate(
        ["a b c d"] * 8 + ["a b c"] * 8 + ["a x c d"] * 8 + ["a b c d e"] * 8 + ["y b c x"] * 8
    )
]


def test_a_row_says_all_about_a_test_set():
    row = score("t", "greedy", LINES, seconds=80.0, decoding_seconds=8.0)
    assert (row.utterances, row.words, row.speakers) == (40, 160, 10)
    assert (row.substitutions, row.deletions, row.insertions) == (24, 8, 8)
    assert row.wer == row.sclite_wer == 40 / 160
    assert row.ser == 32 / 40
    assert row.interval == "speakers"
    assert 0 < row.wer_low < row.wer < row.wer_high
    assert row.real_time_factor == 0.1
    assert row.measures == {}


def test_the_measures_of_another_protocol_are_keys_of_the_row(tmp_path):
    def counts(pairs):
        return {"pairs": len(pairs), "same": sum(one == other for one, other in pairs) / 40}

    measures = measured("mine", counts, LINES)
    row = score("t", "greedy", LINES, seconds=80.0, decoding_seconds=8.0, measures=measures)
    assert row.wer == 40 / 160
    (stored,) = (each.row() for each in write_scores(tmp_path / "s", [row], holds=lambda _: True))
    assert stored["mine_pairs"] == 40
    assert stored["mine_same"] == 8 / 40
    assert "measures" not in stored
    assert read_scores(tmp_path / "s") == [row]
    earlier = stored | {"n2_wer": None}  # as rows once had it without that protocol
    (tmp_path / "s").write_text(json.dumps([earlier]))
    assert read_scores(tmp_path / "s") == [row]


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("mine", {"rate": float("nan")}, "mine_rate is nan, not a finite"),
        ("mine", {"My rate": 1.0}, "would be `mine_My rate` in"),
        ("wer", {"low": 1.0}, "would be `wer_low` in"),
        ("mine", {"rate": "much"}, "ValueError: could not convert"),
        ("mine", None, "TypeError: "),
    ],
)
def test_what_a_protocol_gives_is_checked(name, given, message):
    with pytest.raises(PluginError, match=message):
        measured(name, lambda _: given, LINES)


def test_without_speakers_the_interval_is_over_utterances():
    lines = [{key: each[key] for key in ("id", "reference", "hypothesis")} for each in LINES]
    row = score("t", "greedy", lines, seconds=80.0, decoding_seconds=8.0)
    assert (row.interval, row.speakers) == ("utterances", 0)


def test_a_few_utterances_have_no_interval():
    row = score("t", "greedy", LINES[:3], seconds=80.0, decoding_seconds=8.0)
    assert (row.wer_low, row.wer_high, row.interval) == (None, None, None)
    row = score("t", "greedy", [], seconds=0.0, decoding_seconds=0.0)
    assert (row.wer, row.ser, row.wer_low, row.real_time_factor) == (0, 0, None, 0)


def test_by_speaker_and_by_length():
    lines = [
        line(0, "a b", "a", speaker="x"),
        line(1, "a b c d e f", "a b c d e f", speaker="y"),
        line(2, "a", "b", speaker="x"),
        line(3, "", "b"),
    ]
    assert by_speaker(lines)["x"] == Edits(1, 1, 0, 3)
    assert list(by_length(lines)) == ["0", "1-5", "6-10"]
    assert by_length(lines)["1-5"] == Edits(1, 1, 0, 3)
    long = [line(4, " ".join("a" * 41), "")]
    assert list(by_length(long)) == ["41 and more"]


@pytest.mark.parametrize("damaged", [b'{"id": "a", "ref', b'{"id": "\xff"}\n'])
def test_a_damaged_file_of_what_was_decoded_is_named(tmp_path, damaged):
    place = tmp_path / "unseen.jsonl"
    place.write_bytes(b'{"id": "b"}\n' + damaged)
    with pytest.raises(RunError, match=r"unseen\.jsonl, line 2: is damaged") as caught:
        read_decoded(place)
    assert "again" in caught.value.hint


def test_rows_of_earlier_versions_are_read(tmp_path):
    rows = write_scores(
        tmp_path / "scores.json",
        [score("t", "greedy", LINES, seconds=80.0, decoding_seconds=8.0)],
        holds=lambda _: True,
    )
    assert read_scores(tmp_path / "scores.json") == rows
    new = {"ser", "wer_low", "wer_high", "interval", "speakers", "sclite_wer"}
    stored = json.loads((tmp_path / "scores.json").read_text())[0]
    assert new <= stored.keys()
    old = {key: each for key, each in stored.items() if key not in new}
    (tmp_path / "scores.json").write_text(json.dumps([old]))
    assert read_scores(tmp_path / "scores.json")[0].wer_low is None
