"""`speechkit tune`: which run it finds, and what it prints."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from speechkit import cli
from speechkit.pipeline import Pipeline

RECIPE = """\
[recipe]
name = "small"
[corpus.train]
use = "files"
path = "train.csv"
[corpus.validation]
use = "files"
path = "train.csv"
[text]
alphabet = "ab"
[features]
use = "log_mel"
[model]
use = "n2"
[lm]
use = "ngram"
[tune]
minutes = 3.0
[profiles.quick]
train.epochs = 1
"""
FOUND = {
    "decoder": "beam",
    "part": "validation",
    "points": [
        {"settings": {"lm_weight": 0.8, "word_bonus": 1.5}, "wer": 0.5, "cer": 0.25},
        {"settings": {"lm_weight": 2.5, "word_bonus": 1.0}, "wer": 0.4321, "cer": 0.2},
    ],
    "before": {"settings": {"lm_weight": 0.8, "word_bonus": 1.5}, "wer": 0.5, "cer": 0.25},
    "best": {"settings": {"lm_weight": 2.5, "word_bonus": 1.0}, "wer": 0.4321, "cer": 0.2},
}


@pytest.fixture
def call(tmp_path, monkeypatch):
    """Call `speechkit tune`: (exit code, stdout, stderr, pipelines with what they were asked)."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.toml").write_text(RECIPE)
    tuned = []

    def tune(self, asked):
        tuned.append((self, asked))
        return FOUND

    monkeypatch.setattr(Pipeline, "tune", tune)

    def call(*arguments):
        tuned.clear()
        result = CliRunner().invoke(cli.app, ["tune", *arguments])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.stdout, result.stderr, tuned

    return call


def test_the_table_shows_before_and_now(call):
    code, shown, _, _ = call("small.toml")
    assert code == 0
    rows = {
        cells[0]: cells[1:]
        for line in shown.splitlines()
        if len(cells := [cell.strip() for cell in line.strip("│").split("│")]) == 5
    }
    assert rows["lm_weight"] == ["0.8", "2.5", "0.8", "2.5"]
    assert rows["WER"] == ["0.5000", "0.4321", "0.4321", "0.5000"]
    assert "kept: runs/small/tuning/beam.json" in shown


def test_a_recipe_s_run_has_the_recipe_s_name_or_one_that_is_given(call):
    for arguments, folder in (
        (["small.toml"], "runs/small"),
        (["small.toml", "--profile", "quick"], "runs/small-quick"),
        (["small.toml", "--run", "other"], "runs/other"),
    ):
        [(pipeline, asked)] = call(*arguments)[3]
        assert pipeline.folder == Path(folder)
        assert asked == pipeline.recipe.tune
    code, _, told, _ = call("small.toml", "--run", "a/b")
    assert code == 2
    assert "'a/b' is no name of a folder" in told


def test_a_run_is_found_by_folder_and_by_name_with_the_recipe_it_keeps(call):
    kept = Path("runs/mine/recipe.toml")
    kept.parent.mkdir(parents=True)
    kept.write_text(RECIPE.replace("small", "kept"))
    for target in ("runs/mine", "mine"):
        [(pipeline, _)] = call(target)[3]
        assert pipeline.folder == Path("runs/mine")
        assert pipeline.recipe.settings.name == "kept"
    code, _, told, _ = call("none")
    assert code == 2
    assert "none" in told


def test_options_say_how_this_time_and_leave_the_recipe_as_it_is(call):
    options = ["--decoder", "kenlm", "--utterances", "7", "--settings", "9"]
    [(pipeline, asked)] = call("small.toml", *options, "--set", "decoder.kenlm.beam=20")[3]
    assert pipeline.recipe.decoder.use == "kenlm"
    assert pipeline.recipe.decoder.config.beam == 20
    assert (asked.utterances, asked.settings, asked.minutes) == (7, 9, 3.0)
    assert pipeline.recipe.tune.settings == 60
