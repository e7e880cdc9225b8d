import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torchaudio
from numpy.typing import NDArray
from pydantic import ValidationError
from torch import Tensor

from speechkit_features.log_mel import LogMel, LogMelConfig

RATE = 16_000


def one(extractor: LogMel, wave: Tensor) -> Tensor:
    """(N,) -> (T, D)."""
    values, frames = extractor(wave[None], torch.tensor([len(wave)]))
    return values[0, : frames[0]]


def by_hand(wave: Tensor, bins: int = 80, low: float = 20.0, high: float = 8000.0) -> NDArray:
    """Kaldi's fbank in float64, frame by frame, with a filter bank written out."""
    samples = wave.double().numpy() * 32768
    corner = np.linspace(1127 * math.log(1 + low / 700), 1127 * math.log(1 + high / 700), bins + 2)
    weights = np.zeros((bins, 257))
    for i in range(bins):
        for k in range(256):
            pitch = 1127 * math.log(1 + k * RATE / 512 / 700)
            if corner[i] < pitch <= corner[i + 1]:
                weights[i, k] = (pitch - corner[i]) / (corner[i + 1] - corner[i])
            elif corner[i + 1] < pitch < corner[i + 2]:
                weights[i, k] = (corner[i + 2] - pitch) / (corner[i + 2] - corner[i + 1])
    povey = np.array([(0.5 - 0.5 * math.cos(2 * math.pi * n / 399)) ** 0.85 for n in range(400)])
    rows = []
    for start in range(0, len(samples) - 400 + 1, 160):
        frame = samples[start : start + 400] - samples[start : start + 400].mean()
        frame = np.concatenate([[frame[0] - 0.97 * frame[0]], frame[1:] - 0.97 * frame[:-1]])
        power = np.abs(np.fft.fft(frame * povey, 512))[:257] ** 2
        rows.append(np.log(np.maximum(weights @ power, np.finfo(np.float32).eps)))
    return np.array(rows).reshape(-1, bins)


def test_equals_an_implementation_in_float64(speechlike: Callable[..., Tensor]) -> None:
    wave = speechlike(12_345)
    assert np.allclose(one(LogMel(LogMelConfig()), wave).numpy(), by_hand(wave), atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("ours", "kaldis"),
    [
        ({}, {}),
        ({"bins": 23}, {"num_mel_bins": 23}),
        ({"window": "hann"}, {"window_type": "hanning"}),
        ({"preemphasis": 0.0}, {"preemphasis_coefficient": 0.0}),
        ({"remove_dc": False}, {"remove_dc_offset": False}),
        ({"low_hertz": 100.0, "high_hertz": -500.0}, {"low_freq": 100.0, "high_freq": -500.0}),
        ({"high_hertz": 7000.0}, {"high_freq": 7000.0}),
        (
            {"window_seconds": 0.032, "hop_seconds": 0.008},
            {"frame_length": 32.0, "frame_shift": 8.0},
        ),
        ({"sample_rate": 8000, "bins": 40}, {"sample_frequency": 8000.0, "num_mel_bins": 40}),
    ],
)
def test_equals_torchaudios_kaldi(
    ours: dict, kaldis: dict, speechlike: Callable[..., Tensor]
) -> None:
    wave = speechlike(20_000, seed=1)
    settings = {"num_mel_bins": 80, "dither": 0.0, "high_freq": 0.0, **kaldis}
    theirs = torchaudio.compliance.kaldi.fbank(wave.double()[None] * 32768, **settings)
    found = one(LogMel(LogMelConfig(**ours)), wave)
    assert found.shape == theirs.shape
    # Theirs has its filters in float32, which tells where one weighs a single bin little.
    assert (found - theirs).abs().max() < 1e-3
    assert (found - theirs).square().mean().sqrt() < 3e-5


def test_equals_torchaudios_kaldi_on_speech(recordings: dict[str, Tensor]) -> None:
    # Where a filter hears a hundred-millionth of the frame's energy, float32 has three digits.
    for wave in recordings.values():
        theirs = torchaudio.compliance.kaldi.fbank(
            wave.double()[None] * 32768, num_mel_bins=80, dither=0.0
        )
        difference = (one(LogMel(LogMelConfig()), wave) - theirs).abs()
        assert difference.max() < 2e-3
        assert difference.square().mean().sqrt() < 1e-5


@pytest.mark.parametrize("hertz", [150.0, 440.0, 1000.0, 3000.0, 7000.0])
def test_a_tone_is_loudest_in_its_filter(hertz: float) -> None:
    wave = 0.5 * torch.sin(2 * torch.pi * hertz * torch.arange(RATE) / RATE)
    pitch = 1127 * np.log1p(np.array([20.0, hertz, 8000.0]) / 700)
    place = (pitch[1] - pitch[0]) / (pitch[2] - pitch[0]) * 81 - 1
    loudest = one(LogMel(LogMelConfig()), wave).mean(dim=0).argmax()
    assert abs(float(loudest) - place) <= 1


def test_silence_is_at_the_floor() -> None:
    silence = one(LogMel(LogMelConfig()), torch.zeros(1000))
    assert torch.allclose(silence, torch.tensor(np.finfo(np.float32).eps).log())
    assert (one(LogMel(LogMelConfig(floor=1.0)), torch.zeros(1000)) == 0).all()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"window_seconds": 1e-4}, "window_seconds 0.0001 is 1 samples at 16000 Hz"),
        ({"hop_seconds": 1e-5}, "hop_seconds 1e-05 is less than a sample"),
        ({"low_hertz": 8000.0}, "from low_hertz 8000 to 8000 Hz"),
        ({"high_hertz": 9000.0}, "at most 8000, half the sample rate"),
        ({"high_hertz": -8000.0}, "from low_hertz 20 to 0 Hz"),
        ({"bins": 200}, "200 bins are more than .* at most 126 fit"),
    ],
)
def test_impossible_settings_are_refused(wrong: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        LogMelConfig(**wrong)


def test_as_many_bins_as_said_fit() -> None:
    assert LogMel(LogMelConfig(bins=126)).filters.sum(dim=0).min() > 0
