"""A small language model, and emissions whose best texts are found by trying every path."""

from collections import defaultdict
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch

from speechkit import Emissions, Vocabulary
from speechkit_lm import NgramModel, build

LETTERS = Vocabulary(("", *"abc "))
ENGLISH = Vocabulary(("", *"abcdefghijklmnopqrstuvwxyz' "))
SENTENCES = ["ab ba", "ab cab", "cab ba ab", "a cab", "b a cab", "ba ab", "ab ab c", "c ab"]


@pytest.fixture(scope="session")
def lm(tmp_path_factory: pytest.TempPathFactory) -> NgramModel:
    """A trigram model of words in a, b and c."""
    folder = tmp_path_factory.mktemp("lm")
    build(SENTENCES, order=3).save(folder)
    return NgramModel.load(folder)


def path(labels: str, vocabulary: Vocabulary = LETTERS, certainty: float = 0.9) -> torch.Tensor:
    """(T, V) log probabilities whose best labels are those written, `_` the blank."""
    written = ["_", *vocabulary.labels[1:]]
    best = torch.tensor([written.index(label) for label in labels], dtype=torch.long)
    probs = torch.full((len(labels), len(written)), (1 - certainty) / (len(written) - 1))
    probs[torch.arange(len(labels)), best] = certainty
    return probs.log()


def noise(frames: int, seed: int, vocabulary: Vocabulary = LETTERS, spread: float = 1.5):
    """(T, V) log probabilities that say nothing."""
    drawn = torch.randn(frames, len(vocabulary), generator=torch.manual_seed(seed))
    return (drawn * spread).log_softmax(dim=-1)


def batch(*rows: torch.Tensor, shift: float = 0.25) -> Emissions:
    """Rows of several lengths, padded with what must not be read."""
    size = max(len(row) for row in rows)
    log_probs = torch.full((len(rows), size, rows[0].shape[1]), torch.nan)
    for place, row in enumerate(rows):
        log_probs[place, : len(row)] = row
    return Emissions(log_probs, torch.tensor([len(row) for row in rows]), shift)


def every_path(log_probs: torch.Tensor, vocabulary: Vocabulary) -> dict[str, list[float]]:
    """Log probabilities of all paths through the frames, by the text they write."""
    values = log_probs.double().numpy()
    paths: dict[str, list[float]] = defaultdict(list)
    for labels in product(range(len(vocabulary)), repeat=len(values)):
        merged = [each for i, each in enumerate(labels) if i == 0 or labels[i - 1] != each]
        text = vocabulary.text(each for each in merged if each)
        paths[text].append(sum(values[frame, label] for frame, label in enumerate(labels)))
    return paths


def added(log_probs: list[float]) -> float:
    return float(np.logaddexp.reduce(log_probs))


@pytest.fixture
def arpa(lm: NgramModel) -> Path:
    return lm.kenlm_path()
