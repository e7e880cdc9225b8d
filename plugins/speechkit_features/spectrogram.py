"""The spectrogram N2 reads: compressed magnitudes, every frame normalised by itself.

Source: `encode_single_sample` of the notebooks of `anarlavrenov/n2`; there the spectrogram is
centred on its frames and the signal reflected at both ends, as `torch.stft` does it. What differs:
a row is reflected at its own end, not at the end of the batch's padding.

Axes: B utterances, N samples, T frames, W samples of a window, D bins of the spectrum.
"""

from typing import Self

import torch
from pydantic import model_validator
from torch import Tensor, nn

from speechkit import Config, Field
from speechkit_features.frames import in_pieces, within

DEVIATION_FLOOR = 1e-10


class SpectrogramConfig(Config):
    """Settings of `spectrogram`; the defaults are N2's."""

    sample_rate: int = Field(16_000, gt=0, description="Hz")
    fft_size: int = Field(384, ge=4, description="points of the Fourier transform")
    window: int = Field(256, ge=2, description="samples under the Hann window")
    hop: int = Field(160, gt=0, description="samples from one frame to the next")
    exponent: float = Field(0.5, gt=0, description="the power magnitudes are raised to")
    normalize_frames: bool = Field(
        default=True, description="each frame minus its mean, over its standard deviation"
    )

    @model_validator(mode="after")
    def _window_fits(self) -> Self:
        if self.window > self.fft_size:
            raise ValueError(
                f"window is {self.window} samples, fft_size {self.fft_size} points; a window must "
                "fit into the transform"
            )
        return self


class Spectrogram(nn.Module):
    """Magnitudes of a centred spectrogram to a power, each frame normalised over its bins.

    Frame t is centred on sample t * hop, T = 1 + N // hop, and the signal is reflected at both
    ends. A row of fft_size // 2 samples or fewer cannot be, and gives no frame.

    >>> features = Spectrogram(SpectrogramConfig())
    >>> values, frames = features(torch.randn(2, 16_000), torch.tensor([16_000, 192]))
    >>> values.shape, frames
    (torch.Size([2, 101, 193]), tensor([101,   0]))
    """

    window: Tensor

    def __init__(self, config: SpectrogramConfig) -> None:
        super().__init__()
        self.config = config
        self.sample_rate = config.sample_rate
        self.dim = config.fft_size // 2 + 1
        self.frame_shift_seconds = config.hop / config.sample_rate
        self.register_buffer("window", torch.hann_window(config.window), persistent=False)

    @torch.no_grad()
    def forward(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(B, N) samples, (B,) in samples -> (B, T, D) float32, (B,) in frames."""
        config = self.config
        half = config.fft_size // 2
        frame_lengths = (lengths // config.hop + 1).masked_fill(lengths <= half, 0)
        if waveforms.shape[1] <= half:
            return waveforms.new_zeros(
                len(waveforms), 0, self.dim, dtype=torch.float32
            ), frame_lengths
        # The window lies in the middle of the transform: a frame begins `before` its centre.
        before = half - (config.fft_size - config.window) // 2
        reflected = _reflected(waveforms, lengths, before, config.window - before)
        # In bfloat16 magnitudes would have two digits.
        with torch.autocast(waveforms.device.type, enabled=False):
            frames = reflected.float().unfold(1, config.window, config.hop)
            features = in_pieces(self._magnitudes, frames)
        return within(features, frame_lengths), frame_lengths

    def _magnitudes(self, frames: Tensor) -> Tensor:
        """(..., W) -> (..., D)."""
        # Where in the transform the window lies changes phases, not magnitudes.
        spectrum = torch.fft.rfft(frames * self.window, n=self.config.fft_size)
        power = spectrum.real.square() + spectrum.imag.square()
        magnitudes: Tensor = power.pow(self.config.exponent / 2)
        if not self.config.normalize_frames:
            return magnitudes
        deviation, mean = torch.std_mean(magnitudes, dim=-1, keepdim=True)
        normalised: Tensor = (magnitudes - mean) / (deviation + DEVIATION_FLOOR)
        return normalised


def _reflected(waveforms: Tensor, lengths: Tensor, before: int, after: int) -> Tensor:
    """(B, N) -> (B, before + N + after), each row mirrored at its first and its last sample.

    row    a b c d . . .       (. is padding)
    gives  c b a b c d c b . . .
    """
    place = torch.arange(-before, waveforms.shape[1] + after, device=waveforms.device).abs()
    last = (lengths - 1)[:, None]
    # What lies beyond the mirrored part is read by no frame of the row.
    mirrored = torch.where(place <= last, place, 2 * last - place).clamp(min=0)
    return waveforms.gather(1, mirrored)
