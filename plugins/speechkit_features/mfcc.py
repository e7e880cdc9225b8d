"""Mel-frequency cepstra, as the package python_speech_features 0.6 computes them.

The front end of the Russian system, `sovse/Rus-SpeechRecognition-LSTM-CTC-VoxForge`:
`mfcc(samples as int16, samplerate, lowfreq=50)`.

Axes: B utterances, N samples, T frames, W samples of a window, D cepstra and their deltas.
"""

import math
from typing import Self

import numpy as np
import torch
from pydantic import model_validator
from torch import Tensor, nn

from speechkit import Field
from speechkit_features.frames import in_pieces, within
from speechkit_features.mel import INT16_SCALE, Array, MelConfig, hertz, mel, triangles

FLOAT64_EPSILON = float(np.finfo(np.float64).eps)


class MfccConfig(MelConfig):
    """Settings of `mfcc`; the defaults are those of the Russian system."""

    bins: int = Field(26, gt=0, description="mel filters")
    low_hertz: float = Field(50.0, ge=0, description="where the lowest filter begins")
    fft_size: int = Field(512, ge=4, description="points of the Fourier transform")
    preemphasis: float = Field(
        0.97, ge=0, le=1, description="x[n] - preemphasis * x[n - 1], along the utterance"
    )
    cepstra: int = Field(13, gt=0, description="coefficients of a frame, the 0th too")
    lifter: int = Field(22, ge=0, description="weight of higher cepstra; 0: as they are")
    energy: bool = Field(default=True, description="the frame's log energy in place of cepstrum 0")
    deltas: int = Field(0, ge=0, le=2, description="1: add slopes; 2: and the slopes of slopes")
    delta_width: int = Field(2, gt=0, description="frames on either side a slope is taken over")

    @property
    def points(self) -> int:
        """How many points the Fourier transform has."""
        return self.fft_size

    def filters(self, bins: int) -> Array:
        """(points // 2 + 1, bins) weights of the mel filters."""
        corners = hertz(np.linspace(mel(self.low_hertz), mel(self.highest_hertz), bins + 2))
        return triangles(
            np.floor((self.fft_size + 1) * corners / self.sample_rate).astype(np.int64),
            self.fft_size,
        )

    def _samples(self, seconds: float) -> int:
        return math.floor(seconds * self.sample_rate + 0.5)

    @model_validator(mode="after")
    def _as_many_bins(self) -> Self:
        if self.cepstra > self.bins:
            raise ValueError(f"{self.cepstra} cepstra cannot be had from {self.bins} bins")
        return self


class Mfcc(nn.Module):
    """Mel-frequency cepstral coefficients with a rectangular window.

    The last frame is filled up with zeros: T = 1 + ceil((N - W) / hop), 1 from the first sample on.
    Cepstrum 0 is replaced by the logarithm of the frame's energy. Samples are scaled to the range
    of 16 bits.

    >>> features = Mfcc(MfccConfig())
    >>> values, frames = features(torch.zeros(3, 16_000), torch.tensor([16_000, 1, 0]))
    >>> values.shape, frames
    (torch.Size([3, 99, 13]), tensor([99,  1,  0]))
    """

    filters: Tensor
    cosines: Tensor

    def __init__(self, config: MfccConfig) -> None:
        super().__init__()
        self.config = config
        self.sample_rate = config.sample_rate
        self.dim = config.cepstra * (1 + config.deltas)
        self.frame_shift_seconds = config.hop_samples / config.sample_rate
        filters = torch.from_numpy(config.filters(config.bins))
        cosines = torch.from_numpy(dct_matrix(config.bins, config.cepstra, config.lifter))
        self.register_buffer("filters", filters.float(), persistent=False)
        self.register_buffer("cosines", cosines.float(), persistent=False)

    @torch.no_grad()
    def forward(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(B, N) samples in [-1, 1], (B,) in samples -> (B, T, D) float32, (B,) in frames."""
        window, hop = self.config.window_samples, self.config.hop_samples
        frame_lengths = _frame_count(lengths, window, hop)
        size = int(_frame_count(torch.tensor(waveforms.shape[1]), window, hop))
        if not size:
            return waveforms.new_zeros(
                len(waveforms), 0, self.dim, dtype=torch.float32
            ), frame_lengths
        # In bfloat16 energies would have two digits.
        with torch.autocast(waveforms.device.type, enabled=False):
            emphasised = waveforms.float() * INT16_SCALE
            emphasised[:, 1:] -= self.config.preemphasis * emphasised[:, :-1].clone()
            padded = nn.functional.pad(
                within(emphasised, lengths), (0, (size - 1) * hop + window - waveforms.shape[1])
            )
            values = in_pieces(self._cepstra, padded.unfold(1, window, hop))
            parts = [values]
            for _ in range(self.config.deltas):
                parts.append(_slopes(parts[-1], frame_lengths, self.config.delta_width))
        return within(torch.cat(parts, dim=-1), frame_lengths), frame_lengths

    def _cepstra(self, frames: Tensor) -> Tensor:
        """(..., W) -> (..., cepstra)."""
        spectrum = torch.fft.rfft(frames, n=self.config.fft_size)
        power = (spectrum.real.square() + spectrum.imag.square()) / self.config.fft_size
        cepstra = _log(power @ self.filters) @ self.cosines
        if self.config.energy:
            cepstra[..., 0] = _log(power.sum(dim=-1))
        return cepstra


def dct_matrix(bins: int, cepstra: int, lifter: int) -> Array:
    """(bins, cepstra): log energies to cepstra, the orthonormal DCT-II and the lifter in one."""
    order = np.arange(cepstra)
    cosines = np.cos(np.pi * order * (np.arange(bins)[:, None] + 0.5) / bins)
    cosines *= np.where(order == 0, math.sqrt(1 / bins), math.sqrt(2 / bins))
    weight = 1 + lifter / 2 * np.sin(np.pi * order / lifter) if lifter else np.ones(cepstra)
    lifted: Array = cosines * weight
    return lifted


def _frame_count(lengths: Tensor, window: int, hop: int) -> Tensor:
    """(B,) samples -> (B,) frames, a last one in part included."""
    more = -(-(lengths - window).clamp(min=0) // hop)
    return (1 + more).masked_fill(lengths == 0, 0)


def _log(energies: Tensor) -> Tensor:
    """Of digital silence, the logarithm of the smallest step of float64, as the package has it."""
    return energies.masked_fill(energies == 0, FLOAT64_EPSILON).log()


def _slopes(values: Tensor, lengths: Tensor, width: int) -> Tensor:
    """(B, T, D) -> (B, T, D), the slope of a line through 2 * width + 1 frames.

    A row's first and last frames stand for those before and after it.
    """
    frames = torch.arange(values.shape[1], device=values.device)
    last = (lengths - 1).clamp(min=0)[:, None]
    slopes = torch.zeros_like(values)
    for step in range(1, width + 1):
        after = torch.minimum(frames + step, last)[:, :, None].expand_as(values)
        before = torch.minimum((frames - step).clamp(min=0), last)[:, :, None].expand_as(values)
        slopes += step * (values.gather(1, after) - values.gather(1, before))
    return slopes / (2 * sum(step * step for step in range(1, width + 1)))
