from collections.abc import Callable

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from speechkit_features.spectrogram import Spectrogram, SpectrogramConfig

RATE = 16_000


def one(extractor: Spectrogram, wave: Tensor) -> Tensor:
    """(N,) -> (T, D)."""
    values, frames = extractor(wave[None], torch.tensor([len(wave)]))
    return values[0, : frames[0]]


def by_hand(wave: Tensor) -> Tensor:
    """N2's recipe in float64, from a matrix of the transform."""
    samples = wave.double().numpy()
    samples = np.concatenate([samples[192:0:-1], samples, samples[-2:-194:-1]])
    hann = np.zeros(384)
    hann[64:320] = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(256) / 256)
    transform = np.exp(-2j * np.pi * np.outer(np.arange(384), np.arange(193)) / 384)
    frames = [samples[start : start + 384] for start in range(0, len(samples) - 383, 160)]
    rows = np.abs(np.array(frames) * hann @ transform) ** 0.5
    means, deviations = rows.mean(axis=1), rows.std(axis=1, ddof=1)
    return torch.from_numpy((rows - means[:, None]) / (deviations[:, None] + 1e-10))


@pytest.mark.parametrize("samples", [193, 319, 320, 321, 9_999, 16_000])
def test_equals_a_direct_computation(samples: int, speechlike: Callable[..., Tensor]) -> None:
    wave = speechlike(samples)
    expected = by_hand(wave)
    assert len(expected) == 1 + samples // 160
    assert torch.allclose(one(Spectrogram(SpectrogramConfig()), wave).double(), expected, atol=1e-5)


def test_equals_torch_on_speech(recordings: dict[str, Tensor]) -> None:
    # A root is steep at 0: where a bin is a millionth of the frame's loudest, float32 shows.
    for wave in recordings.values():
        window = torch.hann_window(256, dtype=torch.float64)
        spectrum = torch.stft(wave.double(), 384, 160, 256, window, return_complex=True)
        expected = spectrum.abs().sqrt().T
        deviation, mean = torch.std_mean(expected, dim=1, keepdim=True)
        expected = (expected - mean) / (deviation + 1e-10)
        difference = one(Spectrogram(SpectrogramConfig()), wave) - expected
        assert difference.abs().max() < 3e-4
        assert difference.square().mean().sqrt() < 5e-6


@pytest.mark.parametrize(
    ("fft_size", "window", "hop"), [(400, 400, 100), (256, 201, 80), (65, 65, 7)]
)
def test_equals_torch_in_other_sizes(
    fft_size: int, window: int, hop: int, speechlike: Callable[..., Tensor]
) -> None:
    wave = speechlike(3_000)
    config = SpectrogramConfig(
        fft_size=fft_size, window=window, hop=hop, exponent=1.0, normalize_frames=False
    )
    hann = torch.hann_window(window)
    spectrum = torch.stft(wave, fft_size, hop, window, hann, return_complex=True)
    assert torch.allclose(one(Spectrogram(config), wave), spectrum.abs().T, atol=1e-4)


@pytest.mark.parametrize("hertz", [250.0, 1000.0, 4000.0, 7000.0])
def test_a_tone_is_loudest_in_its_bin(hertz: float) -> None:
    wave = 0.5 * torch.sin(2 * torch.pi * hertz * torch.arange(RATE) / RATE)
    # A mirrored tone is none: without the first and the last frame.
    loudest = one(Spectrogram(SpectrogramConfig()), wave)[1:-1].argmax(dim=1)
    assert (loudest == round(hertz * 384 / RATE)).all()


def test_every_frame_has_mean_0_and_deviation_1_and_silence_is_0() -> None:
    extractor = Spectrogram(SpectrogramConfig())
    values = one(extractor, torch.randn(5_000))
    assert values.mean(dim=1).abs().max() < 1e-6
    assert (values.std(dim=1) - 1).abs().max() < 1e-5
    assert not one(extractor, torch.zeros(5_000)).any()


def test_a_window_longer_than_the_transform_is_refused() -> None:
    with pytest.raises(ValidationError, match="window is 512 samples, fft_size 384 points"):
        SpectrogramConfig(window=512)
