"""Keeps padding out of torchaudio's Conformer, whose weights keep their names.

Its attention masks padding; two of its layers do not know of it. The depthwise convolution reads
past a row's end what the layers before made of padding, and batch normalisation counts padding
among the frames whose mean and variance it takes in training. Axes: B rows, C channels, T frames.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchaudio.models import Conformer


class Mask:
    """(B, 1, T) bool, of the batch that is computed: shared by all layers of a model."""

    def __init__(self) -> None:
        self.frames = torch.ones(1, 1, 1, dtype=torch.bool)


class MaskedConvolution(nn.Conv1d):
    """A convolution that reads 0 past a row's length, as it does past the batch's edge."""

    mask: Mask

    def forward(self, values: Tensor) -> Tensor:
        """(B, C, T) -> (B, C, T)."""
        return super().forward(values.where(self.mask.frames, 0.0))


class MaskedBatchNorm(nn.BatchNorm1d):
    """Batch normalisation by the mean and variance of frames within their rows alone.

    Those it keeps for eval mode are at first the plain average over the batches so far: torch's
    begin at 0 and 1, and after ten batches are still a third that.
    """

    mask: Mask
    num_batches_tracked: Tensor
    momentum: float

    def forward(self, values: Tensor) -> Tensor:
        """(B, C, T) -> (B, C, T)."""
        within = self.mask.frames.squeeze(1).expand(len(values), values.shape[2])
        if not self.training or int(within.sum()) < 2:  # of one frame there is no variance
            return self._normal(values)
        self.num_batches_tracked += 1
        frames = values.transpose(1, 2)
        normal = torch.zeros_like(frames)
        newest = max(self.momentum, 1 / int(self.num_batches_tracked))
        normal[within] = self._normal(frames[within], newest).to(normal.dtype)
        return normal.transpose(1, 2)

    def _normal(self, values: Tensor, newest: float = 0.0) -> Tensor:
        """(B, C, T) or (B, C) by the statistics kept; by its own, where these gain a share."""
        return functional.batch_norm(
            values,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            training=newest > 0,
            momentum=newest,
            eps=self.eps,
        )


def masked(conformer: Conformer, mask: Mask) -> Conformer:
    """The same module, whose convolutions and normalisations heed `mask`.

    Only their classes are others: parameters, buffers and their names stay.
    """
    for module in conformer.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.__class__ = MaskedBatchNorm
        elif isinstance(module, nn.Conv1d) and module.kernel_size != (1,):
            module.__class__ = MaskedConvolution
        else:
            continue
        module.mask = mask
    return conformer
