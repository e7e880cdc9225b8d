"""Where numba is missing, the same search is interpreted."""

import json
import subprocess
import sys

import pytest

PROGRAM = """
import json, sys
if sys.argv[1] == "without":
    sys.modules["numba"] = None
import torch
from speechkit import Emissions, Vocabulary
from speechkit_beam import Beam, BeamConfig
from speechkit_lm import build

lm = build(["a b", "ab a", "b ab ab", "a a b", "ab", "bab a", "b a", "a b b ab"], order=3)
log_probs = (2 * torch.randn(2, 40, 4, generator=torch.Generator().manual_seed(7))).log_softmax(-1)
found = []
for settings in ({}, {"scores": "summed", "vocabulary": "closed"}, {"nbest": 4}):
    config = BeamConfig(beam=12, threads=1, hotwords=["abab"], **settings)
    decoder = Beam(config, vocabulary=Vocabulary(("", "a", "b", " ")), language_model=lm)
    emissions = Emissions(log_probs, torch.tensor([40, 31]), 0.5)
    for row in decoder(emissions):
        found.append([(each.text, each.score, str(each.words)) for each in row])
print(json.dumps(found))
"""


def run(numba: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error::RuntimeWarning", "-c", PROGRAM, numba]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def without() -> subprocess.CompletedProcess[str]:
    return run("without")


def test_gives_the_same(without: subprocess.CompletedProcess[str]) -> None:
    assert without.returncode == 0, without.stderr
    compiled = run("with")
    assert compiled.returncode == 0, compiled.stderr
    assert json.loads(without.stdout) == json.loads(compiled.stdout)
    assert any(text for row in json.loads(without.stdout) for text, _, _ in row)


def test_says_that_it_is_slow(without: subprocess.CompletedProcess[str]) -> None:
    assert without.stderr.count("numba is not installed") == 1
    assert "pip install numba" in without.stderr
