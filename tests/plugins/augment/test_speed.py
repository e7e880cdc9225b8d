import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from speechkit_augment.speed import Speed, SpeedConfig

RATE = 16_000
Streams = Callable[..., list[np.random.Generator]]


def tone(hertz: float, samples: int = RATE) -> Tensor:
    return torch.sin(2 * torch.pi * hertz * torch.arange(samples) / RATE)


def at(factor: float, wave: Tensor, streams: Streams) -> Tensor:
    """(N,) -> (N',) at one speed."""
    speed = Speed(SpeedConfig(factors=[factor]))
    values, lengths, _ = speed(wave[None], torch.tensor([len(wave)]), streams([0]))
    assert values.shape[1] == lengths[0]
    return values[0]


@pytest.mark.parametrize("factor", [0.5, 0.8, 0.9, 0.95, 1.0, 1.05, 1.1, 1.25, 2.0])
def test_a_tone_is_higher_and_shorter_by_the_factor(factor: float, streams: Streams) -> None:
    faster = at(factor, tone(1000), streams)
    assert len(faster) == math.ceil(RATE / Fraction(str(factor)))
    spectrum = torch.fft.rfft(faster * torch.hann_window(len(faster)), n=16 * RATE).abs()
    assert float(spectrum.argmax()) / 16 == pytest.approx(1000 * factor, abs=0.5)
    # A tone stays as loud, and nothing is added to it (the edges of a tone are no tone).
    inside = faster[500:-500]
    expected = tone(1000 * factor, len(faster))[500:-500]
    assert (inside - expected).abs().max() < 0.02


def test_what_would_be_above_nyquist_is_filtered_out(streams: Streams) -> None:
    assert at(1.5, tone(7000), streams)[500:-500].abs().max() < 0.02


def test_every_factor_is_drawn_as_often(streams: Streams) -> None:
    _, lengths, _ = Speed(SpeedConfig())(
        torch.ones(900, 90), torch.full((900,), 90), streams(range(900))
    )
    counts = torch.bincount(lengths)[[100, 90, 82]]
    assert counts.sum() == 900
    assert counts.min() > 260


def test_probability_is_that_of_an_utterance_and_0_changes_nothing(streams: Streams) -> None:
    values, lengths = torch.randn(500, 90), torch.full((500,), 90)
    _, after, _ = Speed(SpeedConfig(factors=[0.9], probability=0.3))(
        values, lengths, streams(range(500))
    )
    assert after.eq(100).float().mean() == pytest.approx(0.3, abs=0.06)
    same, after, _ = Speed(SpeedConfig(probability=0.0))(values, lengths, streams(range(500)))
    assert torch.equal(same, values)
    assert torch.equal(after, lengths)


@pytest.mark.parametrize(
    ("factors", "message"),
    [([], "at least 1 item"), ([0.1], "0.1 is no speed"), ([1.123], "more than two decimals")],
)
def test_impossible_factors_are_refused(factors: list[float], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        SpeedConfig(factors=factors)
