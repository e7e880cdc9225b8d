"""`speechkit plugins new`: what it writes installs, passes the contract kit, and runs."""

import ast
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from speechkit import PluginError
from speechkit.cli import app
from speechkit.discovery import load_plugins
from speechkit.recipe import read_recipe
from speechkit.scaffold import KINDS, asked_for, part_name, write_plugin
from speechkit.testing import check

SMALL = {
    "model": ("train.epochs=1", "model.units=8"),
    "corpus": ("train.epochs=1", "model.units=8"),
}
UTTERANCES = ("train.utterances=8", "validation.utterances=3", "test.unseen.utterances=3")


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder with a scaffold of each kind, and one in which their wheels are installed."""
    builders = pytest.importorskip("hatchling.builders.wheel")
    place = tmp_path_factory.mktemp("plugins")
    for kind in KINDS:
        write_plugin(place / f"try-{kind.replace('_', '-')}", kind)
        builder = builders.WheelBuilder(str(place / f"try-{kind.replace('_', '-')}"))
        [wheel] = builder.build(directory=str(place / "wheels"), versions=["standard"])
        with zipfile.ZipFile(wheel) as opened:
            opened.extractall(place / "site")
    return place


@pytest.fixture
def imported(installed, monkeypatch):
    """As if they were installed in this process."""
    monkeypatch.syspath_prepend(installed / "site")
    yield installed
    for name in [each for each in sys.modules if each.startswith("try_")]:
        del sys.modules[name]


def run(*arguments, installed, folder):
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(installed / "site"), *filter(None, sys.path)]),
        "SPEECHKIT_CACHE": str(folder / "cache"),
        "OMP_NUM_THREADS": "1",
    }
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_each_holds_what_its_kind_must(imported, capfd):
    plugins = load_plugins()
    for kind in KINDS:
        offer = plugins.find(kind, f"try_{kind}")
        assert (offer.distribution, offer.version) == (f"try-{kind.replace('_', '-')}", "0.1.0")
        results = check(offer.component, kind, skip=["nothing_happens_at_import"])
        failed = [each for each in results if each.outcome == "failed"]
        assert [(each.component, each.check, each.saw) for each in failed] == []
    assert "Loading" not in capfd.readouterr().err  # KenLM's progress would hide what is told


def test_each_recipe_uses_its_part(imported):
    plugins = load_plugins()
    for kind in KINDS:
        recipe = imported / f"try-{kind.replace('_', '-')}" / "recipes" / f"try_{kind}.toml"
        read_recipe(recipe, plugins)  # raises on a problem
        assert asked_for(kind, f"try_{kind}") in recipe.read_text()


def test_modules_are_short_and_import_the_public_names_alone(installed):
    for kind in KINDS:
        text = (installed / "site" / f"try_{kind}" / "__init__.py").read_text()
        assert len(text.splitlines()) <= 60
        assert "$" not in text
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom) and node.module.startswith("speechkit"):
                assert node.module == "speechkit"


def test_what_the_newest_two_do_is_real(imported):
    plugins = load_plugins()
    component = plugins.find("text_rule", "try_text_rule").component
    rule = component.build(component.config())
    assert rule("on 3 May, at 12,500 km, 007 paid 40") == (
        "on three May, at twelve thousand five hundred km, zero zero seven paid forty"
    )
    component = plugins.find("score_protocol", "try_score_protocol").component
    protocol = component.build(component.config(share=0.5))
    pairs = [("a b", "a b"), ("a b c d", "a x c d"), ("a b", "x a y z"), ("", "")]
    assert protocol(pairs) == {"worst": 0.625, "useless": 0.25}


@pytest.mark.slow
def test_its_own_tests_pass(installed, tmp_path):
    tests = installed / "try-units" / "tests"
    done = run(
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        str(tests),
        installed=installed,
        folder=tmp_path,
    )
    assert done.returncode == 0, done.stdout
    assert "10 passed" in done.stdout


@pytest.mark.slow
def test_a_mistake_fails_its_own_tests_with_the_cause(installed, tmp_path):
    broken = tmp_path / "try_units"
    broken.mkdir()
    text = (installed / "site" / "try_units" / "__init__.py").read_text()
    assert "label is None" in text
    broken.joinpath("__init__.py").write_text(text.replace("label is None", "False"))
    tests = installed / "try-units" / "tests"
    command = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "outside", str(tests))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    done = subprocess.run(
        [sys.executable, *command],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout
    assert "units:try_units what_is_outside_is_told" in done.stdout
    assert "cause: usually characters dropped in silence" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("kind", SMALL)
def test_its_recipe_runs_to_its_scores(kind, installed, tmp_path):
    recipe = installed / f"try-{kind}" / "recipes" / f"try_{kind}.toml"
    settings = [*SMALL[kind], *(f"corpus.{each}" for each in UTTERANCES)]
    changes = [each for setting in settings for each in ("--set", setting)]
    done = run(
        "-m", "speechkit", "run", str(recipe), *changes, installed=installed, folder=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "runs" / f"try_{kind}" / "scores.json").exists()


@pytest.mark.parametrize("name", ["3d", "my model", "class", "-x", "a..b", "naïve"])
def test_names_that_no_package_can_have_are_refused(name, tmp_path):
    with pytest.raises(PluginError, match="no name for a package"):
        write_plugin(tmp_path / name, "model")
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten_or_hidden(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "work.py").touch()
    with pytest.raises(PluginError, match="not empty"):
        write_plugin(tmp_path / "mine", "model")
    with pytest.raises(PluginError, match="a package torch is installed"):
        write_plugin(tmp_path / "torch", "model")
    assert [each.name for each in tmp_path.rglob("*")] == ["mine", "work.py"]


def test_a_name_that_a_part_has_is_refused(tmp_path):
    done = CliRunner().invoke(
        app, ["plugins", "new", str(tmp_path / "greedy"), "--kind", "decoder"]
    )
    assert done.exit_code == 2
    assert "speechkit has a decoder `greedy` already" in done.stderr
    assert not list(tmp_path.iterdir())


def test_the_command_writes_the_files_and_says_what_comes_next(tmp_path):
    folder = tmp_path / "speechkit-fancy-net"
    done = CliRunner().invoke(app, ["plugins", "new", str(folder), "--kind", "model"])
    assert done.exit_code == 0, done.output
    assert sorted(each.relative_to(folder).as_posix() for each in folder.rglob("*.*")) == [
        "README.md",
        "pyproject.toml",
        "recipes/fancy_net.toml",
        "speechkit_fancy_net/__init__.py",
        "tests/test_speechkit_fancy_net.py",
    ]
    assert f"pip install -e {folder}" in done.stdout
    assert "speechkit plugins check model:fancy_net" in done.stdout
    assert "class FancyNet(CTCModel):" in (folder / "speechkit_fancy_net/__init__.py").read_text()


def test_an_unknown_kind_is_told(tmp_path):
    done = CliRunner().invoke(app, ["plugins", "new", str(tmp_path / "x"), "--kind", "modell"])
    assert done.exit_code == 2
    assert "did you mean `model`?" in done.stderr


def test_part_names():
    assert part_name(Path("a/speechkit-my-net")) == "my_net"
    assert part_name(Path("Quick")) == "quick"
