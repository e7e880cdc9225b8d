"""Dropout whose random numbers do not cost more than the network."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class Dropout(nn.Module):
    """Zeroes elements with chance `rate` while training, and scales the others (Srivastava, 2014).

    `nn.Dropout` on a CPU draws a number for each element, in one thread: a tenth of a training
    step. Here each takes 8 random bits, which rounds the rate to a multiple of 1/256.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, values: Tensor) -> Tensor:
        """Any shape -> the same."""
        if values.device.type != "cpu" or not (self.training and self.rate):
            return functional.dropout(values, self.rate, self.training)
        dropped = round(self.rate * 256)
        drawn = torch.empty(-(-values.numel() // 8), dtype=torch.int64).random_(-(2**63), None)
        kept = drawn.view(torch.uint8)[: values.numel()].view(values.shape) >= dropped
        return values * kept.to(values.dtype).mul_(256 / (256 - dropped))

    def extra_repr(self) -> str:
        """For `print(model)`."""
        return f"rate={self.rate}"
