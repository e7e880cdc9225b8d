"""The processes that train together over torch.distributed: one, unless a launcher started more.

Every process knows the order of all batches, takes its share of each, and adds its gradients to
those of the others. They are added here, not by PyTorch's data-parallel wrapper: a share may be
empty, a layer that is dropped at random is another in each process, and a gradient that no process
has must stay none, as it does in one process.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

import numpy as np
import torch
from accelerate import Accelerator, InitProcessGroupKwargs
from numpy.typing import NDArray
from torch import Tensor, distributed, nn

from speechkit.errors import RunError

if distributed.is_available():
    # Its functions keep, as defaults, the group there is when it is imported. Imported after the
    # group was formed, by whatever part, they would keep it, and its threads, until the process
    # ends: where one then waits for the interpreter the process aborts, with all its work done.
    import torch.distributed.nn.functional

_PATIENCE = timedelta(days=7)  # the first process may prepare or decode for long; a launcher
# notices by itself where one has died

T = TypeVar("T")


class Processes:
    """What a process does together with the others. Every method is called by all of them.

    number  of this process; 0 is the first, which alone writes and prints
    count   of all
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        patience = InitProcessGroupKwargs(timeout=_PATIENCE)
        found = Accelerator(cpu=device.type == "cpu", kwargs_handlers=[patience])
        self.number: int = found.process_index
        self.count: int = found.num_processes

    @property
    def is_first(self) -> bool:
        """Whether this is the one that writes and prints."""
        return self.number == 0

    def share_of(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """This process' share of a batch; alike in length, since a batch is sorted by length."""
        return places[self.number :: self.count]

    def total(self, *values: float) -> list[float]:
        """The sum of each over all processes."""
        if self.count == 1:
            return list(values)
        summed = torch.tensor(values, dtype=torch.float64, device=self._device)
        with _telling_of_the_lost():
            distributed.all_reduce(summed)
        given: list[float] = summed.tolist()
        return given

    @torch.no_grad()
    def total_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Make each gradient the sum over all processes; none where none has one."""
        if self.count == 1:
            return
        kinds: dict[torch.dtype, list[nn.Parameter]] = {}
        for each in parameters:
            kinds.setdefault(each.dtype, []).append(each)
        for same in kinds.values():
            reached = same[0].new_tensor([each.grad is not None for each in same])
            gradients = [
                (torch.zeros_like(each) if each.grad is None else each.grad).flatten()
                for each in same
            ]
            flat = torch.cat([*gradients, reached])
            with _telling_of_the_lost():
                distributed.all_reduce(flat)
            *sums, reached = torch.split(flat, [*map(len, gradients), len(same)])
            for each, summed, count in zip(same, sums, reached.tolist(), strict=True):
                each.grad = summed.view_as(each) if count else None

    def gathered(self, value: T) -> list[T]:
        """What each process has, in the order of their numbers."""
        if self.count == 1:
            return [value]
        values: list[T | None] = [None] * self.count
        with _telling_of_the_lost():
            distributed.all_gather_object(values, value)
        return [each for each in values if each is not None]

    def of_the_first(self, value: T) -> T:
        """What the first process has."""
        if self.count == 1:
            return value
        values = [value]
        with _telling_of_the_lost():
            distributed.broadcast_object_list(values, src=0)
        return values[0]

    @torch.no_grad()
    def copy_from_the_first(self, tensors: Iterable[Tensor]) -> None:
        """Give each tensor the first process' values."""
        if self.count > 1:
            with _telling_of_the_lost():
                for each in tensors:
                    distributed.broadcast(each, src=0)

    def part(self) -> None:
        """End what they do together."""
        if self.count > 1:
            distributed.destroy_process_group()


@contextmanager
def _telling_of_the_lost() -> Iterator[None]:
    """While inside, a process that has left is told as what it is.

    Raises:
        RunError: one has.
    """
    try:
        yield
    except RuntimeError as error:  # gloo has no kind of error of its own
        if not isinstance(error, distributed.DistError) and "onnection" not in str(error):
            raise
        raise RunError(
            f"another of the processes that train together has ended: {error}",
            hint="if it said nothing above it was killed, as for want of memory; the same command "
            "goes on from the last checkpoint",
        ) from error
