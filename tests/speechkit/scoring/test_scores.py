"""Rows of scores.json."""

import json

import pytest

from speechkit.scoring.edits import Edits
from speechkit.scoring.scores import by_length, by_speaker, read_scores, score, write_scores


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
    assert (row.n2_wer, row.n2_cer) == (None, None)


def test_n2s_own_numbers_are_given_where_they_are_asked_for():
    row = score("t", "greedy", LINES, seconds=80.0, decoding_seconds=8.0, protocol="n2")
    assert row.wer == 40 / 160
    assert row.n2_wer == pytest.approx((0 + 1 / 3 + 1 / 4 + 1 / 5 + 2 / 4) / 5)


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


def test_rows_of_earlier_versions_are_read(tmp_path):
    rows = write_scores(
        tmp_path / "scores.json",
        [score("t", "greedy", LINES, seconds=80.0, decoding_seconds=8.0)],
        holds=lambda _: True,
    )
    assert read_scores(tmp_path / "scores.json") == rows
    new = {"ser", "wer_low", "wer_high", "interval", "speakers", "sclite_wer", "n2_wer", "n2_cer"}
    stored = json.loads((tmp_path / "scores.json").read_text())[0]
    assert new <= stored.keys()
    old = {key: each for key, each in stored.items() if key not in new}
    (tmp_path / "scores.json").write_text(json.dumps([old]))
    assert read_scores(tmp_path / "scores.json")[0].wer_low is None
