from collections.abc import Callable

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from speechkit_augment.tempo import Tempo, TempoConfig

Streams = Callable[..., list[np.random.Generator]]


@pytest.mark.parametrize("factor", [0.5, 0.8, 1.0, 1.25, 2.0])
def test_a_line_stays_a_line_with_another_slope(factor: float, streams: Streams) -> None:
    line = torch.arange(100.0)[None, :, None] * torch.tensor([1.0, -3.0])
    faster, lengths, _ = Tempo(TempoConfig(factors=(factor, factor)))(
        line, torch.tensor([100]), streams([0])
    )
    assert lengths.tolist() == [round(100 / factor)]
    expected = (torch.arange(lengths[0]) * factor).clamp(max=99)
    torch.testing.assert_close(faster[0, :, 0], expected)
    torch.testing.assert_close(faster[0, :, 1], -3 * expected)


def test_nothing_of_the_padding_gets_in(streams: Streams) -> None:
    values = torch.ones(2, 50, 3)
    values[0, 20:] = torch.nan
    slower, lengths, _ = Tempo(TempoConfig(factors=(0.7, 0.7)))(
        values, torch.tensor([20, 50]), streams(range(2))
    )
    assert lengths.tolist() == [29, 72]
    assert slower[0, :29].eq(1).all()
    assert slower[0, 29:].eq(0).all()


def test_factors_are_spread_evenly_and_1_is_as_it_was(streams: Streams) -> None:
    values, lengths = torch.randn(600, 100, 2), torch.full((600,), 100)
    _, after, _ = Tempo(TempoConfig(factors=(0.8, 1.25)))(values, lengths, streams(range(600)))
    factors = 100 / after
    assert factors.min() == pytest.approx(0.8, abs=0.02)
    assert factors.max() == pytest.approx(1.25, abs=0.02)
    assert factors.mean() == pytest.approx(1.025, abs=0.02)
    sometimes = Tempo(TempoConfig(factors=(0.5, 0.5), probability=0.3))
    assert sometimes(values, lengths, streams(range(600)))[1].eq(200).float().mean() == (
        pytest.approx(0.3, abs=0.06)
    )
    same, after, _ = Tempo(TempoConfig(probability=0.0))(values, lengths, streams(range(600)))
    assert torch.equal(same, values)
    assert torch.equal(after, lengths)


def test_rows_without_frames_stay_so(streams: Streams) -> None:
    values, lengths, _ = Tempo(TempoConfig())(
        torch.zeros(2, 0, 3), torch.zeros(2, dtype=torch.long), streams(range(2))
    )
    assert values.shape == (2, 0, 3)
    assert lengths.tolist() == [0, 0]
    one, lengths, _ = Tempo(TempoConfig(factors=(0.5, 0.5)))(
        torch.ones(2, 4, 3), torch.tensor([0, 4]), streams(range(2))
    )
    assert lengths.tolist() == [0, 8]
    assert one.sum((1, 2)).tolist() == [0, 24]


def test_impossible_factors_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"0.1 to 1 is not within 0.25 to 4"):
        TempoConfig(factors=(0.1, 1.0))
