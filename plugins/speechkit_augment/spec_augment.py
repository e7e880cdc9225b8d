"""SpecAugment: bands of features and stretches of frames are set to zero.

Park et al., "SpecAugment: A Simple Data Augmentation Method for Automatic Speech Recognition",
Interspeech 2019, section 2; the limit of a time mask as a share of the utterance is from Park et
al., "SpecAugment on Large Scale Datasets", ICASSP 2020. Time warping is left out: the paper finds
it the least of the three and the most expensive (its section 5).

Axes: B utterances, T frames, D features a frame, M masks.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from speechkit import Config, Field, RecipeError, length_mask


class SpecAugmentConfig(Config):
    """Settings of `spec_augment`."""

    frequency_masks: int = Field(2, ge=0, description="bands masked in an utterance")
    frequency_mask_width: int = Field(27, ge=0, description="features in a band, at most")
    time_masks: int = Field(2, ge=0, description="stretches masked in an utterance")
    time_mask_width: int = Field(100, ge=0, description="frames in a stretch, at most")
    time_mask_share: float = Field(
        0.2, ge=0, le=1, description="of the utterance's frames in a stretch, at most"
    )
    probability: float = Field(1.0, ge=0, le=1, description="that an utterance is masked at all")
    views: int = Field(
        1,
        gt=0,
        description="copies of each utterance, each with masks of its own: what a model "
        "that compares two of them, such as `n2` with `consistency`, learns from",
    )


class SpecAugment:
    """Masks bands and stretches; what is masked becomes 0, the mean of normalised features.

    A mask's width is drawn evenly from 0 to the limit, its place evenly from where it fits; masks
    may overlap. With several views the first ones of all utterances come first, then the second.
    """

    stage: Literal["waveform", "features"] = "features"

    def __init__(
        self,
        config: SpecAugmentConfig,
        *,
        sample_rate: int | None = None,  # noqa: ARG002 - every augmentation is given it
        dim: int,
    ) -> None:
        if config.frequency_masks and config.frequency_mask_width > dim:
            raise RecipeError(
                f"frequency_mask_width {config.frequency_mask_width} is more than the {dim} "
                "features of a frame",
                hint=f"set it to {max(1, dim // 3)} or so, or frequency_masks = 0",
            )
        self.config = config
        self.dim = dim

    def __call__(
        self, values: Tensor, lengths: Tensor, draws: Sequence[np.random.Generator]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(B, T, D), (B,) in frames, B streams -> (W B, T, D), (W B,), arange(B) W times."""
        config = self.config
        masks = config.frequency_masks + config.time_masks
        # A fixed number a row: once whether, then for each mask how wide and where.
        drawn = np.array(
            [draw.random(1 + 2 * masks) for _ in range(config.views) for draw in draws]
        ).reshape(config.views * len(draws), 1 + 2 * masks)
        sources = torch.arange(len(draws), device=values.device).repeat(config.views)
        values, lengths = values.repeat(config.views, 1, 1), lengths.repeat(config.views)
        applied = drawn[:, 0] < config.probability
        wide, where = drawn[:, 1 : 1 + masks], drawn[:, 1 + masks :]

        frames = lengths.cpu().numpy()
        widest = np.minimum(config.time_mask_width, (config.time_mask_share * frames).astype(int))
        size = np.empty((len(drawn), masks), dtype=np.int64)
        size[:, : config.frequency_masks] = self.dim
        size[:, config.frequency_masks :] = frames[:, None]
        limit = np.empty_like(size)
        limit[:, : config.frequency_masks] = config.frequency_mask_width
        limit[:, config.frequency_masks :] = widest[:, None]
        width = np.floor(wide * (limit + 1)).astype(np.int64) * applied[:, None]
        start = np.floor(where * (size - width + 1)).astype(np.int64)

        bands = slice(0, config.frequency_masks)
        stretches = slice(config.frequency_masks, masks)
        device = values.device
        hidden = (
            _covered(start[:, bands], width[:, bands], values.shape[2], device)[:, None, :]
            | _covered(start[:, stretches], width[:, stretches], values.shape[1], device)[
                :, :, None
            ]
            | ~length_mask(lengths, values.shape[1])[:, :, None]
        )
        return values.masked_fill(hidden, 0.0), lengths, sources


def _covered(
    start: NDArray[np.int64], width: NDArray[np.int64], size: int, device: torch.device
) -> Tensor:
    """(B, M) masks along an axis -> (B, size) bool, true where any of them lies."""
    begin = torch.from_numpy(start).to(device)[:, :, None]
    end = torch.from_numpy(start + width).to(device)[:, :, None]
    places = torch.arange(size, device=device)
    return ((begin <= places) & (places < end)).any(dim=1)
