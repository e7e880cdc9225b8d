import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
import speechkit_augment
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from speechkit_augment.speed import Speed, SpeedConfig
from torch import Tensor

RATE = 16_000


def streams(rows: Sequence[int], seed: int = 0) -> list[np.random.Generator]:
    return [np.random.default_rng([seed, row]) for row in rows]


def tone(hertz: float, samples: int = RATE) -> Tensor:
    return torch.sin(2 * torch.pi * hertz * torch.arange(samples) / RATE)


def at(factor: float, wave: Tensor) -> Tensor:
    """(N,) -> (N',) at one speed."""
    speed = Speed(SpeedConfig(factors=[factor]))
    values, lengths, _ = speed(wave[None], torch.tensor([len(wave)]), streams([0]))
    assert values.shape[1] == lengths[0]
    return values[0]


@pytest.mark.parametrize("factor", [0.5, 0.8, 0.9, 0.95, 1.0, 1.05, 1.1, 1.25, 2.0])
def test_a_tone_is_higher_and_shorter_by_the_factor(factor: float) -> None:
    faster = at(factor, tone(1000))
    assert len(faster) == math.ceil(RATE / Fraction(str(factor)))
    spectrum = torch.fft.rfft(faster * torch.hann_window(len(faster)), n=16 * RATE).abs()
    assert float(spectrum.argmax()) / 16 == pytest.approx(1000 * factor, abs=0.5)
    # A tone stays as loud, and nothing is added to it (the edges of a tone are no tone).
    inside = faster[500:-500]
    expected = tone(1000 * factor, len(faster))[500:-500]
    assert (inside - expected).abs().max() < 0.02


def test_what_would_be_above_nyquist_is_filtered_out() -> None:
    assert at(1.5, tone(7000))[500:-500].abs().max() < 0.02


@settings(deadline=None, max_examples=25)
@given(
    st.lists(st.integers(0, 3000), min_size=1, max_size=4), st.integers(0, 500), st.integers(0, 99)
)
def test_a_row_is_the_same_alone_and_beside_others(
    lengths: list[int], more: int, seed: int
) -> None:
    values = torch.randn(len(lengths), max(lengths) + more, generator=torch.manual_seed(seed))
    for row, length in enumerate(lengths):
        values[row, length:] = torch.nan
    before = values.clone()
    speed = Speed(SpeedConfig(factors=[0.9, 1.0, 1.1, 0.75]))
    rows = range(len(lengths))
    together, after, sources = speed(values, torch.tensor(lengths), streams(rows, seed))

    assert torch.equal(values.nan_to_num(), before.nan_to_num())
    assert together.shape == (len(lengths), max(after))
    assert sources.tolist() == list(rows)
    for row, length in enumerate(lengths):
        alone, alone_length, _ = speed(
            values[row : row + 1, :length], torch.tensor([length]), streams([row], seed)
        )
        assert after[row] == alone_length[0] == alone.shape[1]
        assert torch.allclose(together[row, : after[row]], alone[0], atol=1e-6)
        assert not together[row, after[row] :].any()


def test_every_factor_is_drawn_as_often() -> None:
    _, lengths, _ = Speed(SpeedConfig())(
        torch.ones(900, 90), torch.full((900,), 90), streams(range(900))
    )
    counts = torch.bincount(lengths)[[100, 90, 82]]
    assert counts.sum() == 900
    assert counts.min() > 260


def test_probability_is_that_of_an_utterance_and_0_changes_nothing() -> None:
    values, lengths = torch.randn(500, 90), torch.full((500,), 90)
    _, after, _ = Speed(SpeedConfig(factors=[0.9], probability=0.3))(
        values, lengths, streams(range(500))
    )
    assert after.eq(100).float().mean() == pytest.approx(0.3, abs=0.06)
    same, after, _ = Speed(SpeedConfig(probability=0.0))(values, lengths, streams(range(500)))
    assert torch.equal(same, values)
    assert torch.equal(after, lengths)


def test_as_many_numbers_are_drawn_whatever_comes_of_them() -> None:
    def next_number(config: SpeedConfig) -> float:
        draws = streams([0])
        Speed(config)(torch.ones(1, 50), torch.tensor([50]), draws)
        return draws[0].random()

    assert next_number(SpeedConfig()) == next_number(SpeedConfig(probability=0.0, factors=[1.1]))


@pytest.mark.parametrize(
    ("factors", "message"),
    [([], "at least 1 item"), ([0.1], "0.1 is no speed"), ([1.123], "more than two decimals")],
)
def test_impossible_factors_are_refused(factors: list[float], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        SpeedConfig(factors=factors)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_the_same_on_a_gpu() -> None:
    values, lengths = torch.randn(6, 9000), torch.tensor([9000, 4000, 10, 0, 8000, 9000])
    here, after, _ = Speed(SpeedConfig())(values, lengths, streams(range(6)))
    there, also, sources = Speed(SpeedConfig())(values.cuda(), lengths.cuda(), streams(range(6)))
    assert torch.allclose(here, there.cpu(), atol=1e-5)
    assert after.tolist() == also.tolist()
    assert sources.device == there.device


def test_the_plugin_offers_its_augmentations() -> None:
    offered = {each.name: each for each in speechkit_augment.speechkit_augmentations()}
    assert {"spec_augment", "speed"} <= set(offered)
    for component in offered.values():
        built = component.build(component.config(), sample_rate=RATE, dim=80)
        assert built.stage in {"waveform", "features"}
