from collections.abc import Callable

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from speechkit import RecipeError
from speechkit_augment.vtlp import VTLP, VTLPConfig
from speechkit_features.log_mel import LogMel, LogMelConfig
from speechkit_features.mfcc import Mfcc, MfccConfig

Streams = Callable[..., list[np.random.Generator]]


def tone(hertz: float) -> torch.Tensor:
    noise = 0.001 * torch.randn(16_000, generator=torch.Generator().manual_seed(0))
    return (0.5 * torch.sin(2 * torch.pi * hertz * torch.arange(16_000) / 16_000) + noise)[None]


@pytest.mark.parametrize("factor", [0.85, 0.95, 1.1, 1.2])
@pytest.mark.parametrize("hertz", [300.0, 1000.0, 3000.0])
def test_a_tone_becomes_one_of_factor_times_its_frequency(
    factor: float, hertz: float, streams: Streams
) -> None:
    features, lengths = LogMel(LogMelConfig()), torch.tensor([16_000])
    heard, frames = features(tone(hertz), lengths)
    wanted, _ = features(tone(hertz * factor), lengths)
    warp = VTLP(VTLPConfig(factors=(factor, factor)), dim=80)
    found, _, _ = warp(heard, frames, streams([0]))
    assert abs(int(found[0, 50].argmax()) - int(wanted[0, 50].argmax())) <= 1
    assert abs(int(found[0, 50].argmax()) - int(heard[0, 50].argmax())) >= 1


def test_of_cepstra_it_does_the_same_as_of_what_they_were_made_of(streams: Streams) -> None:
    made = {"bins": 26, "lifter": 22, "energy": False, "low_hertz": 20.0, "high_hertz": 8000.0}
    lengths = torch.tensor([16_000])
    whole, frames = Mfcc(MfccConfig(**made, cepstra=26))(tone(900.0), lengths)
    wanted, _ = Mfcc(MfccConfig(**made, cepstra=26))(tone(990.0), lengths)
    config = VTLPConfig(factors=(1.1, 1.1), filters=26, lifter=22)
    found, _, _ = VTLP(config, dim=26)(whole, frames, streams([0]))
    nearer = (found - wanted)[0, 50].norm() / (whole - wanted)[0, 50].norm()
    assert nearer < 0.8
    cut, _, _ = VTLP(config, dim=13)(whole[..., :13], frames, streams([0]))
    nearer = (cut - wanted[..., :13])[0, 50].norm() / (whole - wanted)[0, 50, :13].norm()
    assert nearer < 0.8


@pytest.mark.parametrize("filters", [None, 15])
def test_factor_1_changes_nothing_and_nothing_changes_by_itself(
    filters: int | None, streams: Streams
) -> None:
    values, lengths = torch.randn(3, 9, 13), torch.tensor([9, 4, 0])
    lifter = 22 if filters else 0
    for config in (
        VTLPConfig(filters=filters, lifter=lifter, factors=(1.0, 1.0)),
        VTLPConfig(filters=filters, lifter=lifter, probability=0.0),
    ):
        found, after, rows = VTLP(config, dim=13)(values, lengths, streams(range(3)))
        torch.testing.assert_close(found[0], values[0])
        assert torch.equal(after, lengths)
        assert rows.tolist() == [0, 1, 2]


def test_the_mean_of_normalised_features_stays(streams: Streams) -> None:
    values = torch.randn(1, 400, 13)
    values = values - values.mean(1, keepdim=True)
    warp = VTLP(VTLPConfig(filters=15, lifter=22, high_hertz=3500.0), dim=13)
    found, _, _ = warp(values, torch.tensor([400]), streams([5]))
    assert found.mean(1).abs().max() < 1e-5
    assert not torch.allclose(found, values, atol=1e-2)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"factors": (0.4, 1.0)}, r"0.4 to 1 is not within 0.5 to 2"),
        ({"low_hertz": 900.0, "high_hertz": 800.0}, "must be below high_hertz"),
        ({"lifter": 22}, "lifter is of cepstra"),
    ],
)
def test_impossible_settings_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        VTLPConfig(**settings)


def test_more_cepstra_than_filters_are_refused() -> None:
    with pytest.raises(RecipeError, match="13 features a frame cannot be cepstra of 12 filters"):
        VTLP(VTLPConfig(filters=12), dim=13)


def test_a_lifter_that_takes_cepstra_away_is_refused() -> None:
    with pytest.raises(RecipeError, match="a lifter of 2 takes cepstrum 3 away"):
        VTLP(VTLPConfig(filters=15, lifter=2), dim=13)
