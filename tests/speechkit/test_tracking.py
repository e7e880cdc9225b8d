"""Trackers: what they are told of a run, and that nothing they do changes one."""

import json
import os
import signal

import pytest
import torch
from rich.console import Console
from test_pipeline import after_steps
from tones import RECIPE, lines, weights

from speechkit.discovery import load_plugins
from speechkit.errors import RunError, TerminatedError
from speechkit.pipeline import Pipeline
from speechkit.recipe import read_recipe
from speechkit.reporter import Reporter

pytestmark = pytest.mark.usefixtures("undrawn")

TELLS = """
import json
from dataclasses import asdict
from speechkit import hookimpl

def note(run, event, **values):
    with (run.folder / "told.jsonl").open("a") as file:
        print(json.dumps([event, run.training, values], default=str), file=file)

@hookimpl
def speechkit_on_run_start(run):
    note(run, "start", name=run.name, settings=run.settings())

@hookimpl
def speechkit_on_step_end(step, run):
    note(run, "step", step=step.step, losses=dict(step.losses), rate=step.learning_rate)

@hookimpl
def speechkit_on_epoch_end(run, epoch):
    note(run, "epoch", **{**vars(epoch), "validation": dict(epoch.validation)})

@hookimpl
def speechkit_on_run_end(run, end):
    note(run, "end", **{**vars(end), "scores": [dict(row) for row in end.scores]})
"""

MEDDLES = """
import random, sys, numpy, torch
from speechkit import hookimpl

def meddle(record):
    torch.manual_seed(0), torch.rand(7), random.seed(0), numpy.random.seed(0)
    torch.set_default_dtype(torch.float64), torch.set_grad_enabled(False)
    for name in ("loss", "losses", "scores", "folder"):
        try:
            setattr(record, name, None)
        except AttributeError:
            pass
    try:
        record.validation.clear(), record.losses.clear()
    except AttributeError:
        pass

@hookimpl
def speechkit_on_run_start(run):
    meddle(run)
    run.settings()["train"]["epochs"] = 1
    raise OSError("no network")

@hookimpl
def speechkit_on_step_end(run, step):
    meddle(step)
    sys.exit(3)

@hookimpl
def speechkit_on_epoch_end(run, epoch):
    meddle(epoch)
    raise RuntimeError(f"epoch {epoch.epoch}")

@hookimpl
def speechkit_on_run_end(end):
    meddle(end)
    raise ValueError("end")
"""


def run(house, *sources: str, name: str = "tones", console: Console | None = None, **given):
    files = []
    for number, source in enumerate(sources):
        files.append(house / f"tracker{number}.py")
        files[-1].write_text(source)
    plugins = load_plugins(files)
    recipe = read_recipe(house / "tones.toml", plugins)
    reporter = Reporter(console or Console(quiet=True))
    return Pipeline(recipe, plugins, house / "runs" / name, reporter, **given).run()


def told(house, name: str = "tones") -> list:
    return lines(house / "runs" / name / "told.jsonl")


def test_a_tracker_is_told_what_the_run_keeps(house):
    run(house, TELLS)
    events = told(house)
    folder = house / "runs/tones"
    metrics = lines(folder / "metrics.jsonl")
    steps = [each for each in metrics if each["kind"] == "train"]
    a_third = ["step"] * (len(steps) // 3)
    assert [name for name, *_ in events] == ["start", *3 * [*a_third, "epoch"], "end"]
    assert {training for _, training, _ in events} == {"new"}

    start, *_, end = [values for *_, values in events]
    assert start["name"] == "tones"
    assert start["settings"]["train"]["epochs"] == 3
    assert start["settings"]["model"]["use"] == "n2"

    heard = [values for name, _, values in events if name == "step"]
    assert [each["step"] for each in heard] == [each["step"] for each in steps]
    assert [each["losses"]["loss"] for each in heard] == [each["loss"] for each in steps]
    assert [each["rate"] for each in heard] == [each["learning_rate"] for each in steps]

    epochs = [values for name, _, values in events if name == "epoch"]
    kept = {kind: [each for each in metrics if each["kind"] == kind] for kind in
            ("epoch", "validation", "efficiency")}  # fmt: skip
    assert [each["epoch"] for each in epochs] == [1, 2, 3]
    assert [each["loss"] for each in epochs] == [each["loss"] for each in kept["epoch"]]
    for each, row, speed in zip(epochs, kept["validation"], kept["efficiency"], strict=True):
        assert each["validation"] == {key: row[key] for key in ("loss", "wer", "cer")}
        assert each["speech_seconds"] / each["seconds"] == pytest.approx(speed["speed"])
        assert each["padding"] == speed["padding"]
    best = min(
        range(3), key=lambda at: (kept["validation"][at]["wer"], kept["validation"][at]["loss"])
    )
    assert [at for at in range(3) if epochs[at]["is_best"]][-1] == best
    assert epochs[0]["learning_rate"] > epochs[2]["learning_rate"] >= 0

    assert (end["status"], end["error"]) == ("finished", "")
    assert end["scores"] == json.loads((folder / "scores.json").read_text())
    assert end["model"] == str(folder / "model.safetensors")
    assert end["report"] == str(folder / "report.html")

    run(house, TELLS)  # again: nothing is trained, and it is told
    again = told(house)[len(events) :]
    assert [(name, training) for name, training, _ in again] == [("start", "none"), ("end", "none")]
    assert again[1][2]["scores"] == end["scores"]


def test_a_tracker_that_fails_and_meddles_changes_nothing_and_is_named(house, capsys):
    run(house, name="alone")
    console = Console(stderr=True, width=300)
    run(house, MEDDLES, TELLS, name="watched", console=console)
    alone, watched = (weights(house, name) for name in ("alone", "watched"))
    assert all(torch.equal(alone[name], watched[name]) for name in alone)
    for file in ("metrics.jsonl", "scores.json"):
        one, other = ((house / "runs" / name / file).read_text() for name in ("alone", "watched"))
        drop = ('"speed"', '"real_time_factor"')  # times differ
        assert [line for line in one.splitlines() if not any(each in line for each in drop)] == [
            line for line in other.splitlines() if not any(each in line for each in drop)
        ]
    said = capsys.readouterr().err.splitlines()
    named = f"warning: the plugin `tracker0` of {house / 'tracker0.py'} "
    warnings = [line.removeprefix(named) for line in said if line.startswith(named)]
    (meddled,) = [line for line in warnings if line.startswith("meddled in speechkit_on_")]
    assert "torch's default dtype from torch.float32 to torch.float64" in meddled
    assert meddled.endswith("torch's gradient mode from True to False): it was put back")
    failed = [line for line in warnings if line != meddled]
    assert [line.removeprefix("failed in speechkit_on_") for line in failed] == [
        "run_start (OSError: no network): the run goes on without it",
        "step_end (SystemExit: 3): the run goes on without it",  # once, not at every step
        "epoch_end (RuntimeError: epoch 1): the run goes on without it",
        "epoch_end (RuntimeError: epoch 2): the run goes on without it",
        "epoch_end (RuntimeError: epoch 3): the run goes on without it",
        "run_end (ValueError: end): the run goes on without it",
    ]
    # The other tracker hears all of it, unchanged.
    assert [name for name, *_ in told(house, "watched")].count("epoch") == 3
    assert told(house, "watched")[-1][2]["status"] == "finished"


def test_a_tracker_hears_of_a_stop_and_of_going_on(house, monkeypatch):
    with monkeypatch.context() as patch:
        after_steps(patch, 9, lambda: os.kill(os.getpid(), signal.SIGTERM))
        with pytest.raises(TerminatedError):
            run(house, TELLS)
    stopped = told(house)[-1]
    assert (stopped[0], stopped[2]["status"]) == ("end", "stopped")
    assert stopped[2]["error"].startswith("asked to end in epoch")
    assert (stopped[2]["model"], stopped[2]["scores"]) == (None, [])
    count = len(told(house))
    run(house, TELLS)
    later = told(house)[count:]
    assert {training for _, training, _ in later} == {"resumed"}
    first = next(values for name, _, values in later if name == "step")
    assert first["step"] == 11
    assert [values["epoch"] for name, _, values in later if name == "epoch"] == [2, 3]
    run(house, TELLS, force=frozenset({"train"}))
    assert told(house)[-1][1] == "new"


def test_a_tracker_hears_of_a_failure_and_not_of_a_run_that_never_began(house, monkeypatch):
    def fails(self, name, store):
        raise RuntimeError("the disk is gone")

    with monkeypatch.context() as patch:
        patch.setattr(Pipeline, "_normalized", fails)
        with pytest.raises(RuntimeError):
            run(house, TELLS)
    end = told(house)[-1][2]
    assert (end["status"], end["error"]) == ("failed", "the disk is gone")
    assert end["model"] == str(house / "runs/tones/model.safetensors")
    count = len(told(house))
    (house / "tones.toml").write_text(RECIPE.replace("dim = 32", "dim = 16"))
    with pytest.raises(RunError, match="holds a finished training"):
        run(house, TELLS)
    assert len(told(house)) == count
