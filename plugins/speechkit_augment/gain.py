"""Speech made louder or softer."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from speechkit import Config, Field
from speechkit_augment.mixing import silenced
from speechkit_augment.settings import Range, between


class GainConfig(Config):
    """Settings of `gain`."""

    gain_db: Range = Field((-20.0, 0.0), description="lowest and highest, decibels")
    probability: float = Field(1.0, ge=0, le=1, description="that an utterance is changed")


class Gain:
    """Scales an utterance; what leaves [-1, 1] by it is clipped, as in a recording set too loud."""

    stage: Literal["waveform", "features"] = "waveform"

    def __init__(
        self,
        config: GainConfig,
        *,
        sample_rate: int | None = None,  # noqa: ARG002 - every augmentation is given it
        dim: int | None = None,  # noqa: ARG002 - as above
    ) -> None:
        self.config = config

    def __call__(
        self, values: Tensor, lengths: Tensor, draws: Sequence[np.random.Generator]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(B, N), (B,) in samples, B streams -> the same shape, the same lengths, arange(B)."""
        gains = torch.tensor([self._gain(draw) for draw in draws], device=values.device)
        louder = values * gains.to(values.dtype)[:, None]
        # What is beyond full scale already, and made no louder, stays.
        limit = values.abs().clamp(min=1.0)
        clipped = torch.clamp(louder, -limit, limit)
        return silenced(clipped, lengths), lengths, torch.arange(len(values), device=values.device)

    def _gain(self, draw: np.random.Generator) -> float:
        """What an utterance's stream says: two numbers are drawn, whatever comes of them."""
        whether, how_much = draw.random(2).tolist()
        if whether >= self.config.probability:
            return 1.0
        return float(10 ** (between(self.config.gain_db, how_much) / 20))
