"""Distributions that are installed, broken, doubled and taken away: what becomes of other recipes.

They are installed as pip leaves them: a module and a `.dist-info` in a folder of `sys.path`.
"""

import importlib
import json
import shutil
import sys
from pathlib import Path

import pytest
import torch
from rich.console import Console
from tones import RECIPE, weights

from speechkit import PluginError, RecipeError, RunError
from speechkit.discovery import PLUGIN, load_plugins
from speechkit.pipeline import Pipeline
from speechkit.recipe import read_recipe
from speechkit.recogniser import load_recogniser
from speechkit.reporter import Reporter

pytestmark = pytest.mark.usefixtures("undrawn")

MODEL = """
from speechkit import Component, hookimpl
from speechkit_n2 import N2, N2Config

class Theirs(N2):
    whose = __name__

@hookimpl
def speechkit_models():
    return [Component("NAME", N2Config, Theirs)]
"""
BROKEN = "import a_library_that_is_not_there\n"
OUTDATED = "speechkit_api = 0\n" + MODEL.replace("NAME", "old")
TOO_NEW = "from speechkit import SomethingNew\n"
RAISES = """
from speechkit import hookimpl
@hookimpl
def speechkit_decoders():
    raise OSError("no decoder here")
"""
MEDDLES = MODEL.replace("NAME", "theirs").replace(
    "\nfrom",
    """
import locale, os, random, signal, sys, warnings
import numpy, torch

torch.set_default_dtype(torch.float64)
torch.set_grad_enabled(False)
torch.use_deterministic_algorithms(True)
torch.backends.mkldnn.enabled = False
torch.manual_seed(0), numpy.random.seed(0), random.seed(0)
os.environ["SPEECHKIT_CACHE"] = "elsewhere"
os.chdir("/")
sys.path.insert(0, "/")
warnings.simplefilter("error")
locale.setlocale(locale.LC_ALL, "")
signal.signal(signal.SIGTERM, signal.SIG_IGN)
from""",
    1,
)


class Site:
    """A folder of `sys.path` that distributions are put into and taken from."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()

    def install(self, name: str, source: str, version: str = "1.0") -> None:
        """A distribution NAME with the plugin of that name."""
        module = f"plugin_{name}"
        (self.folder / f"{module}.py").write_text(source)
        info = self.folder / f"{name}_dist-{version}.dist-info"
        info.mkdir()
        head = f"Metadata-Version: 2.1\nName: {name}-dist\nVersion: {version}\n"
        (info / "METADATA").write_text(head)
        (info / "entry_points.txt").write_text(f"[speechkit]\n{name} = {module}\n")
        importlib.invalidate_caches()

    def remove(self, name: str) -> None:
        """As `pip uninstall` does."""
        (self.folder / f"plugin_{name}.py").unlink()
        for info in self.folder.glob(f"{name}_dist-*"):
            shutil.rmtree(info)
        sys.modules.pop(f"plugin_{name}", None)
        importlib.invalidate_caches()


@pytest.fixture
def site(tmp_path_factory, monkeypatch):
    """A folder for each order in which Python may find distributions."""
    made = []

    def another() -> Site:
        made.append(Site(tmp_path_factory.mktemp("site") / "packages"))
        monkeypatch.syspath_prepend(made[-1].folder)
        return made[-1]

    yield another
    for name in [each for each in sys.modules if each.startswith("plugin_")]:
        del sys.modules[name]


def run(house: Path, name: str, *overrides: str, recipe: str = "tones.toml", disabled=()) -> str:
    """Run a recipe with what is installed; gives what was said."""
    plugins = load_plugins(disabled=disabled)
    read = read_recipe(house / recipe, plugins, overrides=overrides)
    console = Console(file=(house / "said.txt").open("w"), width=400)
    Pipeline(read, plugins, house / "runs" / name, Reporter(console)).run()
    console.file.close()
    return (house / "said.txt").read_text()


def results(house: Path, name: str) -> tuple[dict, list]:
    rows = json.loads((house / "runs" / name / "scores.json").read_text())
    return weights(house, name), [(row["test"], row["wer"], row["cer"]) for row in rows]


@pytest.mark.parametrize(
    ("what", "source", "error", "remedy"),
    [
        (
            "broken",
            BROKEN,
            "ModuleNotFoundError: No module named 'a_library_that_is_not_there'",
            "install what",
        ),
        ("outdated", OUTDATED, "was written for version 0 of the plugin interface, ", "upgrade"),
        ("too_new", TOO_NEW, "ImportError: cannot import name 'SomethingNew'", "upgrade"),
        ("worded", "speechkit_api = 'one'\n", "speechkit_api is 'one', not a number", "upgrade"),
        ("raises", RAISES, "OSError: no decoder here", "a defect of raises-dist"),
        ("doubled", MODEL.replace("NAME", "n2"), "speechkit itself offers the model `n2`", "ask"),
        (
            "meddling",
            MEDDLES,
            "loading it changed what all code shares; it was put back: torch's default dtype from ",
            "a defect of meddling-dist: a part that needs this sets it in its constructor",
        ),
    ],
)
def test_what_is_installed_beside_changes_no_other_recipe(house, site, what, source, error, remedy):
    alone = run(house, "before", "train.epochs=1")
    installed = site()
    installed.install(what, source)
    (row,) = [each for each in load_plugins().rows() if each.error]
    assert (row.distribution, row.version) == (f"{what}-dist", "1.0")
    assert row.error.startswith(error)
    assert row.remedy
    assert remedy in row.remedy
    sys.modules.pop(f"plugin_{what}", None)  # as in the process of another command
    said = run(house, "beside", "train.epochs=1")
    installed.remove(what)
    run(house, "after", "train.epochs=1")
    expected, scores = results(house, "before")
    for name in ("beside", "after"):
        found, rows = results(house, name)
        assert all(torch.equal(expected[key], found[key]) for key in expected)
        assert rows == scores
    told = [line for line in said.splitlines() if f"{what}-dist" in line]
    assert len(told) == 1
    assert told[0].startswith("warning: ")
    assert row.error in told[0]
    assert row.remedy in told[0]
    assert "-dist" not in alone


@pytest.fixture
def theirs(house, site):
    """A run with the model `theirs` of one-dist."""
    (house / "theirs.toml").write_text(RECIPE.replace('use = "n2"', 'use = "theirs"'))
    installed = site()
    installed.install("one", MODEL.replace("NAME", "theirs"))
    run(house, "run", "train.epochs=1", recipe="theirs.toml")
    return installed


def test_a_name_that_two_offer_is_told_apart_by_its_owner(house, theirs):
    theirs.install("two", MODEL.replace("NAME", "theirs"))
    # What was trained is not touched: its file says whose model it is.
    model = load_recogniser(house / "runs/run", load_plugins()).model
    assert model.whose == "plugin_one"
    with pytest.raises(RecipeError, match=r"theirs` is offered by one-dist .* and by two") as told:
        run(house, "run", "train.epochs=1", recipe="theirs.toml")
    assert 'say which: `use = "one-dist:theirs"` or `use = "two-dist:theirs"`' in str(told.value)
    assert "--disable-plugin two" in str(told.value)
    before = (house / "runs/run/model.safetensors").stat().st_mtime_ns
    owned = RECIPE.replace('use = "n2"', 'use = "one:theirs"')
    (house / "owned.toml").write_text(owned)
    for recipe, disabled in (("owned.toml", ()), ("theirs.toml", ["two"])):
        run(house, "run", "train.epochs=1", recipe=recipe, disabled=disabled)
    assert (house / "runs/run/model.safetensors").stat().st_mtime_ns == before
    # The other one's model is another model: nothing is taken for it.
    with pytest.raises(RunError, match=r"model.use: .one-dist:theirs., now .two-dist:theirs."):
        run(house, "run", "train.epochs=1", recipe="theirs.toml", disabled=["one"])


def test_what_is_taken_away_is_missed_by_name(house, theirs):
    theirs.remove("one")
    theirs.install("broken", BROKEN)
    for ask in (
        lambda: run(house, "run", "train.epochs=1", recipe="theirs.toml"),
        lambda: load_recogniser(house / "runs/run", load_plugins()),
    ):
        with pytest.raises((RecipeError, PluginError), match="no plugin offers the model") as told:
            ask()
        assert "`broken` of broken-dist did not load (ModuleNotFoundError" in str(told.value)
    theirs.install("one", MODEL.replace("NAME", "theirs"))
    assert load_recogniser(house / "runs/run", load_plugins()).model.whose == "plugin_one"


def test_a_plugin_that_is_left_out_is_a_row_and_is_not_imported(site):
    installed = site()
    installed.install("one", MODEL.replace("NAME", "theirs"))
    for name in ("one", "one-dist", "One_Dist"):
        plugins = load_plugins(disabled=[name])
        assert "plugin_one" not in sys.modules
        (row,) = plugins.disabled
        assert (row.kind, row.name) == (PLUGIN, "one")
        assert row in plugins.rows()
        assert row.error == f"left out by --disable-plugin {name}"
        assert not plugins.broken
        with pytest.raises(PluginError, match="left out by --disable-plugin"):
            plugins.find("model", "theirs")
    with pytest.raises(PluginError, match="--disable-plugin oone: no plugin is called so") as told:
        load_plugins(disabled=["oone"])
    assert told.value.hint == "did you mean `one`?"
    assert load_plugins().find("model", "theirs").plugin == "one"


def test_a_distribution_in_two_versions_is_a_row(site):
    older, newer = site(), site()  # the second comes first on the path
    older.install("one", MODEL.replace("NAME", "older"), "1.0")
    newer.install("one", MODEL.replace("NAME", "newer"), "1.1")
    plugins = load_plugins()
    assert plugins.find("model", "newer").version == "1.1"
    (row,) = plugins.broken
    assert (row.name, row.version) == ("one-dist", "1.1")
    assert f"1.1 in {newer.folder}, which is used, and 1.0 in {older.folder}" in row.error
    assert row.remedy.endswith("pip uninstall one-dist")


def test_the_plain_name_of_a_part_of_ours_stays_ours_unless_a_file_offers_it(site, tmp_path):
    site().install("two", MODEL.replace("NAME", "n2"))
    plugins = load_plugins()
    assert plugins.find("model", "n2").distribution == "speechkit"
    assert plugins.find("model", "speechkit:n2").distribution == "speechkit"
    assert plugins.find("model", "two_dist:n2").plugin == "two"
    rows = [row for row in plugins.rows() if (row.kind, row.name) == ("model", "n2")]
    assert [(row.distribution, row.error is None) for row in rows] == [
        ("speechkit", True),
        ("two-dist", False),
    ]
    assert 'this one is `use = "two-dist:n2"`' in rows[1].error
    file = tmp_path / "mine.py"
    file.write_text(MODEL.replace("NAME", "n2"))
    with pytest.raises(PluginError, match="is offered by") as told:
        load_plugins([file]).find("model", "n2")
    assert f'`use = "{file}:n2"`' in told.value.hint
    assert load_plugins([file]).find("model", "mine:n2").distribution == str(file)
