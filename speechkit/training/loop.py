"""The training loop: batches to weights, with validation and checkpoints.

Where training is (`Position`) is a function of nothing but what was trained so far, and every
random number is one of where it is drawn: the order of batches of (seed, epoch), augmentation of
(seed, epoch, utterance, place), dropout of (seed, step). So a resumed training takes the steps
that the one which was stopped would have taken.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from torch import Tensor, nn

from speechkit.data.batches import Batch, make_batch, ordered_batches
from speechkit.data.store import Store
from speechkit.device import use_bf16
from speechkit.errors import DataError, DeviceError, RunError
from speechkit.interfaces import Decoder
from speechkit.recogniser import Recogniser, fit_normalizer, load_weights
from speechkit.reporter import Reporter
from speechkit.scoring.edits import character_edits, word_edits
from speechkit.settings import TrainSettings
from speechkit.training.augment import Chain
from speechkit.training.average import RunningAverage
from speechkit.training.checkpoint import load_checkpoint, save_checkpoint
from speechkit.training.curriculum import batches_of
from speechkit.training.metrics import Metrics
from speechkit.training.schedule import learning_rate_factor

_BAD_BATCHES = 20  # in a row, whose loss is not finite, end the training
_EXAMPLES = 3  # utterances shown beside their targets at each validation


@dataclass(frozen=True)
class Examples:
    """A store, its texts under the rules, their labels, and which of it is used."""

    store: Store
    texts: Sequence[str]
    labels: Sequence[Sequence[int]]
    chosen: NDArray[np.int64]

    @property
    def seconds(self) -> NDArray[np.float64]:
        """(chosen,) how long each lasts."""
        return self.store.seconds[self.chosen]

    @property
    def label_counts(self) -> NDArray[np.int64]:
        """(chosen,) how many labels each has."""
        return np.array([len(self.labels[index]) for index in self.chosen], np.int64)

    def batch(self, places: NDArray[np.int64]) -> Batch:
        """The utterances at `places` of `chosen`."""
        return make_batch(self.store, self.chosen[places].tolist(), self.labels)


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


@dataclass(frozen=True)
class Validation:
    """How well the model does on the validation part."""

    loss: float  # nats a label
    wer: float
    cer: float
    shown: tuple[tuple[str, str], ...]  # reference and hypothesis of some utterances


@dataclass
class Training:
    """A training, from where its folder says it is to its end.

    recogniser  on its device; holds the best weights when training has ended
    train       what to learn
    validation  what to choose the best weights by; None: the last are kept
    chain       augmentations
    decoder     of validations
    folder      the run's: model.safetensors, checkpoints/, metrics.jsonl, tensorboard/
    """

    recogniser: Recogniser
    train: Examples
    validation: Examples | None
    chain: Chain
    decoder: Decoder
    settings: TrainSettings
    seed: int
    folder: Path
    device: torch.device
    reporter: Reporter
    position: Position = field(default_factory=Position, init=False)

    def __post_init__(self) -> None:
        self.bf16 = use_bf16(self.settings.precision, self.device)
        self.accelerator = Accelerator(cpu=self.device.type == "cpu")
        self.recogniser.to(self.device)
        self.average = RunningAverage(self.recogniser.model, self.settings.average)
        self.optimizer = torch.optim.AdamW(
            _groups(self.recogniser.model, self.settings.weight_decay),
            lr=self.settings.learning_rate,
            betas=self.settings.betas,
            fused=True,
        )
        self.stepper = self.accelerator.prepare_model(
            _Loss(self.recogniser.model, self.device, bf16=self.bf16),
            device_placement=False,  # it is on its device; accelerate remembers its first one
        )

    def run(self) -> None:
        """Train to the end; write the best weights to model.safetensors."""
        if not self._resume():
            self._begin()
        with Metrics(self.folder, self.position.step) as metrics:
            while self.position.epoch < self.settings.epochs and not self._out_of_patience():
                self._epoch(metrics)
        best = self.folder / "checkpoints" / "best.safetensors"
        if self.position.best is None:
            with self.average.applied():
                self.recogniser.save(best)
        load_weights(self.recogniser, best)
        self.recogniser.save(self.folder / "model.safetensors")

    def _begin(self) -> None:
        shortest = int(self.train.label_counts.min())
        for lesson in self.settings.curriculum:
            if lesson.max_labels < shortest:
                raise DataError(
                    f"a lesson of train.curriculum takes transcripts of {lesson.max_labels} labels "
                    f"at most; the shortest has {shortest}",
                    hint="raise its max_labels, or leave it out",
                )
        if self.recogniser.normalizer.kind == "global":
            fit_normalizer(self.recogniser, self._passes(self.train))
        self._check_gradients()

    def _passes(self, examples: Examples) -> Iterator[Batch]:
        for places in ordered_batches(examples.seconds, self.settings.batch_seconds):
            yield examples.batch(places).to(self.device)

    # ---- an epoch

    def _epoch(self, metrics: Metrics) -> None:
        epoch = self.position.epoch
        batches = batches_of(
            epoch, self.settings, self.train.seconds, self.train.label_counts, seed=self.seed
        )
        began, waited, padding, seconds = time.monotonic(), 0.0, 0.0, 0.0
        saved = began
        first = self.position.batch
        with self.reporter.progress(f"epoch {epoch + 1}/{self.settings.epochs}") as advance:
            arriving = _ahead(self.train.batch, batches[first:])
            for number in range(first, len(batches)):
                asked = time.monotonic()
                batch = next(arriving)
                waited += time.monotonic() - asked
                padding += batch.padding
                seconds += float(self.train.seconds[batches[number]].sum())
                done = (epoch + number / len(batches)) / self.settings.epochs
                shown = self._step(batch.to(self.device), done, metrics)
                self.position = replace(self.position, batch=number + 1)
                advance(number + 1, len(batches), shown)
                due = time.monotonic() - saved > 60 * self.settings.checkpoint_minutes
                if due and number + 1 < len(batches):  # after the last one there is more to do
                    self._save()
                    saved = time.monotonic()
        took = time.monotonic() - began
        steps = max(1, len(batches) - first)
        loss = self.position.loss_sum / max(1, self.position.label_sum)
        line = f"epoch {epoch + 1:3}  loss {loss:.3f}"
        last = epoch + 1 == self.settings.epochs
        if self.validation and (last or (epoch + 1) % self.settings.validate_every == 0):
            line += self._validate(metrics)
        line += (
            f"  {seconds / took:.0f} s of speech a second, {padding / steps:.1%} padding, "
            f"{waited / took:.1%} waiting for data"
        )
        self.reporter.say(line)
        metrics.log("epoch", self.position.step, {"epoch": epoch + 1, "loss": loss})
        metrics.log(
            "efficiency",
            self.position.step,
            {"speed": seconds / took, "padding": padding / steps, "waiting": waited / took},
        )
        self.position = replace(self.position, epoch=epoch + 1, batch=0, loss_sum=0.0, label_sum=0)
        self._save()

    def _step(self, batch: Batch, done: float, metrics: Metrics) -> str:
        """Learn from a batch; gives a word on how it went."""
        position = self.position
        rate = self.settings.learning_rate * learning_rate_factor(
            self.settings.schedule, done, self.settings.warmup
        )
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        torch.manual_seed(self.seed * 1_000_003 + position.step)  # dropout: of (seed, step)
        self.recogniser.train()
        with self._telling_of_memory(batch):
            losses, labels, ids = self._losses(batch, position.epoch)
            total, count = losses["loss"].sum(), int(labels.sum())
            self.optimizer.zero_grad()
            self.accelerator.backward(total / max(1, count))
        norm = float(
            nn.utils.clip_grad_norm_(self.recogniser.model.parameters(), self.settings.clip_norm)
        )
        value = float(total.detach())
        if not np.isfinite(value) or not np.isfinite(norm):
            self._bad_batch(losses["loss"], ids)
            return "a loss that is not finite"
        self.optimizer.step()
        self.average.update()
        loss = value / max(1, count)
        self.position = replace(
            position,
            step=position.step + 1,
            loss_sum=position.loss_sum + value,
            label_sum=position.label_sum + count,
            bad_batches=0,
        )
        parts = {name: float(each.detach().sum()) / max(1, count) for name, each in losses.items()}
        shown = {"epoch": position.epoch, **parts, "learning_rate": rate, "gradient_norm": norm}
        metrics.log("train", self.position.step, shown)
        return f"loss {loss:.3f}"

    def _losses(self, batch: Batch, epoch: int) -> tuple[dict[str, Tensor], Tensor, list[str]]:
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
        labels, label_lengths = batch.labels[chosen], batch.label_lengths[chosen]
        losses = self.stepper(features, frames, labels, label_lengths)
        return losses, label_lengths, [ids[row] for row in rows.tolist()]

    @contextmanager
    def _telling_of_memory(self, batch: Batch) -> Iterator[None]:
        try:
            yield
        except torch.OutOfMemoryError as error:
            longest = float(self.train.seconds.max())
            raise DeviceError(
                f"out of memory on {self.device} with a batch of {len(batch.ids)} utterances, "
                f"{', '.join(batch.ids[:3])}, ...",
                hint=f"lower train.batch_seconds ({self.settings.batch_seconds:g}) or "
                f"train.max_seconds (the longest utterance lasts {longest:.1f} s)",
            ) from error

    def _bad_batch(self, losses: Tensor, ids: Sequence[str]) -> None:
        """Leave a batch out whose loss or gradient is not finite; stop after too many."""
        finite = torch.isfinite(losses.detach()).tolist()
        named = [each for each, good in zip(ids, finite, strict=True) if not good] or list(ids)
        self.position = replace(
            self.position, step=self.position.step + 1, bad_batches=self.position.bad_batches + 1
        )
        message = f"loss or gradient not finite with {', '.join(named[:4])}"
        if self.position.bad_batches >= _BAD_BATCHES:
            raise RunError(
                f"{message}, and in the {_BAD_BATCHES - 1} batches before",
                hint="lower train.learning_rate or train.clip_norm, or try train.precision = "
                '"fp32"; a run of a new name starts afresh',
            )
        self.reporter.warn(f"{message}: the batch is left out")

    # ---- validation

    def _validate(self, metrics: Metrics) -> str:
        assert self.validation is not None
        with self.average.applied():
            found = self.validate(self.validation)
            best = self.position.best
            rank = (found.wer, found.loss)
            if self.settings.best_by == "loss":
                rank = (found.loss, found.wer)
            if best is None or rank < best:
                self.recogniser.save(self.folder / "checkpoints" / "best.safetensors")
                self.position = replace(self.position, best=rank, validations_since_best=0)
            elif self.position.epoch + 1 >= self.settings.patience_from:
                waited = self.position.validations_since_best + 1
                self.position = replace(self.position, validations_since_best=waited)
        rates = {"loss": found.loss, "wer": found.wer, "cer": found.cer}
        metrics.log("validation", self.position.step, {"epoch": self.position.epoch + 1, **rates})
        for reference, hypothesis in found.shown:
            self.reporter.say(f"    said    {reference}\n    decoded {hypothesis}")
        return f"  validation: loss {found.loss:.3f} CER {found.cer:.3f} WER {found.wer:.3f}"

    @torch.no_grad()
    def validate(self, examples: Examples) -> Validation:
        """Loss, WER and CER on `examples`, without augmentation or dropout."""
        self.recogniser.eval()
        loss, count, pairs = 0.0, 0, []
        for places in ordered_batches(examples.seconds, self.settings.batch_seconds):
            batch = examples.batch(places).to(self.device)
            features, frames, _ = self.recogniser.features(batch.values, batch.lengths)
            losses = self.stepper(features, frames, batch.labels, batch.label_lengths)
            loss += float(losses["loss"].sum())
            count += int(batch.label_lengths.sum())
            emissions = self.recogniser.emissions(batch.values, batch.lengths, bf16=self.bf16)
            found = self.decoder(emissions.cpu() if self.decoder.device == "cpu" else emissions)
            texts = [examples.texts[index] for index in examples.chosen[places]]
            pairs += [(text, best[0].text) for text, best in zip(texts, found, strict=True)]
        shown = tuple(pairs[:: max(1, len(pairs) // _EXAMPLES)][:_EXAMPLES])
        rates = word_edits(pairs).rate, character_edits(pairs).rate
        return Validation(loss / max(1, count), *rates, shown)

    def _out_of_patience(self) -> bool:
        patience = self.settings.patience
        return bool(patience) and self.position.validations_since_best >= patience

    # ---- going on, and beginning

    def _save(self) -> None:
        moments = {
            f"optimizer.{number}.{name}": value
            for number, state in self.optimizer.state_dict()["state"].items()
            for name, value in state.items()
        }
        tensors = {
            **{f"recogniser.{name}": each for name, each in self.recogniser.state_dict().items()},
            **{f"average.{name}": each for name, each in self.average.tensors.items()},
            **moments,
        }
        state = {"position": asdict(self.position), "updates": self.average.updates}
        keep = self.settings.keep
        save_checkpoint(self.folder / "checkpoints", self.position.step, tensors, state, keep=keep)

    def _resume(self) -> bool:
        found = load_checkpoint(self.folder / "checkpoints")
        if found is None:
            return False
        tensors, state, torn = found
        for each in torn:
            self.reporter.warn(f"checkpoint {each} is damaged: going on from the one before")
        parts: dict[str, dict[str, Tensor]] = {"recogniser": {}, "average": {}, "optimizer": {}}
        for name, tensor in tensors.items():
            part, _, rest = name.partition(".")
            parts[part][rest] = tensor
        self.recogniser.load_state_dict(parts["recogniser"])
        for name, tensor in self.average.tensors.items():
            tensor.copy_(parts["average"][name])
        self.average.updates = state["updates"]
        optimizer = self.optimizer.state_dict()
        optimizer["state"] = _by_number(parts["optimizer"])
        self.optimizer.load_state_dict(optimizer)
        stored = state["position"]
        best = tuple(stored.pop("best") or ()) or None
        self.position = Position(**stored, best=best)
        self.reporter.say(
            f"going on from epoch {self.position.epoch + 1}, batch {self.position.batch + 1}"
        )
        return True

    def _check_gradients(self) -> None:
        """Before the first step: the loss is finite and its gradient reaches every parameter."""
        batches = ordered_batches(self.train.seconds, self.settings.batch_seconds)
        batch = self.train.batch(batches[len(batches) // 2]).to(self.device)
        self.recogniser.train()
        with self._telling_of_memory(batch):
            losses, labels, ids = self._losses(batch, 0)
        if losses["loss"].shape != labels.shape:
            raise RunError(
                f"the model's loss has the shape {tuple(losses['loss'].shape)}, not one number "
                f"for each of {len(ids)} utterances",
                hint='give {"loss": (B,)}: ctc_loss() does',
            )
        total = losses["loss"].sum()
        if not torch.isfinite(total):
            bad = [
                each for each, loss in zip(ids, losses["loss"], strict=True) if not loss.isfinite()
            ]
            raise DataError(f"the first loss is not finite with {', '.join(bad[:4])}")
        self.optimizer.zero_grad()
        self.accelerator.backward(total)
        unreached = [
            name
            for name, each in self.recogniser.model.named_parameters()
            if each.requires_grad and each.grad is None
        ]
        self.optimizer.zero_grad()
        if unreached:
            self.reporter.warn(f"no gradient reaches {', '.join(unreached[:4])}: not in the loss?")


class _Loss(nn.Module):
    """The model's loss as a forward pass, so that data-parallel hooks see it."""

    def __init__(self, model: nn.Module, device: torch.device, *, bf16: bool) -> None:
        super().__init__()
        self.model = model
        self.device, self.bf16 = device, bf16

    def forward(self, *batch: Tensor) -> dict[str, Tensor]:
        """What `AcousticModel.loss` takes -> what it gives."""
        enabled = torch.autocast(self.device.type, torch.bfloat16) if self.bf16 else nullcontext()
        with enabled:
            losses: dict[str, Tensor] = self.model.loss(*batch)  # type: ignore[operator]
        return losses


def _groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Matrices decay; biases, gains of norms and other vectors do not."""
    parameters = [each for each in model.parameters() if each.requires_grad]
    return [
        {"params": [each for each in parameters if each.dim() > 1], "weight_decay": weight_decay},
        {"params": [each for each in parameters if each.dim() <= 1], "weight_decay": 0.0},
    ]


def _by_number(named: dict[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in named.items():
        number, _, key = name.partition(".")
        state.setdefault(int(number), {})[key] = tensor
    return state


def _ahead(
    make: Callable[[NDArray[np.int64]], Batch], batches: Sequence[NDArray[np.int64]]
) -> Iterator[Batch]:
    """Make each batch in a thread while the one before is learnt from."""
    with ThreadPoolExecutor(1) as pool:
        coming: Future[Batch] | None = None
        for indices in batches:
            following = pool.submit(make, indices)
            if coming:
                yield coming.result()
            coming = following
        if coming:
            yield coming.result()
