"""A model and what it learns with: a step's batches in, changed weights out.

A step's gradient is that of the mean loss over the labels of all its batches, in all processes that
train together: it does not depend on how utterances are split into batches and over processes.
"""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from speechkit.data.batches import Batch
from speechkit.device import use_bf16
from speechkit.errors import DataError, RunError
from speechkit.recogniser import Recogniser
from speechkit.settings import TrainSettings
from speechkit.training.augment import Chain
from speechkit.training.average import RunningAverage
from speechkit.training.processes import Processes

_PROCESS = 2**53  # from one process' seeds to the next: more than any seed and step make


@dataclass(frozen=True)
class Ready:
    """Features of a batch, augmented where it trains, and its labels: what the model's loss takes.

    Shape: (B, T, D), (B,) frames, (B, U), (B,), B names.
    """

    features: Tensor
    frames: Tensor
    labels: Tensor
    label_lengths: Tensor
    ids: Sequence[str]


@dataclass(frozen=True)
class Learnt:
    """What a step gave, over all batches and processes.

    sums    of the model's losses, by name, in nats; "loss" is what it learns from
    labels  how many they are of
    norm    of the gradient, before it was clipped
    strange utterances to name where loss or gradient are not finite
    """

    sums: Mapping[str, float]
    labels: int
    norm: float
    strange: Sequence[str]

    @property
    def is_finite(self) -> bool:
        """Whether it was learnt from; else the weights are what they were."""
        return bool(np.isfinite(self.sums["loss"]) and np.isfinite(self.norm))


class Learner:
    """A recogniser, its optimiser and the average of its weights."""

    def __init__(
        self,
        recogniser: Recogniser,
        chain: Chain,
        settings: TrainSettings,
        *,
        seed: int,
        device: torch.device,
        processes: Processes,
    ) -> None:
        self.recogniser = recogniser.to(device)
        self.chain = chain
        self.seed = seed
        self.device = device
        self.processes = processes
        self.bf16 = use_bf16(settings.precision, device)
        self.average = RunningAverage(recogniser.model, settings.average)
        self.optimizer = torch.optim.AdamW(
            _groups(recogniser.model, settings.weight_decay),
            lr=settings.learning_rate,
            betas=settings.betas,
            fused=True,
        )
        self._clip_norm = settings.clip_norm

    def learn(self, batches: Sequence[Batch], *, epoch: int, step: int, rate: float) -> Learnt:
        """Take one step from this process' shares of its batches."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        draws = self.seed * 1_000_003 + step  # dropout: of (seed, step, process)
        torch.manual_seed(draws + self.processes.number * _PROCESS)
        self.recogniser.train()
        ready = [self.ready(batch, epoch) for batch in batches]
        labels = self._label_count(ready)
        self.optimizer.zero_grad()
        told = [self._add_gradient(each, labels) for each in ready]
        parameters = list(self.recogniser.model.parameters())
        self.processes.total_gradients(parameters)
        norm = float(nn.utils.clip_grad_norm_(parameters, self._clip_norm))
        sums: dict[str, float] = {}
        strange: list[str] = []
        for losses, ids in (each for given in self.processes.gathered(told) for each in given):
            for name, value in losses.items():
                sums[name] = sums.get(name, 0.0) + value
            strange += ids
        learnt = Learnt(sums, labels, norm, strange or [id_ for each in ready for id_ in each.ids])
        if learnt.is_finite:
            self.optimizer.step()
            self.average.update()
        return learnt

    def ready(self, batch: Batch, epoch: int) -> Ready:
        """A batch's features, augmented."""
        ids = list(batch.ids)
        values, lengths, rows = batch.values, batch.lengths, torch.arange(len(ids))
        if values.dim() == 2:
            values, lengths, rows = self.chain.apply("waveform", values, lengths, ids, epoch=epoch)
        features, frames, _ = self.recogniser.features(values, lengths)
        features, frames, again = self.chain.apply(
            "features", features, frames, [ids[row] for row in rows.tolist()], epoch=epoch
        )
        rows = rows[again]
        chosen = rows.to(self.device)
        named = [ids[row] for row in rows.tolist()]
        return Ready(features, frames, batch.labels[chosen], batch.label_lengths[chosen], named)

    def losses(self, ready: Ready) -> dict[str, Tensor]:
        """What the model's `loss` gives: by name, a number for each utterance."""
        with torch.autocast(self.device.type, torch.bfloat16) if self.bf16 else nullcontext():
            losses: dict[str, Tensor] = self.recogniser.model.loss(  # type: ignore[operator]
                ready.features, ready.frames, ready.labels, ready.label_lengths
            )
        return losses

    def _label_count(self, ready: Sequence[Ready]) -> int:
        """Labels of all batches of a step in all processes: what their losses are divided by."""
        (count,) = self.processes.total(sum(int(each.label_lengths.sum()) for each in ready))
        return int(count)

    def _add_gradient(self, ready: Ready, labels: int) -> tuple[dict[str, float], list[str]]:
        """Add a batch's gradient; gives the sums of its losses, and whose are not finite."""
        losses = self.losses(ready)
        (losses["loss"].sum() / max(1, labels)).backward()  # type: ignore[no-untyped-call]
        sums = {name: float(each.detach().sum()) for name, each in losses.items()}
        return sums, [] if np.isfinite(sums["loss"]) else _not_finite(losses, ready.ids)

    def check(self, batch: Batch) -> list[str]:
        """Before the first step: give the parameters that no gradient reaches.

        Raises:
            RunError: the model does not give a loss for each utterance.
            DataError: a loss is not finite.
        """
        self.recogniser.train()
        ready = self.ready(batch, 0)
        losses = self.losses(ready)
        if losses["loss"].shape != ready.label_lengths.shape:
            raise RunError(
                f"the model's loss has the shape {tuple(losses['loss'].shape)}, not one number "
                f"for each of {len(ready.ids)} utterances",
                hint='give {"loss": (B,)}: ctc_loss() does',
            )
        total = losses["loss"].sum()
        if not torch.isfinite(total):
            bad = _not_finite(losses, ready.ids)
            raise DataError(f"the first loss is not finite with {', '.join(bad[:4])}")
        self.optimizer.zero_grad()
        total.backward()  # type: ignore[no-untyped-call]
        unreached = [
            name
            for name, each in self.recogniser.model.named_parameters()
            if each.requires_grad and each.grad is None
        ]
        self.optimizer.zero_grad()
        return unreached

    # ---- for checkpoints

    def tensors(self) -> dict[str, Tensor]:
        """All that learning changes, by name; the number of steps averaged is `average.updates`."""
        return {
            **{f"recogniser.{name}": each for name, each in self.recogniser.state_dict().items()},
            **{f"average.{name}": each for name, each in self.average.tensors.items()},
            **{
                f"optimizer.{number}.{name}": value
                for number, state in self.optimizer.state_dict()["state"].items()
                for name, value in state.items()
            },
        }

    def put_back(self, tensors: Mapping[str, Tensor], *, updates: int) -> None:
        """Become what `tensors` and `average.updates` were taken from."""
        parts: dict[str, dict[str, Tensor]] = {"recogniser": {}, "average": {}, "optimizer": {}}
        for name, tensor in tensors.items():
            part, _, rest = name.partition(".")
            parts[part][rest] = tensor
        self.recogniser.load_state_dict(parts["recogniser"])
        for name, tensor in self.average.tensors.items():
            tensor.copy_(parts["average"][name])
        self.average.updates = updates
        moments: dict[int, dict[str, Tensor]] = {}
        for name, tensor in parts["optimizer"].items():
            number, _, key = name.partition(".")
            moments.setdefault(int(number), {})[key] = tensor
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": moments})


def _groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Matrices decay; biases, gains of norms and other vectors do not."""
    parameters = [each for each in model.parameters() if each.requires_grad]
    return [
        {"params": [each for each in parameters if each.dim() > 1], "weight_decay": weight_decay},
        {"params": [each for each in parameters if each.dim() <= 1], "weight_decay": 0.0},
    ]


def _not_finite(losses: Mapping[str, Tensor], ids: Sequence[str]) -> list[str]:
    """The utterances whose loss is not finite."""
    finite = torch.isfinite(losses["loss"].detach()).tolist()
    return [each for each, good in zip(ids, finite, strict=True) if not good]
