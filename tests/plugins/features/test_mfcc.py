from collections.abc import Callable

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from speechkit_features.mfcc import Mfcc, MfccConfig

psf = pytest.importorskip("python_speech_features", reason="python_speech_features is absent")


def one(extractor: Mfcc, wave: Tensor) -> Tensor:
    """(N,) -> (T, D)."""
    values, frames = extractor(wave[None], torch.tensor([len(wave)]))
    return values[0, : frames[0]]


def theirs(wave: Tensor, rate: int = 16_000, **kwargs) -> Tensor:
    samples = (wave * 32768).numpy().astype(np.int16)
    return torch.from_numpy(psf.mfcc(samples, rate, **{"lowfreq": 50, **kwargs}))


@pytest.mark.parametrize("samples", [1, 2, 399, 400, 401, 559, 560, 561, 20_000])
def test_equals_the_package(samples: int, speechlike: Callable[..., Tensor]) -> None:
    wave = speechlike(samples, seed=3)
    expected = theirs(wave)
    found = one(Mfcc(MfccConfig()), wave)
    assert found.shape == expected.shape
    assert torch.allclose(found.double(), expected, atol=2e-4)


@pytest.mark.parametrize(
    ("ours", "packages"),
    [
        ({"cepstra": 20, "bins": 40}, {"numcep": 20, "nfilt": 40}),
        ({"low_hertz": 0.0, "high_hertz": 4000.0}, {"lowfreq": 0, "highfreq": 4000}),
        ({"high_hertz": -1000.0}, {"highfreq": 7000}),
        ({"preemphasis": 0.0, "lifter": 0}, {"preemph": 0, "ceplifter": 0}),
        ({"energy": False, "fft_size": 1024}, {"appendEnergy": False, "nfft": 1024}),
        ({"window_seconds": 0.03, "hop_seconds": 0.015}, {"winlen": 0.03, "winstep": 0.015}),
        # 275.6 samples of a window are 276, 110.25 of a hop 110.
        ({"sample_rate": 11_025}, {"rate": 11_025}),
        ({"sample_rate": 8_000, "fft_size": 256}, {"rate": 8_000, "nfft": 256}),
    ],
)
def test_equals_the_package_in_other_settings(
    ours: dict, packages: dict, speechlike: Callable[..., Tensor]
) -> None:
    wave = speechlike(9_000)
    found, expected = one(Mfcc(MfccConfig(**ours)), wave), theirs(wave, **packages)
    assert found.shape == expected.shape
    assert torch.allclose(found.double(), expected, atol=2e-4)


def test_equals_the_package_on_speech(recordings: dict[str, Tensor]) -> None:
    for wave in recordings.values():
        assert (one(Mfcc(MfccConfig()), wave) - theirs(wave)).abs().max() < 2e-4


def test_deltas_equal_the_package(speechlike: Callable[..., Tensor]) -> None:
    for samples in (1, 500, 9_000):
        wave = speechlike(samples)
        expected = theirs(wave)
        slopes = psf.delta(expected.numpy(), 3)
        parts = [expected, torch.from_numpy(slopes), torch.from_numpy(psf.delta(slopes, 3))]
        found = one(Mfcc(MfccConfig(deltas=2, delta_width=3)), wave)
        assert torch.allclose(found.double(), torch.cat(parts, dim=1), atol=2e-4)


def test_digital_silence_equals_the_package() -> None:
    wave = torch.zeros(1_000)
    assert torch.allclose(one(Mfcc(MfccConfig()), wave).double(), theirs(wave), atol=1e-4)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"cepstra": 27}, "27 cepstra cannot be had from 26 bins"),
        ({"window_seconds": 0.04}, "is 640 samples at 16000 Hz, more than fft_size 512"),
        ({"bins": 100}, "100 bins are more than .* at most"),
    ],
)
def test_impossible_settings_are_refused(wrong: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        MfccConfig(**wrong)
