"""Vocal tract length perturbation: as if a shorter or longer throat had spoken.

Jaitly and Hinton, "Vocal Tract Length Perturbation (VTLP) improves speech recognition", ICML
workshop on deep learning for audio, speech and language processing, 2013: frequencies are stretched
by a factor, up to where the highest ones are squeezed to end where they ended. Here what mel
filters gave is interpolated between them; of cepstra it is a linear map, too (Pitz and Ney, "Vocal
tract normalization equals linear transformation in cepstral space", IEEE TSAP 13(5), 2005), so that
corpora of ready cepstra, of few speakers, get others.

Features reach it normalised. Where each cepstrum was divided by its own deviation, the map is that
of cepstra whose deviations are alike, which liftered ones nearly are.

Axes: B utterances, T frames, D features a frame, M mel filters.
"""

import math
from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import field_validator, model_validator
from torch import Tensor

from speechkit import Config, Field, RecipeError, length_mask
from speechkit_augment.settings import Range, between

Array: TypeAlias = NDArray[np.float64]

_LEAST_WEIGHT = 0.05  # of a liftered cepstrum
_BEND = 0.8  # of the highest frequency: what is above is squeezed to fit


class VTLPConfig(Config):
    """Settings of `vtlp`; filters, limits and lifter are those the features were made with."""

    factors: Range = Field((0.9, 1.1), description="lowest and highest, times the frequency")
    probability: float = Field(1.0, ge=0, le=1, description="that an utterance is changed")
    filters: int | None = Field(
        None,
        gt=1,
        description="mel filters that cepstra, without deltas, were made of; default: the features "
        "are no cepstra but what filters gave, as `log_mel` does",
    )
    low_hertz: float = Field(20.0, ge=0, description="where the lowest filter begins")
    high_hertz: float = Field(8000.0, gt=0, description="where the highest filter ends")
    lifter: int = Field(0, ge=0, description="of the cepstra; 0: none")

    @field_validator("factors")
    @classmethod
    def _possible(cls, factors: tuple[float, float]) -> tuple[float, float]:
        if not 0.5 <= factors[0] <= factors[1] <= 2:
            raise ValueError(f"{factors[0]:g} to {factors[1]:g} is not within 0.5 to 2")
        return factors

    @model_validator(mode="after")
    def _a_band(self) -> "VTLPConfig":
        if self.low_hertz >= self.high_hertz:
            raise ValueError(
                f"low_hertz ({self.low_hertz:g}) must be below high_hertz ({self.high_hertz:g})"
            )
        if self.lifter and not self.filters:
            raise ValueError("lifter is of cepstra: set filters, too, or leave it out")
        return self


class VTLP:
    """Frames times a matrix, one for each utterance."""

    stage: Literal["waveform", "features"] = "features"

    def __init__(
        self,
        config: VTLPConfig,
        *,
        sample_rate: int | None = None,  # noqa: ARG002 - every augmentation is given it
        dim: int,
    ) -> None:
        if config.filters and config.filters < dim:
            raise RecipeError(
                f"{dim} features a frame cannot be cepstra of {config.filters} filters",
                hint="set filters to what the features were made with, and deltas to 0",
            )
        self.config = config
        self.dim = dim
        self._lifter = 1 + config.lifter / 2 * np.sin(
            math.pi * np.arange(dim) / max(1, config.lifter)
        )
        least = int(np.abs(self._lifter).argmin())
        if config.filters and abs(self._lifter[least]) < _LEAST_WEIGHT:
            raise RecipeError(
                f"a lifter of {config.lifter} takes cepstrum {least} away",
                hint="set lifter to what the features were made with; 22 is usual, 0 is none",
            )

    def __call__(
        self, values: Tensor, lengths: Tensor, draws: Sequence[np.random.Generator]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(B, T, D), (B,) in frames, B streams -> (B, T, D), (B,), arange(B)."""
        rows = torch.arange(len(draws), device=values.device)
        maps = [self.map(self._factor(draw)) for draw in draws]
        stacked = np.stack(maps) if maps else np.zeros((0, self.dim, self.dim))
        values = values.where(length_mask(lengths, values.shape[1])[..., None], 0.0)
        mapped = values @ torch.from_numpy(stacked).to(values).transpose(1, 2)
        return mapped, lengths, rows

    def _factor(self, draw: np.random.Generator) -> float:
        """What an utterance's stream says: two numbers are drawn, whatever comes of them."""
        whether, which = draw.random(2).tolist()
        return 1.0 if whether >= self.config.probability else between(self.config.factors, which)

    def map(self, factor: float) -> Array:
        """(D, D): features of a frame to those at `factor` times the frequencies."""
        config = self.config
        if factor == 1:
            return np.eye(self.dim)
        warped = _interpolation(
            config.filters or self.dim, factor, config.low_hertz, config.high_hertz
        )
        if not config.filters:
            return warped
        cosines = _cosines(self.dim, config.filters)
        # Cepstra that are not there were 0: what the map gives is the nearest to the warped frame.
        cepstra: Array = self._lifter[:, None] * (cosines @ warped @ cosines.T) / self._lifter
        return cepstra


def _interpolation(filters: int, factor: float, low: float, high: float) -> Array:
    """(M, M): what filters give to what they would, frequencies times `factor`."""
    lowest, highest = _mel(np.array([low, high]))
    step = (highest - lowest) / (filters + 1)
    centres = lowest + step * np.arange(1, filters + 1)
    # What a filter hears after the change, it heard at this frequency before.
    places = (_mel(_warped(_hertz(centres), 1 / factor, high)) - lowest) / step - 1
    places = places.clip(0, filters - 1)
    below = np.minimum(places.astype(int), filters - 2)
    share = places - below
    weights = np.zeros((filters, filters))
    weights[np.arange(filters), below] = 1 - share
    weights[np.arange(filters), below + 1] += share
    return weights


def _warped(frequencies: Array, factor: float, high: float) -> Array:
    """Hertz times `factor`, and above the bend so much less that the highest stays."""
    bend = _BEND * high * min(factor, 1) / factor
    above = high - (high - bend * factor) / (high - bend) * (high - frequencies)
    warped: Array = np.where(frequencies <= bend, frequencies * factor, above)
    return warped


def _mel(hertz: Array) -> Array:
    mels: Array = 2595 * np.log10(1 + hertz / 700)
    return mels


def _hertz(mel: Array) -> Array:
    return 700 * (10 ** (mel / 2595) - 1)


def _cosines(cepstra: int, filters: int) -> Array:
    """(D, M), the orthonormal DCT-II's first rows."""
    angles = np.outer(np.arange(cepstra), np.arange(filters) + 0.5) * math.pi / filters
    rows: Array = math.sqrt(2 / filters) * np.cos(angles)
    rows[0] /= math.sqrt(2)
    return rows
