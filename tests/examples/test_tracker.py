"""The tracker of `examples/`, installed as pip leaves it: what it keeps of real trainings."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from speechkit.discovery import TRACKER, load_plugins
from speechkit.pipeline import Pipeline
from speechkit.recipe import read_recipe
from speechkit.reporter import Reporter

TRACKERS = Path(__file__).parents[2] / "examples" / "tracker"

MLFLOW = """
import json, os
from types import SimpleNamespace

class MlflowClient:
    def __getattr__(self, name):
        def call(*given, **more):
            with open(os.environ["MLFLOW_TRACKING_URI"], "a") as file:
                print(json.dumps([name, [str(each) for each in given], more]), file=file)
            if name == "create_run":
                return SimpleNamespace(info=SimpleNamespace(run_id="run-of-mlflow"))
            return None if name.startswith("get") else "7"
        return call
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder in which the tracker is installed."""
    for needed in ("hatchling", "pip"):
        if importlib.util.find_spec(needed) is None:
            pytest.skip(f"{needed}, which installs the example, is not installed")
    place = tmp_path_factory.mktemp("site")
    plain = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--no-compile"]
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", *plain]
    done = subprocess.run(
        [*pip, "--target", str(place), str(TRACKERS)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return place


@pytest.fixture
def installed(site, house, monkeypatch, undrawn):
    """The house of tones, where it is installed."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.syspath_prepend(site)
    yield house
    for name in [each for each in sys.modules if each.startswith("speechkit_tracker")]:
        del sys.modules[name]


def run(house: Path, console: Console | None = None, **given) -> list[dict]:
    """Run the recipe of tones; gives the tracker's lines."""
    plugins = load_plugins()
    recipe = read_recipe(house / "tones.toml", plugins, overrides=["train.epochs=2"])
    reporter = Reporter(console or Console(quiet=True))
    Pipeline(recipe, plugins, house / "runs/tones", reporter, **given).run()
    place = house / "runs/tones/tracker.jsonl"
    return [json.loads(line) for line in place.read_text().splitlines()]


def test_it_keeps_curves_and_scores_as_lines(installed):
    rows = [row for row in load_plugins().rows() if row.kind == TRACKER]
    assert [(row.name, row.distribution, row.version) for row in rows] == [
        ("tracker", "speechkit-tracker", "1.0.0")
    ]
    console = Console(file=(installed / "said").open("w"), width=200)
    kept = run(installed, console)
    console.file.close()
    said = (installed / "said").read_text()
    assert "the plugin `tracker` of speechkit-tracker 1.0.0 is told of this run" in said
    assert "failed" not in said
    assert [each["event"] for each in kept] == ["start", "epoch", "step", "epoch", "end"]
    start, one, step, two, end = kept
    assert (start["training"], start["train"]["epochs"]) == ("new", 2)
    assert (one["epoch"], two["epoch"], step["step"]) == (1, 2, 10)
    assert two["loss"] < one["loss"]
    assert end["scores"] == json.loads((installed / "runs/tones/scores.json").read_text())
    assert [each["event"] for each in run(installed)[5:]] == ["start", "end"]
    again = run(installed, force=frozenset({"train"}))
    assert [each["event"] for each in again] == ["start", "epoch", "step", "epoch", "end"]


def test_it_keeps_them_in_mlflow_where_that_is_set_up(installed, monkeypatch, tmp_path):
    (tmp_path / "libraries").mkdir()
    (tmp_path / "libraries/mlflow.py").write_text(MLFLOW)
    monkeypatch.delitem(sys.modules, "mlflow", raising=False)
    monkeypatch.syspath_prepend(tmp_path / "libraries")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", str(tmp_path / "calls"))
    run(installed)
    calls = [json.loads(line) for line in (tmp_path / "calls").read_text().splitlines()]
    names = [name for name, *_ in calls]
    assert names[:3] == ["get_experiment_by_name", "create_experiment", "create_run"]
    assert ["log_param", ["run-of-mlflow", "train.epochs", "2"], {}] in calls
    metrics = [given for name, given, _ in calls if name == "log_metric"]
    assert {given[0] for given in metrics} == {"run-of-mlflow"}
    curves = [name for _, name, _ in metrics]
    assert curves.count("validation/wer") == curves.count("epoch/loss") == 2
    scores = json.loads((installed / "runs/tones/scores.json").read_text())
    assert ["run-of-mlflow", "unseen/greedy/wer", str(scores[1]["wer"])] in metrics
    assert calls[-1] == ["set_terminated", ["run-of-mlflow", "FINISHED"], {}]
    assert [
        "log_artifact",
        ["run-of-mlflow", str(installed / "runs/tones/report.html")],
        {},
    ] in calls
    # Once more, with nothing to train: it goes on in the same run of MLflow.
    run(installed)
    calls = [json.loads(line) for line in (tmp_path / "calls").read_text().splitlines()]
    assert [name for name, *_ in calls].count("create_run") == 1
    sys.modules.pop("mlflow", None)


def test_without_mlflows_library_the_training_goes_on(installed, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://nowhere.invalid")
    monkeypatch.setitem(sys.modules, "mlflow", None)  # as if it were not installed
    console = Console(file=(installed / "said").open("w"), width=300)
    kept = run(installed, console)
    console.file.close()
    warnings = [line for line in (installed / "said").read_text().splitlines() if "failed" in line]
    assert len(warnings) == 1  # the same trouble is told once
    named = "the plugin `tracker` of speechkit-tracker 1.0.0 failed in speechkit_on_run_start ("
    assert f"warning: {named}" in warnings[0]
    assert "mlflow" in warnings[0]
    assert [each["event"] for each in kept] == ["start", "epoch", "step", "epoch", "end"]
