"""Runs side by side: what is read, compared, and told."""

import json
import random
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from speechkit import cli
from speechkit.cli.compare_pages import verdict
from speechkit.cli.page import Heading, Paragraph, Table, to_html, to_markdown, to_terminal
from speechkit.errors import DataError, RunError
from speechkit.scoring.compare import compare
from speechkit.scoring.scores import score
from speechkit.scoring.systems import read_system

WORDS = ["the", "cat", "sat", "on", "a", "mat", "and", "dog", "ran", "off"]


def leave(
    root: Path, run: str, decoder: str, *, wrong: float, dim: int = 192, tests=("lj",), skip=0
) -> None:
    """A run's folder as a pipeline leaves it, with a share of the words wrong."""
    folder, draw = root / run, random.Random(f"{run}{decoder}")
    said = random.Random(0)
    references = [said.choices(WORDS, k=said.randint(3, 9)) for _ in range(80)]
    lines = [
        {
            "id": f"u{number}",
            "speaker": f"s{number % 10}",
            "seconds": 2.0,
            "reference": " ".join(text),
            "hypothesis": " ".join("x" if draw.random() < wrong else word for word in text),
        }
        for number, text in enumerate(references)
    ][skip:]
    (folder / "decoded" / decoder).mkdir(parents=True)
    rows, stages = [], {}
    if (folder / "scores.json").exists():
        rows = json.loads((folder / "scores.json").read_text())
        stages = json.loads((folder / "stages.json").read_text())
    for test in tests:
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (folder / "decoded" / decoder / f"{test}.jsonl").write_text(text)
        rows.append(score(test, decoder, lines, seconds=160.0, decoding_seconds=1.6).row())
        stages[f"emit {test}"] = {"inputs": {}, "measured": {"parameters": 1000.0 * dim}}
        made_from = {"decoder": {"use": decoder, "beam": 8}, "lm": None, "tune": None}
        stages[f"decode {decoder} {test}"] = {"inputs": made_from, "measured": {}}
    (folder / "scores.json").write_text(json.dumps(rows))
    (folder / "stages.json").write_text(json.dumps(stages))
    (folder / "recipe.toml").write_text(
        f'[recipe]\nname = "{run}"\nseed = 17\n[model]\nuse = "n2"\ndim = {dim}\n'
        f'[[augment]]\nuse = "noise"\n[decoder]\nuse = "{decoder}"\n[decoder.{decoder}]\nbeam = 9\n'
    )


@pytest.fixture
def runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    leave(tmp_path / "runs", "n2", "beam", wrong=0.1, tests=("lj", "other"))
    leave(tmp_path / "runs", "n2", "greedy", wrong=0.3)
    leave(tmp_path / "runs", "wide", "greedy", wrong=0.3, dim=256)
    return tmp_path / "runs"


def systems(runs, *names):
    return [read_system(name, runs) for name in names]


def test_a_system_is_named_by_its_run_and_decoder(runs):
    greedy, beam, by_path = systems(runs, "n2", "n2:beam", str(runs / "n2") + ":beam")
    assert greedy.name.endswith("n2:greedy")  # the decoder used last
    assert beam == by_path
    assert list(beam.decoded) == ["lj", "other"]
    assert beam.parameters == 192_000
    assert beam.settings["decoder.use"] == "beam"  # though the recipe's is greedy now
    assert beam.settings["decoder.beam"] == 8  # what it was, not what the recipe says now
    assert beam.settings["augment.1.use"] == "noise"


def test_what_a_run_lacks_is_told(runs):
    with pytest.raises(RunError, match="n3: no such run") as error:
        read_system("n3", runs)
    assert error.value.hint == "did you mean `n2`?"
    with pytest.raises(RunError, match="holds nothing decoded with bem") as error:
        read_system("n2:bem", runs)
    assert error.value.hint == "did you mean `beam`?"
    with pytest.raises(RunError, match="nothing to compare it with"):
        compare(systems(runs, "n2"))
    with pytest.raises(RunError, match="no test other that all have") as error:
        compare(systems(runs, "n2", "wide"), ["other"])
    assert error.value.hint == "in common: lj"


def test_the_settings_that_differ(runs):
    assert compare(systems(runs, "n2", "wide")).settings == {"model.dim": [192, 256]}
    assert compare(systems(runs, "n2", "n2:beam")).settings == {"decoder.use": ["greedy", "beam"]}


def test_a_better_decoder_is_found_better(runs):
    (test,) = compare(systems(runs, "n2", "n2:beam")).tests
    (pair,) = test.pairs
    before, after = test.scores
    assert pair.difference.difference == pytest.approx(after.wer - before.wer)
    assert pair.difference.units == "speakers"
    assert pair.difference.high < 0
    assert pair.difference.p < 0.05
    assert pair.matched_pairs.z < -2
    assert sum(each.second < each.first for each in pair.better_words) == len(pair.better_words) > 0
    best = pair.better_utterances[0]
    assert best.first_errors > best.second_errors
    told = verdict(pair, "A", "B")
    assert told.startswith(f"B beside A: WER {before.wer - after.wer:.4f} lower (95 %: -")
    assert "That is hardly chance" in told


def test_equally_good_systems_may_differ_by_chance(runs):
    (test,) = compare(systems(runs, "n2", "wide")).tests
    assert "That may be chance" in verdict(test.pairs[0], "A", "B")
    (same,) = compare(systems(runs, "n2", "n2")).tests
    assert verdict(same.pairs[0], "A", "B") == (
        "B beside A: WER the same; no interval can be given. Both have as many errors in every "
        "utterance. Matched pairs (MAPSSWE): p = 1.000, z = 0.00, over "
        f"{same.pairs[0].matched_pairs.segments:,} segments."
    )


def test_other_references_are_refused(runs):
    file = runs / "wide/decoded/greedy/lj.jsonl"
    lines = [json.loads(text) for text in file.read_text().splitlines()]
    lines[3]["reference"] += " more"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(DataError, match=r"other references for 1 of 80 utterances:\n  u3: '"):
        compare(systems(runs, "n2", "wide"))


def test_the_common_part_is_compared_and_the_rest_counted(runs):
    leave(runs, "part", "greedy", wrong=0.3, skip=20)
    (test,) = compare(systems(runs, "n2", "part")).tests
    assert (test.utterances, test.left_out) == (60, 20)
    assert {row.utterances for row in test.scores} == {60}
    assert test.scores[0].seconds == 120.0
    assert test.scores[0].real_time_factor == pytest.approx(0.01)


def test_the_command_writes_each_form(runs):
    command = ["compare", "n2", "wide", "n2:beam"]
    told = {
        form: CliRunner().invoke(cli.app, [*command, "--format", form])
        for form in ("terminal", "markdown", "json", "html")
    }
    assert {each.exit_code for each in told.values()} == {0}
    assert "model.dim" in told["terminal"].stdout
    assert "| model.dim | 192 | 256 | 192 |" in told["markdown"].stdout
    found = json.loads(told["json"].stdout)
    assert found["tests"][0]["pairs"][1]["difference"]["units"] == "speakers"
    assert told["html"].stdout.startswith("<!doctype html>")


def test_signs_of_markdown_and_html_in_a_text_stay_text():
    page = [Heading("a_b"), Paragraph("<i> & *x*"), Table(["a|b", "n"], [["c|d", "1"]])]
    assert to_markdown(page) == (
        "## a\\_b\n\n\\<i> & \\*x\\*\n\n| a\\|b | n |\n| --- | ---: |\n| c\\|d | 1 |"
    )
    assert "<p>&lt;i&gt; &amp; *x*</p>" in to_html(page, title="t")
    assert '<td>c|d</td><td class="number">1</td>' in to_html(page, title="t")


def test_a_page_is_cut_where_it_must_be_and_says_what_is_unseen():
    page = [Heading("a\x1b[2J"), Paragraph("wörd " * 150), Table(["b\u202e"], [["x" * 1_000_000]])]
    console = Console(width=100, highlight=False)
    with console.capture() as captured:
        to_terminal(page, console)
    for written in (captured.get(), to_markdown(page), to_html(page, title="t")):
        assert written.count("wörd") == 150  # sentences of ours are longer than texts
        assert "U+001B" in written
        assert "U+202E" in written
        assert not {"\x1b", "\u202e"} & set(written)
        assert "1,000,000 characters" in " ".join(written.split())
        assert len(written) < 50_000


def test_a_recipe_that_says_little_is_read(runs):
    (runs / "wide" / "recipe.toml").write_text('[decoder]\nuse = "greedy"\n')
    assert compare(systems(runs, "n2", "wide")).settings["recipe.seed"] == [17, None]
