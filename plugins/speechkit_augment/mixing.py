"""Arithmetic on waveforms: levels, and convolution with impulse responses.

Axes: B utterances, N samples, K samples of a response.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from speechkit import length_mask


def fast_size(size: int) -> int:
    """At least `size`, an eighth more at most, and quickly Fourier-transformed.

    >>> [fast_size(size) for size in (0, 5, 16, 17, 1_000_003)]
    [1, 5, 16, 18, 1048576]
    """
    step = 1 << max(0, size.bit_length() - 4)  # a number up to 15, times a power of two
    return max(1, -(-size // step) * step)


def silenced(values: Tensor, lengths: Tensor) -> Tensor:
    """(B, N) with zeros past each row's length."""
    return values.masked_fill(~length_mask(lengths, values.shape[1]), 0.0)


def mixed(values: Tensor, noise: Tensor, snr_db: Tensor) -> Tensor:
    """(B, N) + (B, N) noise, scaled so that (B,) decibels lie between their energies.

    Both are zero past the rows' lengths. Where either is silent there is no such scale, and the
    row stays as it is.
    """
    speech_energy = values.square().sum(dim=1)
    noise_energy = noise.square().sum(dim=1)
    wanted = speech_energy * 10 ** (-snr_db / 10)
    scale = (wanted / noise_energy).sqrt().masked_fill(noise_energy == 0, 0.0)
    return values + scale[:, None] * noise


def convolved(
    values: Tensor, responses: Sequence[NDArray[np.float64]], *, origins: Sequence[int], size: int
) -> Tensor:
    """(B, N), B responses of (K,) -> (B, size): each row convolved with its response.

    `origins` are the places in the responses that stand for no delay: the result begins there.
    """
    longest = max(map(len, responses))
    points = fast_size(values.shape[1] + longest + max(origins))  # nothing wraps
    kernels = np.zeros((len(responses), points), dtype=np.float32)
    for kernel, response, origin in zip(kernels, responses, origins, strict=True):
        kernel[: len(response) - origin] = response[origin:]
        kernel[points - origin :] = response[:origin]
    spectrum = torch.fft.rfft(torch.from_numpy(kernels).to(values.device))
    result: Tensor = torch.fft.irfft(torch.fft.rfft(values, n=points) * spectrum, n=points)
    return result[:, :size]
