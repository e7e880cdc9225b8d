"""A bidirectional LSTM in which padding never changes a row, without packed sequences.

On a CPU PyTorch's packed sequences make an LSTM several times slower than a plain one. So each
direction is a plain LSTM here, and the backward one reads rows reversed within their lengths:

    row          a b c . .        forward reads it so; what it makes of the padding is dropped
    reversed     c b a . .        backward reads it so, and its output is reversed again

which gives what packing gives (Hochreiter and Schmidhuber, 1997; Graves and Schmidhuber, 2005).
"""

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx

from speechkit.ctc import length_mask
from speechkit.dropout import Dropout


class BidirectionalLSTM(nn.Module):
    """Layers of LSTMs that read both ways: (B, T, D) to (B, T, 2 * units).

    Its parameters are as many as those of `nn.LSTM(..., bidirectional=True)`.
    """

    def __init__(self, inputs: int, units: int, *, layers: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.units = units
        sizes = [inputs, *[2 * units] * (layers - 1)]
        self.ahead = nn.ModuleList(nn.LSTM(size, units, batch_first=True) for size in sizes)
        self.back = nn.ModuleList(nn.LSTM(size, units, batch_first=True) for size in sizes)
        self.dropout = Dropout(dropout)

    def forward(self, values: Tensor, lengths: Tensor) -> Tensor:
        """(B, T, D), (B,) -> (B, T, 2 * units), 0 past a row's length; dropout between layers."""
        if not values.shape[1]:
            return values.new_zeros(len(values), 0, 2 * self.units)
        mask = length_mask(lengths, values.shape[1])[..., None]
        turn = _reversal(lengths, values.shape[1])
        for number, (ahead, back) in enumerate(zip(self.ahead, self.back, strict=True)):
            if number:
                values = self.dropout(values)
            forward, _ = ahead(values)
            backward, _ = back(_turned(values, turn))
            values = torch.cat([forward, _turned(backward, turn)], dim=-1)
            values = torch.where(mask, values, 0.0)
        return values


def _reversal(lengths: Tensor, size: int) -> Tensor:
    """(B,) -> (B, size): where each place goes; [3], 5 -> [[2, 1, 0, 3, 4]]."""
    places = torch.arange(size, device=lengths.device).expand(len(lengths), size)
    return torch.where(places < lengths[:, None], lengths[:, None] - 1 - places, places)


class _Turned(torch.autograd.Function):
    """Rows with each frame at another place.

    `gather` alone would do, but its gradient is a scatter, which adds up: slow, and not needed
    here, since a reversal undone is the same reversal.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, values: Tensor, places: Tensor) -> Tensor:
        ctx.save_for_backward(places)
        return values.gather(1, places[..., None].expand_as(values))

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor, None]:
        (places,) = ctx.saved_tensors  # type: ignore[attr-defined]
        return _turned(gradient, places), None


def _turned(values: Tensor, places: Tensor) -> Tensor:
    """(B, T, D), (B, T) of `_reversal` -> (B, T, D)."""
    turned: Tensor = _Turned.apply(values, places)  # type: ignore[no-untyped-call]
    return turned
