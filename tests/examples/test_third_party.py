"""Distributions as others would write them: found, used by a recipe, taken away, and broken."""

import ast
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from speechkit.discovery import load_plugins
from speechkit.recipe import read_recipe

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
TINY = EXAMPLES / "third_party"
RECIPE = TINY / "tiny.toml"
PARTS = {"features": "log_spectrogram", "model": "tiny_gru"}
SMALL = (
    "corpus.train.utterances=12",
    "corpus.validation.utterances=4",
    "corpus.test.unseen.utterances=5",
    "model.size=16",
    "train.epochs=1",
    "train.threads=1",
)


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder in which both examples are installed: no network, nothing of the environment."""
    for needed in ("hatchling", "pip"):
        if importlib.util.find_spec(needed) is None:
            pytest.skip(f"{needed}, which installs the examples, is not installed")
    place = tmp_path_factory.mktemp("site")
    folders = [str(EXAMPLES / name) for name in ("third_party", "broken")]
    plain = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--no-compile"]
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", *plain]
    done = subprocess.run(
        [*pip, "--target", str(place), *folders], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return place


def speechkit(*arguments: str, site: Path | None, folder: Path) -> subprocess.CompletedProcess:
    """The command, where the distributions in `site` are installed, too."""
    environment = os.environ | {
        "SPEECHKIT_CACHE": str(folder / "cache"),
        "COLUMNS": "200",
        "OMP_NUM_THREADS": "1",
    }
    environment.pop("PYTHONPATH", None)
    if site:
        environment["PYTHONPATH"] = str(site)
    command = [sys.executable, "-m", "speechkit", *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_their_parts_are_rows_and_so_is_what_does_not_load(installed, tmp_path):
    done = speechkit("plugins", "list", "--json", site=installed, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    theirs = [row for row in rows if row["distribution"] == "speechkit-tiny"]
    assert {row["kind"]: row["name"] for row in theirs} == PARTS
    assert {(row["version"], row["error"]) for row in theirs} == {("1.0.0", None)}
    broken = [row for row in rows if row["error"]]
    assert broken == [
        {
            "kind": "plugin",
            "name": "broken",
            "distribution": "speechkit-broken",
            "version": "0.1.0",
            "error": "ModuleNotFoundError: No module named 'speechkit_broken.filters' "
            "(__init__.py:6)",
        }
    ]


@pytest.mark.slow
def test_their_recipe_runs_to_its_scores(installed, tmp_path):
    changes = [each for change in SMALL for each in ("--set", change)]
    done = speechkit("run", str(RECIPE), *changes, site=installed, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    scores = json.loads((tmp_path / "runs" / "tiny" / "scores.json").read_text())
    assert [(row["test"], row["utterances"]) for row in scores] == [
        ("validation", 4),
        ("unseen", 5),
    ]


def test_without_them_the_recipe_says_which_parts_are_lacking(tmp_path):
    done = speechkit("run", str(RECIPE), site=None, folder=tmp_path)
    assert done.returncode == 2, done.stderr
    assert not done.stdout
    assert "has 2 problems" in done.stderr
    text = RECIPE.read_text().splitlines()
    for kind, name in PARTS.items():
        line = text.index(f'use = "{name}"') + 1
        assert f"tiny.toml:{line}: [{kind}] no plugin offers the {kind} `{name}`" in done.stderr
    assert "Traceback" not in done.stderr
    assert "did not load" not in done.stderr  # no plugin that is there is blamed
    assert not (tmp_path / "runs").exists()


def test_a_broken_one_stops_no_recipe(installed, monkeypatch):
    monkeypatch.syspath_prepend(installed)
    monkeypatch.setenv("SPEECHKIT_DATA", os.environ.get("SPEECHKIT_DATA", "/data"))
    plugins = load_plugins()
    assert [row.name for row in plugins.broken] == ["broken"]
    recipes = sorted((ROOT / "recipes").glob("*.toml"))
    assert recipes
    for file in [*recipes, RECIPE]:
        read_recipe(file, plugins)  # checks every profile; raises on a problem


@pytest.fixture(scope="module")
def tiny():
    """The package, imported from where it lies."""
    sys.path.insert(0, str(TINY))
    try:
        import speechkit_tiny

        yield speechkit_tiny
    finally:
        sys.path.remove(str(TINY))


@settings(deadline=None, max_examples=15)
@given(st.lists(st.integers(0, 1500), min_size=1, max_size=4), st.integers(0, 500))
def test_padding_never_changes_features(tiny, lengths, extra):
    extract = tiny.LogSpectrogram(tiny.LogSpectrogramConfig())
    rows = [torch.randn(length) for length in lengths]
    batch = torch.full((len(rows), max(lengths) + extra), torch.nan)
    for index, row in enumerate(rows):
        batch[index, : len(row)] = row
    together, frames = extract(batch, torch.tensor(lengths))
    for index, row in enumerate(rows):
        alone, count = extract(row[None], torch.tensor([len(row)]))
        assert frames[index] == count[0] == alone.shape[1]
        assert alone.shape[2] == extract.dim
        torch.testing.assert_close(together[index, : frames[index]], alone[0])


@settings(deadline=None, max_examples=15)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=4), st.integers(0, 9))
def test_padding_never_changes_what_the_model_says(tiny, lengths, extra):
    torch.manual_seed(0)
    model = tiny.TinyGru(tiny.TinyGruConfig(size=8), num_features=5, num_labels=4).eval()
    rows = [torch.randn(length, 5) for length in lengths]
    batch = torch.full((len(rows), max(lengths) + extra, 5), torch.nan)
    for index, row in enumerate(rows):
        batch[index, : len(row)] = row
    together, frames = model(batch, torch.tensor(lengths))
    for index, row in enumerate(rows):
        alone, count = model(row[None], torch.tensor([len(row)]))
        assert frames[index] == count[0] == -(-len(row) // model.subsampling)
        found = together[index, : frames[index]]
        torch.testing.assert_close(found, alone[0, : count[0]])


def test_a_tone_is_one_bright_line(tiny):
    extract = tiny.LogSpectrogram(tiny.LogSpectrogramConfig())
    wave = torch.sin(2 * torch.pi * 2000 * torch.arange(16_000) / 16_000)
    features, frames = extract(wave[None], torch.tensor([16_000]))
    assert frames.tolist() == [98]
    assert set(features[0].argmax(-1).tolist()) == {2000 * 400 // 16_000}


@pytest.mark.parametrize(
    "file", sorted(TINY.rglob("speechkit_tiny/*.py")), ids=lambda each: each.name
)
def test_forty_lines_and_the_public_names_alone(file):
    text = file.read_text()
    assert text.count("\n") <= 40
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            assert not any(each.name.startswith("speechkit") for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module.startswith("speechkit"):
            assert node.module == "speechkit" or node.module.startswith("speechkit_tiny")
