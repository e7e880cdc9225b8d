"""Tempo perturbation of features: frames made more or fewer, as if one spoke slower or faster.

What `speed` is to waveforms, for corpora that hold ready features; but pitch and formants stay, as
sox's effect of that name leaves them. Frames between two others are interpolated linearly.

Axes: B utterances, T frames, D features a frame.
"""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from pydantic import field_validator
from torch import Tensor

from speechkit import Config, Field, length_mask
from speechkit_augment.settings import Range, between


class TempoConfig(Config):
    """Settings of `tempo`."""

    factors: Range = Field((0.9, 1.1), description="slowest and fastest, times as fast")
    probability: float = Field(1.0, ge=0, le=1, description="that an utterance is changed")

    @field_validator("factors")
    @classmethod
    def _possible(cls, factors: tuple[float, float]) -> tuple[float, float]:
        if not 0.25 <= factors[0] <= factors[1] <= 4:
            raise ValueError(f"{factors[0]:g} to {factors[1]:g} is not within 0.25 to 4")
        return factors


class Tempo:
    """At a factor f, T frames become ceil(T / f): frame t is what was at t * f."""

    stage: Literal["waveform", "features"] = "features"

    def __init__(
        self,
        config: TempoConfig,
        *,
        sample_rate: int | None = None,  # noqa: ARG002 - every augmentation is given it
        dim: int | None = None,  # noqa: ARG002 - as above
    ) -> None:
        self.config = config

    def __call__(
        self, values: Tensor, lengths: Tensor, draws: Sequence[np.random.Generator]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(B, T, D), (B,) in frames, B streams -> (B, T', D), (B,), arange(B)."""
        device, rows = values.device, torch.arange(len(draws), device=values.device)
        factors = [self._factor(draw) for draw in draws]
        counts = [math.ceil(size / f) for size, f in zip(lengths.tolist(), factors, strict=True)]
        new_lengths = torch.tensor(counts, dtype=lengths.dtype, device=device)
        longest = max(counts, default=0)
        if not longest:
            return values[:, :0], new_lengths, rows
        frames = torch.arange(longest, dtype=torch.float64, device=device)
        places = frames * torch.tensor(factors, dtype=torch.float64, device=device)[:, None]
        places = places.minimum((lengths - 1).clamp(min=0)[:, None])
        before = places.long()
        after = (before + 1).minimum((lengths - 1).clamp(min=0)[:, None])
        share = (places - before).to(values.dtype)[..., None]
        between_two = torch.lerp(_taken(values, before), _taken(values, after), share)
        mask = length_mask(new_lengths, longest)[..., None]
        return torch.where(mask, between_two, 0.0), new_lengths, rows

    def _factor(self, draw: np.random.Generator) -> float:
        """What an utterance's stream says: two numbers are drawn, whatever comes of them."""
        whether, which = draw.random(2).tolist()
        return 1.0 if whether >= self.config.probability else between(self.config.factors, which)


def _taken(values: Tensor, frames: Tensor) -> Tensor:
    """(B, T, D), (B, T') -> (B, T', D)."""
    return values.gather(1, frames[..., None].expand(-1, -1, values.shape[2]))
