"""Training by several processes, and by several batches a step, against one that has it all."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file

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
epochs = 12
batch_seconds = 1.5
learning_rate = 1e-2
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
    return tmp_path


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
        ("validation", "cer"),
    ):
        expected, found = logged(one, kind, key), logged(two, kind, key)
        assert found == pytest.approx(expected, rel=0, abs=1e-9)
    assert len(logged(two, "train", "loss")) >= 50
    assert logged(two, "epoch", "loss")[-1] < logged(two, "epoch", "loss")[0]
    expected, found = (load_file(each / "model.safetensors") for each in (one, two))
    assert all(expected[name].allclose(found[name], rtol=0, atol=1e-9) for name in expected)
    decoded = [(each / "decoded/greedy/validation.jsonl").read_text() for each in (one, two)]
    assert [json.loads(each)["hypothesis"] for each in decoded[0].splitlines()] == [
        json.loads(each)["hypothesis"] for each in decoded[1].splitlines()
    ]
    assert logged(two, "validation", "cer")[-1] < 1  # so that the texts are not merely empty
    assert told.stdout.count("too few for an interval") == 1  # one process tells
    assert told.stderr.count("epoch  12") == 1
    assert ", 2 processes" in told.stderr
