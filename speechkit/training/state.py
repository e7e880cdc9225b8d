"""What a checkpoint holds: where training is, and every tensor it changes."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from torch import Tensor
from torch.optim import Optimizer

from speechkit.recogniser import Recogniser
from speechkit.training.average import RunningAverage


@dataclass(frozen=True)
class Position:
    """Where training is: the next batch, and what decides when it ends."""

    epoch: int = 0
    batch: int = 0
    step: int = 0
    loss_sum: float = 0.0  # of this epoch so far, in nats
    label_sum: int = 0
    best: tuple[float, float] | None = None  # what the best validation had of `train.best_by`
    validations_since_best: int = 0
    bad_batches: int = 0  # in a row

    def stored(self) -> dict[str, Any]:
        """As JSON takes it."""
        return asdict(self)

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> Self:
        """From what `stored` gave."""
        return cls(**{**stored, "best": tuple(stored["best"] or ()) or None})


def tensors_of(
    recogniser: Recogniser, average: RunningAverage, optimizer: Optimizer
) -> dict[str, Tensor]:
    """All that training changes, by name."""
    return {
        **{f"recogniser.{name}": each for name, each in recogniser.state_dict().items()},
        **{f"average.{name}": each for name, each in average.tensors.items()},
        **{
            f"optimizer.{number}.{name}": value
            for number, state in optimizer.state_dict()["state"].items()
            for name, value in state.items()
        },
    }


def put_back(
    tensors: Mapping[str, Tensor],
    recogniser: Recogniser,
    average: RunningAverage,
    optimizer: Optimizer,
) -> None:
    """Give recogniser, average and optimiser the values that `tensors_of` gave."""
    parts: dict[str, dict[str, Tensor]] = {"recogniser": {}, "average": {}, "optimizer": {}}
    for name, tensor in tensors.items():
        part, _, rest = name.partition(".")
        parts[part][rest] = tensor
    recogniser.load_state_dict(parts["recogniser"])
    for name, tensor in average.tensors.items():
        tensor.copy_(parts["average"][name])
    moments: dict[int, dict[str, Tensor]] = {}
    for name, tensor in parts["optimizer"].items():
        number, _, key = name.partition(".")
        moments.setdefault(int(number), {})[key] = tensor
    optimizer.load_state_dict({**optimizer.state_dict(), "state": moments})
