"""A log spectrogram. Axes: B utterances, N samples, T frames, D frequencies."""

import torch
from torch import Tensor, nn

from speechkit import Config, Field

SMALLEST = 1e-10  # power: digital silence has a logarithm, too


class LogSpectrogramConfig(Config):
    """Settings of `log_spectrogram`."""

    sample_rate: int = Field(16_000, gt=0, description="Hz")
    window: int = Field(400, gt=0, description="samples")
    hop: int = Field(160, gt=0, description="samples from one frame to the next")


class LogSpectrogram(nn.Module):
    """Natural logarithm of the power spectrum under a Hann window."""

    def __init__(self, config: LogSpectrogramConfig) -> None:
        super().__init__()
        self.config = config
        self.sample_rate = config.sample_rate
        self.dim = config.window // 2 + 1
        self.frame_shift_seconds = config.hop / config.sample_rate
        self.hann: Tensor
        self.register_buffer("hann", torch.hann_window(config.window), persistent=False)

    def forward(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(B, N) samples, (B,) lengths in samples -> (B, T, D) features, (B,) lengths in frames."""
        window, hop = self.config.window, self.config.hop
        # Only windows that lie whole within a row count: none of them sees padding.
        frames = (lengths - window).div(hop, rounding_mode="floor").add(1).clamp(min=0)
        if waveforms.shape[1] < window:
            return waveforms.new_zeros(len(waveforms), 0, self.dim), frames
        spectrum = torch.fft.rfft(waveforms.unfold(1, window, hop) * self.hann)
        return spectrum.abs().square().clamp(min=SMALLEST).log(), frames
