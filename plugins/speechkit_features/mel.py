"""Triangular filters on the mel scale, as Kaldi has them."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def mel(hertz: Array | float) -> Array:
    """Hertz to mel, the pitch as heard: 1127 ln(1 + f / 700)."""
    heard: Array = 1127.0 * np.log1p(np.asarray(hertz, dtype=np.float64) / 700.0)
    return heard


def kaldi_mel_filters(
    *, bins: int, fft_size: int, sample_rate: int, low_hertz: float, high_hertz: float
) -> Array:
    """(fft_size // 2 + 1, bins) weights of the power spectrum's bins in each filter.

    The corners are equally spaced in mel from `low_hertz` to `high_hertz`, each filter is a
    triangle in mel (not in hertz) from one corner over the next, where it is 1, to the one after.
    A filter narrower than the spectrum's bins can fall between them and weigh nothing.

    Source: Kaldi, feat/mel-computations.cc, as `torchaudio.compliance.kaldi.get_mel_banks`.
    """
    corners = np.linspace(mel(low_hertz), mel(high_hertz), bins + 2)
    left, centre, right = corners[:-2], corners[1:-1], corners[2:]
    heard = mel(np.arange(fft_size // 2 + 1) * sample_rate / fft_size)[:, None]
    rising = (heard - left) / (centre - left)
    falling = (right - heard) / (right - centre)
    weights: Array = np.maximum(0.0, np.minimum(rising, falling))
    weights[-1] = 0.0  # Kaldi leaves the Nyquist frequency out
    return weights
