"""The training loop: batches to weights, with validation and checkpoints.

Where training is (`Position`) is a function of nothing but what was trained so far, and every
random number is one of where it is drawn: the order of batches of (seed, epoch), augmentation of
(seed, epoch, utterance, place), dropout of (seed, step, process). So a resumed training takes the
steps that the one which was stopped would have taken.

A step learns from `train.accumulate` batches, each split over the processes that train together.
What it takes from them is the gradient of the mean over all of their labels: it does not depend on
how they are split.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from speechkit.data.batches import Batch, ordered_batches
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
from speechkit.training.examples import Examples
from speechkit.training.metrics import Metrics, Unwritten
from speechkit.training.processes import Processes
from speechkit.training.schedule import learning_rate_factor
from speechkit.training.state import Position, put_back, tensors_of

_BAD_BATCHES = 20  # in a row, whose loss is not finite, end the training
_PROCESS = 2**53  # from one process' seeds to the next: more than any seed and step make
_EXAMPLES = 3  # utterances shown beside their targets at each validation

Given = TypeVar("Given")
Made = TypeVar("Made")


@dataclass(frozen=True)
class Validation:
    """How well the model does on the validation part."""

    loss: float  # nats a label
    wer: float
    cer: float
    shown: tuple[tuple[str, str], ...]  # reference and hypothesis of some utterances


@dataclass(frozen=True)
class _Ready:
    """Augmented features of a batch and its labels: what the model learns from.

    Shape: (B, T, D), (B,) frames, (B, U), (B,), B names.
    """

    features: Tensor
    frames: Tensor
    labels: Tensor
    label_lengths: Tensor
    ids: list[str]


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
        self.processes = Processes(self.device)
        self.recogniser.to(self.device)
        self.average = RunningAverage(self.recogniser.model, self.settings.average)
        self.optimizer = torch.optim.AdamW(
            _groups(self.recogniser.model, self.settings.weight_decay),
            lr=self.settings.learning_rate,
            betas=self.settings.betas,
            fused=True,
        )

    def run(self) -> None:
        """Train to the end; the first process writes the best weights to model.safetensors."""
        if not self._resume():
            if self.processes.is_first:
                self._begin()
            self.processes.copy_from_the_first(self.recogniser.state_dict().values())
        kind = Metrics if self.processes.is_first else Unwritten
        with kind(self.folder, self.position.step) as metrics:
            while self.position.epoch < self.settings.epochs and not self._out_of_patience():
                self._epoch(metrics)
        if self.processes.is_first:
            self._finish()

    def _finish(self) -> None:
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
        every = self.settings.accumulate
        steps = [batches[start : start + every] for start in range(0, len(batches), every)]
        began, waited, padding, seconds, made = time.monotonic(), 0.0, 0.0, 0.0, 0
        saved = began
        first = -(-self.position.batch // every)  # an epoch's last step may have fewer batches
        with self.reporter.progress(f"epoch {epoch + 1}/{self.settings.epochs}") as advance:
            arriving = _ahead(self._share, steps[first:])
            for number in range(first, len(steps)):
                asked = time.monotonic()
                share = next(arriving)
                waited += time.monotonic() - asked
                padding += sum(batch.padding for batch in share)
                made += len(share)
                seconds += sum(float(self.train.seconds[each].sum()) for each in steps[number])
                done = (epoch + number / len(steps)) / self.settings.epochs
                shown = self._step([batch.to(self.device) for batch in share], done, metrics)
                learnt = min((number + 1) * every, len(batches))
                self.position = replace(self.position, batch=learnt)
                advance(number + 1, len(steps), shown)
                (due,) = self.processes.total(
                    time.monotonic() - saved > 60 * self.settings.checkpoint_minutes
                )
                if due and number + 1 < len(steps):  # after the last one there is more to do
                    self._save()
                    saved = time.monotonic()
        took = time.monotonic() - began
        padding /= max(1, made)
        loss = self.position.loss_sum / max(1, self.position.label_sum)
        line = f"epoch {epoch + 1:3}  loss {loss:.3f}"
        last = epoch + 1 == self.settings.epochs
        if self.validation and (last or (epoch + 1) % self.settings.validate_every == 0):
            line += self._validate(metrics)
        line += (
            f"  {seconds / took:.0f} s of speech a second, {padding:.1%} padding, "
            f"{waited / took:.1%} waiting for data"
        )
        self.reporter.say(line)
        metrics.log("epoch", self.position.step, {"epoch": epoch + 1, "loss": loss})
        metrics.log(
            "efficiency",
            self.position.step,
            {"speed": seconds / took, "padding": padding, "waiting": waited / took},
        )
        self.position = replace(self.position, epoch=epoch + 1, batch=0, loss_sum=0.0, label_sum=0)
        self._save()

    def _share(self, batches: Sequence[NDArray[np.int64]]) -> list[Batch]:
        """This process' shares of a step's batches; none where there are fewer utterances."""
        shares = [self.processes.share_of(places) for places in batches]
        return [self.train.batch(share) for share in shares if len(share)]

    def _step(self, batches: Sequence[Batch], done: float, metrics: Metrics) -> str:
        """Learn from some batches at once; gives a word on how it went."""
        position = self.position
        rate = self.settings.learning_rate * learning_rate_factor(
            self.settings.schedule, done, self.settings.warmup
        )
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        draws = self.seed * 1_000_003 + position.step  # dropout: of (seed, step, process)
        torch.manual_seed(draws + self.processes.number * _PROCESS)
        self.recogniser.train()
        with self._telling_of_memory(batches):
            ready = [self._ready(batch, position.epoch) for batch in batches]
            count = self._label_count(ready)
            self.optimizer.zero_grad()
            told = [self._learn(each, count) for each in ready]
        parameters = list(self.recogniser.model.parameters())
        self.processes.total_gradients(parameters)
        norm = float(nn.utils.clip_grad_norm_(parameters, self.settings.clip_norm))
        sums: dict[str, float] = {}
        strange: list[str] = []
        for losses, ids in (each for given in self.processes.gathered(told) for each in given):
            for name, value in losses.items():
                sums[name] = sums.get(name, 0.0) + value
            strange += ids
        if not np.isfinite(sums["loss"]) or not np.isfinite(norm):
            self._bad_batch(strange or [name for each in ready for name in each.ids])
            return "a loss that is not finite"
        self.optimizer.step()
        self.average.update()
        self.position = replace(
            position,
            step=position.step + 1,
            loss_sum=position.loss_sum + sums["loss"],
            label_sum=position.label_sum + count,
            bad_batches=0,
        )
        parts = {name: value / max(1, count) for name, value in sums.items()}
        shown = {"epoch": position.epoch, **parts, "learning_rate": rate, "gradient_norm": norm}
        metrics.log("train", self.position.step, shown)
        return f"loss {parts['loss']:.3f}"

    def _ready(self, batch: Batch, epoch: int) -> _Ready:
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
        return _Ready(features, frames, batch.labels[chosen], batch.label_lengths[chosen], named)

    def _label_count(self, ready: Sequence[_Ready]) -> int:
        """Labels of all batches of a step in all processes: what their losses are divided by."""
        (count,) = self.processes.total(sum(int(each.label_lengths.sum()) for each in ready))
        return int(count)

    def _learn(self, ready: _Ready, count: int) -> tuple[dict[str, float], list[str]]:
        """Add a batch's gradient; gives the sums of its losses, and whose are not finite."""
        losses = self._losses(ready)
        (losses["loss"].sum() / max(1, count)).backward()  # type: ignore[no-untyped-call]
        sums = {name: float(each.detach().sum()) for name, each in losses.items()}
        return sums, [] if np.isfinite(sums["loss"]) else _not_finite(losses, ready.ids)

    def _losses(self, ready: _Ready) -> dict[str, Tensor]:
        """What the model's `loss` gives: by name, a number for each utterance."""
        with torch.autocast(self.device.type, torch.bfloat16) if self.bf16 else nullcontext():
            losses: dict[str, Tensor] = self.recogniser.model.loss(  # type: ignore[operator]
                ready.features, ready.frames, ready.labels, ready.label_lengths
            )
        return losses

    @contextmanager
    def _telling_of_memory(self, batches: Sequence[Batch]) -> Iterator[None]:
        try:
            yield
        except torch.OutOfMemoryError as error:
            longest = float(self.train.seconds.max())
            ids = [each for batch in batches for each in batch.ids]
            raise DeviceError(
                f"out of memory on {self.device} with a batch of {len(ids)} utterances, "
                f"{', '.join(ids[:3])}, ...",
                hint=f"lower train.batch_seconds ({self.settings.batch_seconds:g}), which "
                "train.accumulate can make up for, or train.max_seconds (the longest utterance "
                f"lasts {longest:.1f} s)",
            ) from error

    def _bad_batch(self, named: Sequence[str]) -> None:
        """Leave a batch out whose loss or gradient is not finite; stop after too many."""
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
        self.processes.copy_from_the_first(self.recogniser.model.buffers())  # of batch norms
        with self.average.applied():
            found = self.validate(self.validation)
            best = self.position.best
            rank = (found.wer, found.loss)
            if self.settings.best_by == "loss":
                rank = (found.loss, found.wer)
            if best is None or rank < best:
                if self.processes.is_first:
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
        batches = ordered_batches(examples.seconds, self.settings.batch_seconds)
        mine = [
            (number, self._validate_batch(examples, batches[number]))
            for number in range(self.processes.number, len(batches), self.processes.count)
        ]
        found = dict(each for given in self.processes.gathered(mine) for each in given)
        loss, count = 0.0, 0
        pairs: list[tuple[str, str]] = []
        for number in range(len(batches)):  # in order: a sum depends on it
            batch_loss, labels, read = found[number]
            loss, count, pairs = loss + batch_loss, count + labels, pairs + read
        shown = tuple(pairs[:: max(1, len(pairs) // _EXAMPLES)][:_EXAMPLES])
        rates = word_edits(pairs).rate, character_edits(pairs).rate
        return Validation(loss / max(1, count), *rates, shown)

    def _validate_batch(
        self, examples: Examples, places: NDArray[np.int64]
    ) -> tuple[float, int, list[tuple[str, str]]]:
        """Its loss, its number of labels, and each reference with what was decoded."""
        batch = examples.batch(places).to(self.device)
        features, frames, _ = self.recogniser.features(batch.values, batch.lengths)
        ready = _Ready(features, frames, batch.labels, batch.label_lengths, list(batch.ids))
        loss = float(self._losses(ready)["loss"].sum())
        emissions = self.recogniser.emissions(batch.values, batch.lengths, bf16=self.bf16)
        found = self.decoder(emissions.cpu() if self.decoder.device == "cpu" else emissions)
        texts = [examples.texts[index] for index in examples.chosen[places]]
        read = [(text, best[0].text) for text, best in zip(texts, found, strict=True)]
        return loss, int(batch.label_lengths.sum()), read

    def _out_of_patience(self) -> bool:
        patience = self.settings.patience
        return bool(patience) and self.position.validations_since_best >= patience

    # ---- going on, and beginning

    def _save(self) -> None:
        if not self.processes.is_first:
            return
        save_checkpoint(
            self.folder / "checkpoints",
            self.position.step,
            tensors_of(self.recogniser, self.average, self.optimizer),
            {"position": self.position.stored(), "updates": self.average.updates},
            keep=self.settings.keep,
        )

    def _resume(self) -> bool:
        found = None
        if self.processes.is_first:
            found = load_checkpoint(self.folder / "checkpoints")
        found = self.processes.of_the_first(found)
        if found is None:
            return False
        tensors, state, torn = found
        for each in torn:
            self.reporter.warn(f"checkpoint {each} is damaged: going on from the one before")
        put_back(tensors, self.recogniser, self.average, self.optimizer)
        self.average.updates = state["updates"]
        self.position = Position.read(state["position"])
        self.reporter.say(
            f"going on from epoch {self.position.epoch + 1}, batch {self.position.batch + 1}"
        )
        return True

    def _check_gradients(self) -> None:
        """Before the first step: the loss is finite and its gradient reaches every parameter."""
        batches = ordered_batches(self.train.seconds, self.settings.batch_seconds)
        batch = self.train.batch(batches[len(batches) // 2]).to(self.device)
        self.recogniser.train()
        with self._telling_of_memory([batch]):
            ready = self._ready(batch, 0)
            losses = self._losses(ready)
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
        if unreached:
            self.reporter.warn(f"no gradient reaches {', '.join(unreached[:4])}: not in the loss?")


def _not_finite(losses: Mapping[str, Tensor], ids: Sequence[str]) -> list[str]:
    """The utterances whose loss is not finite."""
    finite = torch.isfinite(losses["loss"].detach()).tolist()
    return [each for each, good in zip(ids, finite, strict=True) if not good]


def _groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Matrices decay; biases, gains of norms and other vectors do not."""
    parameters = [each for each in model.parameters() if each.requires_grad]
    return [
        {"params": [each for each in parameters if each.dim() > 1], "weight_decay": weight_decay},
        {"params": [each for each in parameters if each.dim() <= 1], "weight_decay": 0.0},
    ]


def _ahead(make: Callable[[Given], Made], given: Iterable[Given]) -> Iterator[Made]:
    """Make each in a thread while the one before is learnt from."""
    with ThreadPoolExecutor(1) as pool:
        coming: Future[Made] | None = None
        for each in given:
            following = pool.submit(make, each)
            if coming:
                yield coming.result()
            coming = following
        if coming:
            yield coming.result()
