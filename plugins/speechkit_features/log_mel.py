"""Log energies of mel filters, as Kaldi computes them.

What differs from Kaldi: no dither (white noise of one bit). Noise drawn here would make features
depend on the batch a row is in; the augmentation `noise` adds it reproducibly, and `floor` keeps
digital silence from becoming a number far below every other.

Axes: B utterances, N samples, T frames, W samples of a window, D filters.
"""

from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from speechkit import Field
from speechkit_features.frames import in_pieces, whole_frames, within
from speechkit_features.mel import INT16_SCALE, Array, MelConfig, kaldi_filters

FLOAT32_EPSILON = float(np.finfo(np.float32).eps)


class LogMelConfig(MelConfig):
    """Settings of `log_mel`; the defaults are Kaldi's, with 80 filters."""

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
    def points(self) -> int:
        """The power of two that holds a window."""
        return 1 << (self.window_samples - 1).bit_length()

    def filters(self, bins: int) -> Array:
        """(points // 2 + 1, bins) weights of the mel filters."""
        return kaldi_filters(
            bins=bins,
            points=self.points,
            sample_rate=self.sample_rate,
            low_hertz=self.low_hertz,
            high_hertz=self.highest_hertz,
        )


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
        window, hop = self.config.window_samples, self.config.hop_samples
        frame_lengths = whole_frames(lengths, window=window, hop=hop)
        if waveforms.shape[1] < window:
            return waveforms.new_zeros(
                len(waveforms), 0, self.dim, dtype=torch.float32
            ), frame_lengths
        # In bfloat16 energies would have two digits.
        with torch.autocast(waveforms.device.type, enabled=False):
            features = in_pieces(self._log_mel, waveforms.float().unfold(1, window, hop))
        return within(features, frame_lengths), frame_lengths

    def _log_mel(self, frames: Tensor) -> Tensor:
        """(..., W) -> (..., D)."""
        if self.config.remove_dc:
            frames = frames - frames.mean(dim=-1, keepdim=True)
        # The sample before a frame's first is taken to be the same as the first.
        emphasised = frames * (1 - self.config.preemphasis)
        emphasised[..., 1:] += self.config.preemphasis * frames.diff()
        spectrum = torch.fft.rfft(emphasised * self.window, n=self.config.points)
        power = spectrum.real.square() + spectrum.imag.square()
        energies: Tensor = power @ self.filters
        return energies.clamp(min=self.config.floor).log()
