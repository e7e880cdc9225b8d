"""Training by several processes, and by several batches a step, against one that has it all."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file

from speechkit.discovery import load_plugins
from speechkit.pipeline import Pipeline
from speechkit.recipe import read_recipe
from speechkit.reporter import Reporter
from speechkit.training import loop

DOUBLE = Path(__file__).parent / "double_plugin.py"
LETTERS = "abc"

RECIPE = """
[recipe]
name = "one"

[corpus.train]
use = "files"
path = "train.jsonl"
features_column = "given"
feature_dim = 8

[corpus.validation]
use = "files"
path = "dev.jsonl"
features_column = "given"
feature_dim = 8

[text]
alphabet = "abc"

[features]
use = "log_mel"
bins = 8
normalization = "none"

[[augment]]
use = "spec_augment"
frequency_mask_width = 2
time_mask_width = 4

[model]
use = "double"

[train]
epochs = 7
batch_seconds = 1.5
learning_rate = 5e-2
average = 0.9
threads = 1
device = "cpu"
precision = "fp32"
"""


@pytest.fixture
def house(tmp_path, monkeypatch):
    """A recipe and ready features: nothing is summed in single precision before the model."""
    monkeypatch.setenv("SPEECHKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    for part, count in (("train", 21), ("dev", 5)):
        rows = []
        for number in range(count):
            text = "".join(random.choice(list(LETTERS), random.integers(2, 7)))
            heard = np.repeat([np.eye(8)[LETTERS.index(letter)] for letter in text], 12, axis=0)
            given = np.round(heard + 0.1 * random.standard_normal(heard.shape), 4)
            row = {"id": f"{part}-{number}", "given": given.flatten().tolist(), "text": text}
            rows.append(json.dumps(row))
        (tmp_path / f"{part}.jsonl").write_text("\n".join(rows) + "\n")
    (tmp_path / "one.toml").write_text(RECIPE)
    yield tmp_path
    torch.set_flush_denormal(False)  # a run sets it for its process, which here is the tests'


def run(*given: str, processes: int = 1) -> subprocess.CompletedProcess:
    """`speechkit run`, by itself or under torchrun."""
    launcher = ["-m"]
    if processes > 1:  # "--": else torchrun takes --run for an option of its own
        torchrun = ["torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
        launcher += [*torchrun, "-m", "--"]
    module = ["speechkit", "--plugin", str(DOUBLE), "run", "one.toml", *given]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *launcher, *module],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    return done


def logged(folder: Path, kind: str, key: str) -> list[float]:
    lines = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    return [each[key] for each in lines if each["kind"] == kind]


@pytest.mark.slow
def test_two_processes_learn_what_one_does(house):
    run()
    told = run("--run", "two", processes=2)
    one, two = house / "runs/one", house / "runs/two"
    for kind, key in (
        ("train", "loss"),
        ("train", "gradient_norm"),
        ("epoch", "loss"),
        ("validation", "loss"),
    ):
        expected, found = logged(one, kind, key), logged(two, kind, key)
        assert found == pytest.approx(expected, rel=0, abs=1e-9)
    assert len(logged(two, "train", "loss")) >= 50
    assert logged(two, "epoch", "loss")[-1] < logged(two, "epoch", "loss")[0]
    expected, found = (load_file(each / "model.safetensors") for each in (one, two))
    assert all(expected[name].allclose(found[name], rtol=0, atol=1e-9) for name in expected)
    decoded = [json.loads((each / "scores.json").read_text()) for each in (one, two)]
    assert decoded[0][0]["wer"] == decoded[1][0]["wer"]
    assert told.stdout.count("too few for an interval") == 1  # one process tells
    assert told.stderr.count("epoch   7") == 1
    assert ", 2 processes" in told.stderr
    assert json.loads((two / "environment.json").read_text())["processes"] == 2
    assert (two / "told.txt").read_text().split() == list("1234567")  # so do the trackers


def two_of(script: Path) -> list[subprocess.CompletedProcess]:
    """Two processes that know of each other; no launcher ends one when the other has ended."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    known = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2"}
    started = [
        subprocess.Popen(
            [sys.executable, str(script)],
            env={**os.environ, **known, "RANK": rank, "LOCAL_RANK": rank, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in ("0", "1")
    ]
    said = [each.communicate() for each in started]
    return [
        subprocess.CompletedProcess(each.args, each.returncode, *texts)
        for each, texts in zip(started, said, strict=True)
    ]


LOST = """
import os, signal, torch
from speechkit.training.processes import Processes

together = Processes(torch.device("cpu"))
together.total(1.0)
if not together.is_first:
    os.kill(os.getpid(), signal.SIGKILL)
together.CALL
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "call", ["total(1.0)", "gathered(1)", "total_gradients([torch.nn.Parameter(torch.ones(2))])"]
)
def test_a_process_that_is_killed_is_told_by_the_other(tmp_path, call):
    script = tmp_path / "lost.py"
    script.write_text(LOST.replace("CALL", call))
    first, _ = two_of(script)
    assert "RunError: another of the processes that train together has ended" in first.stderr


PARTED = """
import weakref, torch
from speechkit.training.processes import Processes

together = Processes(torch.device("cpu"))
import torch.distributed.nn.functional  # as parts do, long after
group = weakref.ref(torch.distributed.group.WORLD)
together.total(1.0)
together.part()
print("alive" if group() else "gone")
"""


@pytest.mark.slow
def test_nothing_of_the_group_is_left_when_they_part(tmp_path):
    script = tmp_path / "parted.py"  # what is left has threads, which may abort an ending process
    script.write_text(PARTED)
    for each in two_of(script):
        assert each.stdout.split() == ["gone"], each.stderr


def run_here(house: Path, name: str, *overrides: str) -> Path:
    """`speechkit run` in this process; gives the run's folder."""
    plugins = load_plugins([DOUBLE])
    recipe = read_recipe(house / "one.toml", plugins, overrides=overrides)
    folder = house / "runs" / name
    Pipeline(recipe, plugins, folder, Reporter(Console(quiet=True))).run()
    return folder


FIXED = ("train.epochs=2", 'train.order="fixed"', "train.batch_seconds=99")


def test_accumulated_batches_are_one_batch_of_all_their_utterances(house):
    one = run_here(house, "one", *FIXED, "train.batch_utterances=6")
    parts = run_here(house, "parts", *FIXED, "train.batch_utterances=2", "train.accumulate=3")
    for kind, key in (("train", "loss"), ("train", "gradient_norm"), ("validation", "loss")):
        expected = logged(one, kind, key)
        assert logged(parts, kind, key) == pytest.approx(expected, rel=0, abs=1e-9)
    assert len(logged(parts, "train", "loss")) == 2 * 4  # of 21 utterances, the last has 3


def test_accumulating_goes_on_where_it_was_stopped(house, monkeypatch):
    settings = ("train.accumulate=3", "train.epochs=3", "train.checkpoint_minutes=1e-9")
    whole = run_here(house, "whole", *settings)
    learn = loop.Training._step
    for after in (1, 2, 4):
        left = iter(range(after))

        def step(self, *given, left=left):
            if next(left, None) is None:
                raise KeyboardInterrupt
            return learn(self, *given)

        monkeypatch.setattr(loop.Training, "_step", step)
        with pytest.raises(KeyboardInterrupt):
            run_here(house, "stopped", *settings)
    monkeypatch.undo()
    monkeypatch.setenv("SPEECHKIT_CACHE", str(house / "cache"))
    stopped = run_here(house, "stopped", *settings)
    expected, found = (load_file(each / "model.safetensors") for each in (whole, stopped))
    assert all(expected[name].equal(found[name]) for name in expected)
    assert logged(stopped, "train", "loss") == logged(whole, "train", "loss")
