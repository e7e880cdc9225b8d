"""Log energies of mel filters, as Kaldi computes them.

What differs from Kaldi: no dither (white noise of one bit). Noise drawn here would make features
depend on the batch a row is in; the augmentation `noise` adds it reproducibly, and `floor` keeps
digital silence from becoming a number far below every other.

Axes: B utterances, N samples, T frames, W samples of a window, D filters.
"""

from typing import Literal, Self

import numpy as np
import torch
from pydantic import model_validator
from torch import Tensor, nn

from speechkit import Config, Field, length_mask
from speechkit_features.mel import Array, kaldi_mel_filters

INT16_SCALE = 32768.0  # Kaldi reads 16-bit samples as integers
FLOAT32_EPSILON = float(np.finfo(np.float32).eps)


class LogMelConfig(Config):
    """Settings of `log_mel`; the defaults are Kaldi's, with 80 filters."""

    sample_rate: int = Field(16_000, gt=0, description="Hz")
    bins: int = Field(80, gt=0, description="mel filters, the features of a frame")
    window_seconds: float = Field(0.025, gt=0, description="length of a frame's window")
    hop_seconds: float = Field(0.010, gt=0, description="from one frame to the next")
    low_hertz: float = Field(20.0, ge=0, description="where the lowest filter begins")
    high_hertz: float = Field(
        0.0, description="where the highest filter ends; 0 or less: so far below Nyquist"
    )
    window: Literal["povey", "hann"] = Field(
        "povey", description="shape of the window; povey is hann to the power 0.85"
    )
    preemphasis: float = Field(
        0.97, ge=0, le=1, description="x[n] - preemphasis * x[n - 1], within each frame"
    )
    remove_dc: bool = Field(default=True, description="take each frame's mean away first")
    floor: float = Field(
        FLOAT32_EPSILON, gt=0, description="of an energy before the logarithm, for 16-bit samples"
    )

    @property
    def window_samples(self) -> int:
        """W. Kaldi rounds down; a thousandth of a sample covers 0.025 * 16000 = 399.99…."""
        return int(self.window_seconds * self.sample_rate + 1e-3)

    @property
    def hop_samples(self) -> int:
        """From one frame to the next."""
        return int(self.hop_seconds * self.sample_rate + 1e-3)

    @property
    def fft_size(self) -> int:
        """The power of two that holds a window."""
        return 1 << (self.window_samples - 1).bit_length()

    @property
    def highest_hertz(self) -> float:
        """Where the highest filter ends."""
        nyquist = self.sample_rate / 2
        return self.high_hertz if self.high_hertz > 0 else nyquist + self.high_hertz

    def filters(self, bins: int) -> Array:
        """(fft_size // 2 + 1, bins) weights of the mel filters."""
        return kaldi_mel_filters(
            bins=bins,
            fft_size=self.fft_size,
            sample_rate=self.sample_rate,
            low_hertz=self.low_hertz,
            high_hertz=self.highest_hertz,
        )

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.window_samples < 2:
            raise ValueError(
                f"window_seconds {self.window_seconds} is {self.window_samples} samples at "
                f"{self.sample_rate} Hz; a window has at least 2"
            )
        if self.hop_samples < 1:
            raise ValueError(
                f"hop_seconds {self.hop_seconds} is less than a sample at {self.sample_rate} Hz"
            )
        nyquist = self.sample_rate / 2
        if not self.low_hertz < self.highest_hertz <= nyquist:
            raise ValueError(
                f"filters reach from low_hertz {self.low_hertz:g} to {self.highest_hertz:g} Hz; "
                f"the end must be above the beginning and at most {nyquist:g}, half the sample rate"
            )
        if not _all_weigh(self.filters(self.bins)):
            fits = next((n for n in range(self.bins, 0, -1) if _all_weigh(self.filters(n))), 0)
            raise ValueError(
                f"{self.bins} bins are more than a spectrum of {self.fft_size} points can fill "
                f"between {self.low_hertz:g} and {self.highest_hertz:g} Hz; at most {fits} fit"
            )
        return self


def _all_weigh(filters: Array) -> bool:
    return bool((filters.sum(axis=0) > 0).all())


class LogMel(nn.Module):
    """Natural logarithm of mel energies; equals `compute-fbank-feats` of Kaldi without dither.

    Only windows that lie whole within a row are frames, T = 1 + (N - W) // hop, so that what is
    past a row's end is never read. Samples are scaled to the range of 16 bits, which adds a
    constant, 2 ln 32768, to features above the floor.

    >>> features = LogMel(LogMelConfig())
    >>> values, frames = features(torch.zeros(2, 16_000), torch.tensor([16_000, 300]))
    >>> values.shape, frames
    (torch.Size([2, 98, 80]), tensor([98,  0]))
    """

    window: Tensor
    filters: Tensor

    def __init__(self, config: LogMelConfig) -> None:
        super().__init__()
        self.config = config
        self.sample_rate = config.sample_rate
        self.dim = config.bins
        self.frame_shift_seconds = config.hop_samples / config.sample_rate
        window = torch.hann_window(config.window_samples, periodic=False, dtype=torch.float64)
        if config.window == "povey":
            window = window**0.85
        filters = torch.from_numpy(config.filters(config.bins))
        self.register_buffer("window", window.mul(INT16_SCALE).float(), persistent=False)
        self.register_buffer("filters", filters.float(), persistent=False)

    @torch.no_grad()
    def forward(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(B, N) samples in [-1, 1], (B,) in samples -> (B, T, D) float32, (B,) in frames."""
        size, hop = self.config.window_samples, self.config.hop_samples
        frame_lengths = (lengths - size).div(hop, rounding_mode="floor").add(1).clamp(min=0)
        if waveforms.shape[1] < size:
            return waveforms.new_zeros(
                len(waveforms), 0, self.dim, dtype=torch.float32
            ), frame_lengths
        frames = waveforms.float().unfold(1, size, hop)
        # In bfloat16 energies would have two digits.
        with torch.autocast(waveforms.device.type, enabled=False):
            if waveforms.device.type == "cpu":
                # Three times as fast: a row's frames stay in the processor's cache.
                features = torch.stack([self._log_mel(row) for row in frames])
            else:
                features = self._log_mel(frames)
        inside = length_mask(frame_lengths, features.shape[1])
        return features.masked_fill(~inside[:, :, None], 0.0), frame_lengths

    def _log_mel(self, frames: Tensor) -> Tensor:
        """(..., W) -> (..., D)."""
        if self.config.remove_dc:
            frames = frames - frames.mean(dim=-1, keepdim=True)
        # The sample before a frame's first is taken to be the same as the first.
        emphasised = frames * (1 - self.config.preemphasis)
        emphasised[..., 1:] += self.config.preemphasis * frames.diff()
        spectrum = torch.fft.rfft(emphasised * self.window, n=self.config.fft_size)
        power = spectrum.real.square() + spectrum.imag.square()
        energies: Tensor = power @ self.filters
        return energies.clamp(min=self.config.floor).log()
