"""The report of a run: all that is asked of it is there, from whatever the run left."""

import base64
import io
import json
import re

import numpy as np
import pytest
import soundfile
from report_runs import leave, said
from typer.testing import CliRunner

from speechkit import cli
from speechkit.data.store import Meta, Store
from speechkit.errors import DataError, RunError
from speechkit.report import sources, write_report
from speechkit.report.clips import Clips


def told(run, **given):
    return write_report(run, **given).read_text(encoding="utf-8")


def store(count=30, *, seconds=2.0, kind="audio"):
    size = int(16_000 * seconds)
    lengths = np.full(count, size)
    tone = (8_000 * np.sin(np.arange(size) * 0.3)).astype(np.int16)
    ids = [f"u{place}" for place in range(count)]
    meta = Meta(kind, "int16", 16_000, 1, 0.01, "f")
    offsets = np.arange(count + 1) * size
    return Store(
        None,
        meta,
        ids,
        ids,
        ids,
        lengths,
        offsets,
        np.tile(tone, count) if kind == "audio" else tone,
    )


def test_a_report_has_every_section(run):
    (run / "audit.json").write_text(
        json.dumps(
            [
                {
                    "kind": "shared speakers",
                    "severity": "error",
                    "parts": ["train", "lj"],
                    "count": 3,
                    "examples": ["<b>anna</b>"],
                    "remedy": "split by speaker",
                }
            ]
        )
    )
    points = [
        {"settings": {"lm_weight": x / 4, "word_bonus": y / 2}, "wer": 0.1 + (x - y) ** 2 / 99}
        for x in range(5)
        for y in range(5)
    ]
    tuning = {"decoder": "beam", "part": "validation", "points": points, "utterances": 30}
    (run / "tuning").mkdir()
    (run / "tuning" / "beam.json").write_text(
        json.dumps({**tuning, "before": points[1], "best": points[0]})
    )
    page = told(run)
    for heading in (
        "Scores",
        "Training",
        "Test <bdi>lj</bdi>",
        "Test <bdi>тест</bdi>",
        "Decoder weights",
        "Data audit",
        "Efficiency",
        "To repeat it",
    ):
        assert re.search(rf"<h2[^>]*>{heading}</h2>", page), heading
    assert "&lt;b&gt;anna&lt;/b&gt;" in page
    assert page.count("<svg") == 1 + 3 + 2 * 2 + 1  # intervals, curves, two for each test, weights
    assert "<td>кот</td>" in page
    assert "speechkit run" in page
    assert len(set(re.findall(r'\bid="([^"]*)"', page))) == len(re.findall(r'\bid="', page))


@pytest.mark.usefixtures("undrawn")
def test_an_audit_is_told_whatever_its_shape(run):
    leak = {"severity": "error", "kind": "shared", "parts": ["train", "lj"], "what": "in both"}
    leak |= {"count": 3, "total": 4, "unit": "speakers", "remedy": "split by speaker"}
    leak |= {"examples": [{"id": "anna", "text": "", "note": "7 utterances"}]}
    (run / "audit.json").write_text(json.dumps({"verdict": "It leaks.", "findings": [leak]}))
    page = told(run)
    assert "<p>It leaks.</p>" in page
    for cell in ("train → lj", "in both", "anna · 7 utterances", "3 of 4 speakers"):
        assert f">{cell}</td>" in page
    (run / "audit.json").write_text("[]")
    assert "<p>Nothing was found.</p>" in told(run)
    (run / "audit.json").write_text('[{}, 7, {"kind": "odd", "count": 2, "examples": [1]}]')
    assert "<td>odd</td><td>1</td>" in told(run)


@pytest.mark.usefixtures("undrawn")
def test_what_a_run_has_not_is_left_out(run):
    for name in ("metrics.jsonl", "stages.json", "environment.json"):
        (run / name).unlink()
    (run / "audit.json").write_text("{ damaged")
    page = told(run)
    assert "Training</h2>" not in page
    assert "Data audit" not in page
    assert "Decoder weights" not in page


@pytest.mark.usefixtures("undrawn")
def test_scores_stand_greedy_beside_lm_with_their_intervals(run):
    (row,) = [
        each
        for each in json.loads((run / "scores.json").read_text())
        if each["test"] == "lj" and each["decoder"] == "beam"
    ]
    (line,) = re.findall(r"<tr><td>lj</td><td>beam</td>.*</tr>", told(run))
    cells = re.findall(r"<td[^>]*>(.*?)</td>", line)
    assert cells[2] == f"{row['wer']:.4f}"
    assert cells[3] == f"{row['wer_low']:.3f}–{row['wer_high']:.3f}"
    assert cells[4].endswith("%")  # of greedy's errors, saved


@pytest.mark.usefixtures("undrawn")
def test_folders_without_a_run_or_scores_are_told(tmp_path, run):
    with pytest.raises(RunError, match="holds no run"):
        write_report(tmp_path)
    (run / "scores.json").unlink()
    with pytest.raises(RunError, match="no scores to report"):
        write_report(run)


def test_hostile_names_and_texts_break_nothing(tmp_path):
    hostile = "</script><script>alert(1)</script>\u202e$x^{2$\ud800"
    lines = said(1)
    lines[0] |= {"id": hostile, "speaker": hostile, "reference": f"{hostile} кот " * 3}
    lines[1] |= {"reference": "я" * 1_000_000, "hypothesis": "кот"}
    lines[2] |= {"reference": "кот " * 250_000, "hypothesis": f"{hostile} кот"}
    leave(tmp_path, {"lj": {"greedy": lines}}, recipe='[recipe]\nname = "<i>"\ndescription = "<i>"')
    page = told(tmp_path)
    assert page.count("<script") == 1
    assert "alert(1)" in page  # as text
    assert "\u202e" not in page
    assert "<i>" not in page
    assert "… [1,000,000 characters]" in page
    assert len(page) < 1_000_000


@pytest.mark.usefixtures("undrawn")
def test_a_page_is_no_larger_than_it_may_be(run, monkeypatch):
    whole = len(told(run).encode())
    monkeypatch.setattr("speechkit.report.assemble.MOST", whole - 1)
    less = told(run)
    assert len(less.encode()) < whole
    assert 0 < less.count("<article") < 30
    monkeypatch.setattr("speechkit.report.assemble.MOST", 1)
    assert "<article" not in told(run)  # the rest is small however large the test is


@pytest.mark.usefixtures("undrawn")
def test_recordings_are_those_of_the_utterances(run):
    page = told(run, stores=lambda test: store())
    clips = re.findall(r'src="data:audio/mpeg;base64,[^"]{1000,}"', page)
    assert len(clips) == page.count("<article") == 30
    assert page.count("data-start=") > 60


def test_a_clip_sounds_as_the_recording_does():
    found = Clips(lambda test: store(), tests=1).of("lj", ["u3"])["u3"]
    _, _, data = found.partition("base64,")
    samples, rate = soundfile.read(io.BytesIO(base64.b64decode(data)))
    assert rate == 16_000
    assert len(samples) == 32_000
    inner = slice(4_000, -4_000)
    assert np.corrcoef(samples[inner], store().row(3)[inner])[0, 1] > 0.99


def test_recordings_end_where_there_is_no_room(monkeypatch):
    (one,) = Clips(lambda test: store(), tests=1).of("lj", ["u0"]).values()
    monkeypatch.setattr("speechkit.report.clips.CAP", 3 * len(one))
    clips = Clips(lambda test: store(), tests=2)
    assert list(clips.of("lj", ["u0", "u1", "u2"])) == ["u0"]
    assert clips.why_none["lj"] == "2 recordings are left out, so that the file stays small."
    assert len(clips.of("other", ["u0"])) == 1  # every test has its share


def lost(test):
    raise DataError("gone.csv: no such file")


@pytest.mark.parametrize(
    ("stores", "why"),
    [
        (None, "not at hand"),
        (lambda test: store(kind="features"), "ready features"),
        (lost, "gone.csv: no such file"),
        (lambda test: store(seconds=61, count=1), "left out"),
    ],
)
@pytest.mark.usefixtures("undrawn")
def test_a_page_without_recordings_says_why(run, stores, why):
    page = told(run, stores=stores)
    assert why in page
    assert "<audio" not in page


@pytest.mark.usefixtures("undrawn")
def test_a_report_is_made_again_when_what_it_tells_has_changed(run):
    before = sources(run)
    write_report(run)
    assert sources(run) == before
    (run / "audit.json").write_text("[]")
    assert sources(run) != before


def test_the_same_run_gives_the_same_page(run):
    assert told(run) == told(run)


@pytest.mark.usefixtures("undrawn")
def test_the_command_writes_it_though_the_recipe_cannot_be_read(run, monkeypatch):
    monkeypatch.chdir(run.parent.parent)
    answer = CliRunner().invoke(cli.app, ["report", run.name])
    assert answer.exit_code == 0, answer.output
    assert answer.stdout.splitlines()[-1].endswith("report.html")
    assert (run / "report.html").is_file()
    answer = CliRunner().invoke(cli.app, ["report", "moй"])
    assert answer.exit_code == cli.USAGE
    assert "no such run" in answer.output
