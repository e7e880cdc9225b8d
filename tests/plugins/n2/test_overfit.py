"""The smallest n2 learns ten real utterances by heart: from file to text the chain is sound."""

import os
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import torch
from rich.console import Console

from speechkit.discovery import load_plugins
from speechkit.pipeline import Pipeline
from speechkit.recipe import read_recipe
from speechkit.reporter import Reporter

RECIPE = """
[recipe]
name = "ten"

[corpus.train]
use = "files"
path = "ten.parquet"

[corpus.test.same]
use = "files"
path = "ten.parquet"

[text]
alphabet = "abcdefghijklmnopqrstuvwxyz'"

[features]
use = "log_mel"

[model]
use = "n2"
dim = 144
layers = 8
convolution = 15
dropout = 0.0

[train]
epochs = 100 # of one step each
batch_seconds = 60
learning_rate = 1e-3
warmup = 0.15
average = 0.0
device = "cpu"
precision = "fp32"
threads = 1
"""


@pytest.fixture
def ten(tmp_path, monkeypatch):
    """A folder with the recipe and the ten shortest utterances of the training data."""
    if "SPEECHKIT_DATA" not in os.environ:
        pytest.skip("SPEECHKIT_DATA, the folder of the data, is not set")
    monkeypatch.setenv("SPEECHKIT_CACHE", str(tmp_path / "cache"))
    data = Path(os.environ["SPEECHKIT_DATA"]) / "mini_librispeech" / "train.parquet"
    speech = pq.read_table(data, columns=["id", "audio", "text", "duration"])
    shortest = pc.sort_indices(speech["duration"])[:10]
    pq.write_table(speech.take(shortest), tmp_path / "ten.parquet")
    (tmp_path / "ten.toml").write_text(RECIPE)
    threads = torch.get_num_threads()
    yield tmp_path
    torch.set_num_threads(threads)  # a run sets both for its process, which here is the tests'
    torch.set_flush_denormal(False)


@pytest.mark.slow
def test_ten_utterances_are_learnt_without_a_mistake(ten):
    plugins = load_plugins()
    recipe = read_recipe(ten / "ten.toml", plugins)
    [row] = Pipeline(recipe, plugins, ten / "runs" / "ten", Reporter(Console(quiet=True))).run()
    assert row.utterances == 10
    assert row.wer == 0
