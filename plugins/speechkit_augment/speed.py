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
        rows_at = {ratio: [i for i, each in enumerate(ratios) if each == ratio] for ratio in ratios}
        changed = {
            ratio: (
                torch.tensor(rows, device=values.device),
                *_changed(values[rows], lengths[rows], ratio),
            )
            for ratio, rows in rows_at.items()
        }
        new_lengths = torch.empty_like(lengths)
        for rows, _, row_lengths in changed.values():
            new_lengths[rows] = row_lengths
        size = max((each.shape[1] for _, each, _ in changed.values()), default=0)
        result = values.new_zeros(len(values), size)
        for rows, faster, _ in changed.values():
            result[rows, : faster.shape[1]] = faster
        return result, new_lengths, torch.arange(len(values), device=values.device)

    def _ratio(self, draw: np.random.Generator) -> Fraction:
        """What an utterance's stream says: two numbers are drawn, whatever comes of them."""
        whether, which = draw.random(2)
        if whether >= self.config.probability:
            return Fraction(1)
        return self.ratios[int(which * len(self.ratios))]


def _changed(values: Tensor, lengths: Tensor, ratio: Fraction) -> tuple[Tensor, Tensor]:
    """(B, N), (B,) -> (B, N'), (B,), all at one speed; zero past the new lengths."""
    # The filter reaches over a row's end: what lies there is silence, as for a row alone.
    values = values.masked_fill(~length_mask(lengths, values.shape[1]), 0.0)
    if ratio == 1:
        return values, lengths
    new_lengths = -(-lengths * ratio.denominator // ratio.numerator)
    faster = torchaudio.functional.resample(values, ratio.numerator, ratio.denominator)
    size = int(new_lengths.max())
    return faster[:, :size].masked_fill(~length_mask(new_lengths, size), 0.0), new_lengths
