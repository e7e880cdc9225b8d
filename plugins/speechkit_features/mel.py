"""Filters on the mel scale, and the settings of what is made with them."""

from abc import abstractmethod
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from speechkit import Config, Field

Array = NDArray[np.float64]

INT16_SCALE = 32768.0
"""Kaldi, python_speech_features and Sphinx read 16-bit samples as integers."""


class MelConfig(Config):
    """Settings that every extractor with mel filters has."""

    sample_rate: int = Field(16_000, gt=0, description="Hz")
    bins: int = Field(80, gt=0, description="mel filters")
    window_seconds: float = Field(0.025, gt=0, description="length of a frame's window")
    hop_seconds: float = Field(0.010, gt=0, description="from one frame to the next")
    low_hertz: float = Field(20.0, ge=0, description="where the lowest filter begins")
    high_hertz: float = Field(
        0.0, description="where the highest filter ends; 0 or less: so far below Nyquist"
    )

    @property
    def window_samples(self) -> int:
        """W."""
        return self._samples(self.window_seconds)

    @property
    def hop_samples(self) -> int:
        """From one frame to the next."""
        return self._samples(self.hop_seconds)

    @property
    def highest_hertz(self) -> float:
        """Where the highest filter ends."""
        return self.high_hertz if self.high_hertz > 0 else self.sample_rate / 2 + self.high_hertz

    @property
    @abstractmethod
    def points(self) -> int:
        """How many points the Fourier transform has."""

    @abstractmethod
    def filters(self, bins: int) -> Array:
        """(points // 2 + 1, bins) weights of the mel filters."""

    def _samples(self, seconds: float) -> int:
        """Rounded down; a thousandth of a sample covers 0.025 * 16000 = 399.99…."""
        return int(seconds * self.sample_rate + 1e-3)

    @model_validator(mode="after")
    def _possible(self) -> Self:
        rate, nyquist = self.sample_rate, self.sample_rate / 2
        if self.window_samples < 2:
            raise ValueError(
                f"window_seconds {self.window_seconds:g} is {self.window_samples} samples at "
                f"{rate} Hz; a window has at least 2"
            )
        if self.window_samples > self.points:
            raise ValueError(
                f"window_seconds {self.window_seconds:g} is {self.window_samples} samples at "
                f"{rate} Hz, more than fft_size {self.points}; a window must fit into the transform"
            )
        if self.hop_samples < 1:
            raise ValueError(f"hop_seconds {self.hop_seconds:g} is less than a sample at {rate} Hz")
        low, high = self.low_hertz, self.highest_hertz
        if not low < high <= nyquist:
            raise ValueError(
                f"filters reach from low_hertz {low:g} to {high:g} Hz; the end must be above the "
                f"beginning and at most {nyquist:g}, half the sample rate"
            )
        if not _all_weigh(self.filters(self.bins)):
            fits = next((n for n in range(self.bins, 0, -1) if _all_weigh(self.filters(n))), 0)
            raise ValueError(
                f"{self.bins} bins are more than a spectrum of {self.points} points can fill "
                f"between {low:g} and {high:g} Hz; at most {fits} fit"
            )
        return self


def _all_weigh(filters: Array) -> bool:
    return bool((filters.sum(axis=0) > 0).all())


def mel(hertz: Array | float) -> Array:
    """Hertz to mel, the pitch as heard: 1127 ln(1 + f / 700)."""
    heard: Array = 1127.0 * np.log1p(np.asarray(hertz, dtype=np.float64) / 700.0)
    return heard


def hertz(heard: Array | float) -> Array:
    """Mel to hertz."""
    found: Array = 700.0 * np.expm1(np.asarray(heard, dtype=np.float64) / 1127.0)
    return found


def kaldi_filters(
    *, bins: int, points: int, sample_rate: int, low_hertz: float, high_hertz: float
) -> Array:
    """(points // 2 + 1, bins) weights of the power spectrum's bins in each filter.

    The corners are equally spaced in mel from `low_hertz` to `high_hertz`, each filter is a
    triangle in mel (not in hertz) from one corner over the next, where it is 1, to the one after.
    A filter narrower than the spectrum's bins can fall between them and weigh nothing.

    Source: Kaldi, feat/mel-computations.cc, as `torchaudio.compliance.kaldi.get_mel_banks`.
    """
    corners = np.linspace(mel(low_hertz), mel(high_hertz), bins + 2)
    left, centre, right = corners[:-2], corners[1:-1], corners[2:]
    heard = mel(np.arange(points // 2 + 1) * sample_rate / points)[:, None]
    rising = (heard - left) / (centre - left)
    falling = (right - heard) / (right - centre)
    weights: Array = np.maximum(0.0, np.minimum(rising, falling))
    weights[-1] = 0.0  # Kaldi leaves the Nyquist frequency out
    return weights


def triangles(corners: NDArray[np.int64], points: int) -> Array:
    """(bins + 2,) corners, in bins of the spectrum -> (points // 2 + 1, bins) weights.

    Each filter rises in hertz from 0 at one corner to 1 at the next and falls to 0 at the one
    after. Where two corners are one bin, it has no slope on that side.
    """
    left, centre, right = corners[:-2], corners[1:-1], corners[2:]
    place = np.arange(points // 2 + 1)[:, None]
    rising = (place - left) / np.maximum(centre - left, 1)
    falling = (right - place) / np.maximum(right - centre, 1)
    weights: Array = np.maximum(0.0, np.where(place < centre, rising, falling))
    return weights
