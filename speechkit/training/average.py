"""A running average of the weights: what is validated and kept.

Polyak and Juditsky, 1992; as an exponential average in Tarvainen and Valpola, 2017.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class RunningAverage:
    """An exponential average of a module's parameters; buffers are taken as they are."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self._live = dict(module.named_parameters())
        self.tensors = {name: each.detach().clone() for name, each in self._live.items()}

    @torch.no_grad()
    def update(self) -> None:
        """Take the parameters' present values in; the first ones count less long."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        for name, average in self.tensors.items():
            average.lerp_(self._live[name], 1 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """While inside, the module computes with the average."""
        kept: dict[str, Tensor] = {name: each.detach().clone() for name, each in self._live.items()}
        self._assign(self.tensors)
        try:
            yield
        finally:
            self._assign(kept)

    @torch.no_grad()
    def _assign(self, tensors: dict[str, Tensor]) -> None:
        for name, each in self._live.items():
            each.copy_(tensors[name])
