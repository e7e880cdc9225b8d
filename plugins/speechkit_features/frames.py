"""Cutting waveforms into frames, and what extractors do with them alike."""

from collections.abc import Callable

import torch
from torch import Tensor

from speechkit import length_mask


def whole_frames(lengths: Tensor, *, window: int, hop: int) -> Tensor:
    """(B,) samples -> (B,) windows that lie whole within each row.

    >>> whole_frames(torch.tensor([399, 400, 559, 560]), window=400, hop=160)
    tensor([0, 1, 1, 2])
    """
    return (lengths - window).div(hop, rounding_mode="floor").add(1).clamp(min=0)


def row_by_row(function: Callable[[Tensor], Tensor], frames: Tensor) -> Tensor:
    """(B, T, W) -> (B, T, D), where each row's (T, W) -> (T, D) is `function`.

    On a CPU this is up to three times as fast as all rows at once: one row's frames stay in the
    processor's cache from step to step. A GPU wants as much as possible at once.
    """
    if frames.device.type == "cpu" and len(frames):
        return torch.stack([function(row) for row in frames])
    return function(frames)


def within(values: Tensor, lengths: Tensor) -> Tensor:
    """(B, T, ...) with zeros past each row's length, whatever was there: NaN, too."""
    outside = ~length_mask(lengths, values.shape[1])
    return values.masked_fill(outside.reshape(outside.shape + (1,) * (values.dim() - 2)), 0.0)
