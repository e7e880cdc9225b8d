"""A run to bundle, and its bundle."""

import pytest
import torch
from report_runs import leave_two
from safetensors.torch import save_file

from speechkit.bundle import write_bundle


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch):
    monkeypatch.setattr("speechkit.scoring.uncertainty.RESAMPLES", 99)


@pytest.fixture
def run(tmp_path, few_resamples):
    folder = leave_two(tmp_path)
    save_file({"a": torch.ones(3)}, folder / "model.safetensors")
    return folder


@pytest.fixture
def bundle(run, tmp_path):
    place = tmp_path / "one.zip"
    write_bundle(run, place, weights=True)
    return place
