"""Speed perturbation: speech played faster or slower, its pitch changing with it.

Ko et al., "Audio Augmentation for Speech Recognition", Interspeech 2015: three copies of the data
at 0.9, 1 and 1.1 of the speed. Here an utterance gets one of the factors every time it is used.
"""

from collections.abc import Sequence
from fractions import Fraction
from typing import Literal

import numpy as np
import torch
import torchaudio
from pydantic import field_validator
from torch import Tensor

from speechkit import Config, Field, length_mask

LARGEST_DENOMINATOR = 100


class SpeedConfig(Config):
    """Settings of `speed`."""

    factors: list[float] = Field(
        [0.9, 1.0, 1.1], min_length=1, description="speeds, one of which an utterance gets"
    )
    probability: float = Field(1.0, ge=0, le=1, description="that an utterance gets one at all")

    @field_validator("factors")
    @classmethod
    def _small_ratios(cls, factors: list[float]) -> list[float]:
        """Resampling takes a filter for each sample of the ratio's period."""
        for factor in factors:
            if not 0.25 <= factor <= 4:
                raise ValueError(f"{factor:g} is no speed from 0.25 to 4")
            if abs(_ratio(factor) - factor) > 1e-9:
                raise ValueError(f"{factor} has more than two decimals")
        return factors


def _ratio(factor: float) -> Fraction:
    """The factor as a ratio of small integers: 0.9 is 9/10."""
    return Fraction(factor).limit_denominator(LARGEST_DENOMINATOR)


class Speed:
    """Resamples, and keeps the sample rate: at factor 9/10, N samples become ceil(N * 10 / 9)."""

    stage: Literal["waveform", "features"] = "waveform"

    def __init__(
        self,
        config: SpeedConfig,
        *,
        sample_rate: int | None = None,  # noqa: ARG002 - every augmentation is given it
        dim: int | None = None,  # noqa: ARG002 - as above
    ) -> None:
        self.config = config
        self.ratios = [_ratio(factor) for factor in config.factors]

    def __call__(
        self, values: Tensor, lengths: Tensor, draws: Sequence[np.random.Generator]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(B, N), (B,) in samples, B streams -> (B, N'), (B,), arange(B); N' is the longest."""
        ratios = [self._ratio(draw) for draw in draws]
        device = values.device
        more = torch.tensor([ratio.denominator for ratio in ratios], device=device)
        less = torch.tensor([ratio.numerator for ratio in ratios], device=device)
        new_lengths = -(-lengths * more // less)  # rounded up
        result = values.new_zeros(len(values), int(new_lengths.max()))
        # The filter reaches over a row's end: what lies there is silence, as for a row alone.
        values = values.masked_fill(~length_mask(lengths, values.shape[1]), 0.0)
        for ratio in sorted(set(ratios)):
            rows = torch.tensor([i for i, each in enumerate(ratios) if each == ratio])
            faster = _resampled(values[rows.to(device)], ratio)[:, : result.shape[1]]
            result[rows.to(device), : faster.shape[1]] = faster
        result = result.masked_fill(~length_mask(new_lengths, result.shape[1]), 0.0)
        return result, new_lengths, torch.arange(len(values), device=device)

    def _ratio(self, draw: np.random.Generator) -> Fraction:
        """What an utterance's stream says: two numbers are drawn, whatever comes of them."""
        whether, which = draw.random(2)
        if whether >= self.config.probability:
            return Fraction(1)
        return self.ratios[int(which * len(self.ratios))]


def _resampled(values: Tensor, ratio: Fraction) -> Tensor:
    """(B, N) -> (B, ceil(N / ratio)), all at one speed."""
    if ratio == 1 or not values.shape[1]:
        return values
    faster: Tensor = torchaudio.functional.resample(values, ratio.numerator, ratio.denominator)
    return faster
