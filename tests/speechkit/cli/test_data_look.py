"""`speechkit data look`: what it prints, and what it leaves behind: nothing."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
from typer.testing import CliRunner

from speechkit import cli

RECIPE = """\
[recipe]
name = "small"
[corpus.train]
use = "files"
path = "train.csv"
[corpus.test.unseen]
use = "files"
path = "train.csv"
limit = 1
[text]
alphabet = "abcdefghijklmnopqrstuvwxyz"
[features]
use = "log_mel"
[model]
use = "n2"
dim = 16
layers = 1
[profiles.ready]
corpus.train = { use = "files", path = "ready.parquet", features_column = "mfcc", feature_dim = 13 }
features = { use = "mfcc" }
"""


@pytest.fixture
def house(tmp_path, monkeypatch):
    monkeypatch.setenv("SPEECHKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.toml").write_text(RECIPE)
    noise = np.random.default_rng(0).uniform(-0.1, 0.1, 16_000)
    texts = ("hello café 7", "a b c", "far too much to say in so short a time")
    lines = ["id,audio,text,speaker"]
    for place, (text, seconds) in enumerate(zip(texts, (1, 0.5, 0.2), strict=True)):
        soundfile.write(tmp_path / f"{place}.wav", noise[: int(seconds * 16_000)], 16_000)
        lines.append(f"u{place},{place}.wav,{text},s{place}")
    (tmp_path / "train.csv").write_text("\n".join(lines) + "\n")
    features = pa.array([[0.5] * 13 * 70], pa.list_(pa.float32()))
    pq.write_table(pa.table({"text": ["abc"], "mfcc": features}), tmp_path / "ready.parquet")
    return tmp_path


def call(*arguments: str, width: int = 80) -> tuple[int, str, str]:
    result = CliRunner().invoke(cli.app, ["data", "look", *arguments], env={"COLUMNS": str(width)})
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def test_json_holds_all_and_nothing_is_left_behind(house):
    before = {each.name for each in house.iterdir()}
    code, out, error = call("small.toml", "--json")
    assert (code, error) == (0, "")
    assert {each.name for each in house.iterdir()} - before == {"cache"}
    found = json.loads(out)
    assert (found["recipe"], found["profile"]) == ("small", None)
    train, unseen = found["parts"]
    assert (train["name"], train["corpus"], train["kind"]) == ("train", "files", "audio")
    assert (train["utterances"], train["speakers"], unseen["utterances"]) == (3, 3, 1)
    assert train["seconds"] == pytest.approx(1.7)
    assert [each["character"] for each in train["outside"]] == ["7", "é"]
    assert train["outside"][1]["excerpt"] == "hello café 7"
    assert train["oddities"][0]["what"] == "more labels than frames"
    assert train["oddities"][0]["examples"][0]["id"] == "u2"
    assert train["histogram"]["counts"][-1] == 1


def test_tables(house):
    code, out, error = call("small.toml")
    assert (code, error) == (0, "")
    lines = [line.rstrip() for line in out.splitlines()]
    assert any(line.split() == ["train", "3", "0.00", "3", "15", "14", "52"] for line in lines)
    place = lines.index("Outside the alphabet, taken out")
    assert lines[place + 3 : place + 5] == [
        "  train: é  1× in 1 of 3 utterances",
        "      u0  hello café 7",
    ]
    assert "  train: 1 of 3: more labels than frames" in lines
    assert "      0.20 s  u2  far too much to say in so short a time" in lines
    assert "  never: d g j k p q v w x z" in lines


def test_ready_features(house):
    code, out, _ = call("small.toml", "--profile", "ready", "--json")
    assert code == 0
    train = json.loads(out)["parts"][0]
    assert (train["kind"], train["speakers"], train["utterances"]) == ("features", 0, 1)
    assert train["seconds"] == pytest.approx(0.7)
    code, out, error = call("small.toml", "--profile", "ready", "--set", "features.use=log_mel")
    assert (code, out) == (2, "")
    assert "corpus train gives 13 features every 0.01 s, [features] log_mel makes 80" in error


def test_a_recipe_is_checked_as_runs_check_it(house):
    code, out, error = call("small.toml", "--set", "model.dimm=8", "--profile", "none")
    assert (code, out) == (2, "")
    assert "small.toml has 2 problems" in error
    (house / "0.wav").write_bytes(b"broken")
    code, out, error = call("small.toml")
    assert (code, out) == (2, "")
    assert "corpus train: 1 utterances cannot be used:" in error
    code, out, error = call(
        "small.toml", "--set", "data.bad_utterances=skip", "--set", "corpus.test.unseen.limit=2"
    )
    assert code == 0
    assert "warning: train: left out: u0" in error
    assert "train: 1 of 2: cannot be read, left out" in out


@pytest.mark.parametrize("width", [80, 120])
def test_nothing_is_wider_than_the_terminal(house, monkeypatch, width):
    from rich.console import Console

    from speechkit.cli.look_at_recipe import measured
    from speechkit.cli.look_tables import show
    from speechkit.discovery import load_plugins
    from speechkit.recipe import read_recipe
    from speechkit.reporter import Reporter

    recipe = read_recipe(house / "small.toml", load_plugins())
    console = Console(width=width, record=True, quiet=False, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    show(measured(recipe, Reporter(Console(quiet=True))), recipe, console)
    lines = console.export_text().splitlines()
    assert max(map(len, lines)) <= width
    assert not any("…" in line for line in lines)
