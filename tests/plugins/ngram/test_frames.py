"""What both searches of the package make of emissions that are none."""

import pytest
import torch

from speechkit import DataError, Emissions
from speechkit_ngram.frames import frames_of

from .conftest import LETTERS, batch, noise


def test_each_utterance_has_its_own_frames() -> None:
    rows = [noise(length, length) for length in (4, 0, 7)]
    found = frames_of(batch(*rows), LETTERS)
    for frames, row in zip(found, rows, strict=True):
        assert torch.equal(torch.from_numpy(frames), row)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 0.5])
def test_what_is_no_log_probability_is_told(value: float) -> None:
    log_probs = noise(5, 0)
    log_probs[3, 2] = value
    with pytest.raises(DataError, match=f"not log probabilities: the highest is {value}"):
        frames_of(batch(noise(6, 1), log_probs), LETTERS)


def test_other_labels_than_the_vocabularys_are_told() -> None:
    few = Emissions(noise(5, 0)[None, :, :-1], torch.tensor([5]), 0.25)
    with pytest.raises(DataError, match=r"shape \(1, 5, 4\), the vocabulary has 5 labels"):
        frames_of(few, LETTERS)
