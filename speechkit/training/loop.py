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
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from math import ceil, inf, isnan, nan
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from speechkit.data.batches import Batch, ordered_batches
from speechkit.data.look import frames_needed
from speechkit.errors import DataError, DeviceError, RunError, TerminatedError
from speechkit.interfaces import Decoder, EpochEnd, StepEnd
from speechkit.recogniser import Recogniser, fit_normalizer, load_weights
from speechkit.reporter import Reporter
from speechkit.scoring.edits import character_edits, word_edits
from speechkit.settings import TrainSettings
from speechkit.tracking import Tracking
from speechkit.training.ahead import ahead_of
from speechkit.training.augment import Chain
from speechkit.training.budget import Budget
from speechkit.training.checkpoint import load_checkpoint, save_checkpoint
from speechkit.training.curriculum import batches_of
from speechkit.training.examples import Examples
from speechkit.training.learner import Learner, Ready
from speechkit.training.metrics import Metrics, Unwritten
from speechkit.training.position import Position
from speechkit.training.processes import Processes
from speechkit.training.schedule import learning_rate_factor
from speechkit.training.step import Step
from speechkit.training.streamed import Streamed
from speechkit.training.termination import Termination

_BAD_BATCHES = 20  # in a row, whose loss is not finite, end the training
_TIMED_STEPS = 12  # at most, for a time budget
_TIMED_SHARE = 0.03  # of the budget, at most, to time them
_EXAMPLES = 3  # utterances shown beside their targets at each validation


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
    source      what to learn
    validation  what to choose the best weights by; None: the last are kept
    chain       augmentations
    decoder     of validations
    folder      the run's: model.safetensors, checkpoints/, metrics.jsonl, tensorboard/
    tracking    is told of steps and epochs
    """

    recogniser: Recogniser
    source: Examples | Streamed
    validation: Examples | None
    chain: Chain
    decoder: Decoder
    settings: TrainSettings
    seed: int
    folder: Path
    device: torch.device
    reporter: Reporter
    tracking: Tracking
    position: Position = field(default_factory=Position, init=False)

    def __post_init__(self) -> None:
        self.processes = Processes(self.device)
        self.termination = Termination()
        self.budget: Budget | None = None
        self.epochs = float(self.settings.epochs)
        self.learner = Learner(
            self.recogniser,
            self.chain,
            self.settings,
            seed=self.seed,
            device=self.device,
            processes=self.processes,
        )

    @property
    def train(self) -> Examples:
        """What to learn; of a stream, what is checked and measured before the first step."""
        return self.source.sample

    def run(self) -> None:
        """Train to the end; the first process writes the best weights to model.safetensors.

        Raises:
            TerminatedError: it was asked to end; a checkpoint is there to go on from.
        """
        with closing(self):
            self._run()

    def close(self) -> None:
        """End the processes that read a stream, if there are any."""
        if isinstance(self.source, Streamed):
            self.source.close()

    def _run(self) -> None:
        self.prepare()
        self.budget = self._budget()
        if not self._resume():
            if self.processes.is_first:
                self.begin()
            self.processes.copy_from_the_first(self.recogniser.state_dict().values())
            if isinstance(self.source, Streamed):
                self.source.measure()
            if self.budget:
                self._plan(self.budget)
        kind = Metrics if self.processes.is_first else Unwritten
        with self.termination, kind(self.folder, self.position) as metrics:
            try:
                while self.position.epoch < self.epochs and not self._out_of_patience():
                    self._epoch(metrics)
            except _AskedToEndError:
                self._checkpoint()
                raise _terminated(
                    f"in epoch {self.position.epoch + 1}, after batch {self.position.batch}"
                ) from None
            (asked,) = self.processes.total(self.termination.asked)
        if asked:  # while the last epoch ended, which has saved a checkpoint
            raise _terminated("after the last epoch")
        if self.processes.is_first:
            self._finish()

    @property
    def _best(self) -> Path:
        """The weights that did best so far."""
        return self.folder / "checkpoints" / "best.safetensors"

    def _finish(self) -> None:
        if self.position.best is None:
            with self.learner.average.applied():
                self.recogniser.save(self._best)
        load_weights(self.recogniser, self._best)
        self.recogniser.save(self.folder / "model.safetensors")

    def prepare(self) -> None:
        """Tell a model that asks what will be said: see `AcousticModel.loss`."""
        expect = getattr(self.recogniser.model, "expect", None)
        if expect and isinstance(self.source, Examples):
            expect(list(self.source.texts_of_an_epoch(self.settings.same_text)))

    def begin(self) -> None:
        """What comes before the first step: checks, and the normaliser of features.

        Raises:
            DataError: the data cannot be learnt from.
            RunError: the model is not as it should be.
        """
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
        batches = ordered_batches(self.train.seconds, self.settings.batch_seconds)
        batch = self.train.batch(batches[len(batches) // 2]).to(self.device)
        with self._telling_of_memory([batch]):
            unreached = self.learner.check(batch)
        if unreached:
            self.reporter.warn(f"no gradient reaches {', '.join(unreached[:4])}: not in the loss?")

    def _passes(self, examples: Examples) -> Iterator[Batch]:
        for places in ordered_batches(examples.seconds, self.settings.batch_seconds):
            yield examples.batch(places).to(self.device)

    # ---- an epoch

    def _epoch(self, metrics: Metrics) -> None:
        epoch = self.position.epoch
        saved = time.monotonic()
        steps = self._arriving(epoch)
        with self.reporter.progress(f"epoch {epoch + 1}/{ceil(self.epochs)}") as advance:
            while True:
                asked = time.monotonic()
                step = next(steps, None)
                if step is None:
                    break
                waited = time.monotonic() - asked
                learnt = self._step(
                    [batch.to(self.device) for batch in step.batches],
                    step.pass_,
                    (epoch + step.begins) / self.epochs,
                    metrics,
                )
                took = time.monotonic() - asked
                self._note_time(took, step.padded)
                self.position = self._after(step, took, waited)
                if learnt:
                    self.tracking.tell("speechkit_on_step_end", step=learnt)
                advance(step.number + 1, step.total, _shown(learnt))
                stop, due = self.processes.total(
                    self.termination.asked,
                    time.monotonic() - saved > 60 * self.settings.checkpoint_minutes,
                )
                if stop:
                    raise _AskedToEndError
                if due and step.number + 1 < step.total:  # after the last one there is more to do
                    self._save()
                    saved = time.monotonic()
        done = self.position
        padding = done.padding_sum / max(1, done.made)
        took = max(done.seconds, 1e-9)  # 0 where a checkpoint that notes none was the last step's
        speed, waiting = done.speech_seconds / took, done.waiting / took
        loss = self.position.loss_sum / max(1, self.position.label_sum)
        line = f"epoch {epoch + 1:3}  loss {loss:.3f}"
        last = epoch + 1 >= self.epochs
        best, rates = self.position.best, dict[str, float]()
        if self.validation and (last or (epoch + 1) % self.settings.validate_every == 0):
            rates = self._validate(self.validation, metrics)
            line += "  validation: loss {loss:.3f} CER {cer:.3f} WER {wer:.3f}".format(**rates)
        line += (
            f"  {speed:.0f} s of speech a second, {padding:.1%} padding, "
            f"{waiting:.1%} waiting for data"
        )
        self.reporter.say(line)
        metrics.log("epoch", self.position.step, {"epoch": epoch + 1, "loss": loss})
        metrics.log(
            "efficiency",
            self.position.step,
            {"speed": speed, "padding": padding, "waiting": waiting, "seconds": done.seconds},
        )
        self.position = self.position.next_epoch()
        if isinstance(self.source, Streamed):
            self.source.end_epoch()
        self._save()
        ended = EpochEnd(
            epoch=epoch + 1,
            epochs=self.epochs,
            step=self.position.step,
            loss=loss,
            learning_rate=self._rate(min(1.0, (epoch + 1) / self.epochs)),
            validation=MappingProxyType(rates),
            is_best=self.position.best != best,
            speech_seconds=done.speech_seconds,
            seconds=done.seconds,
            padding=padding,
            waiting=waiting,
        )
        self.tracking.tell("speechkit_on_epoch_end", epoch=ended)

    def _after(self, step: Step, took: float, waited: float) -> Position:
        """Where training is when a step is done, which took so many seconds."""
        at = self.position
        return replace(
            at,
            batch=step.after,
            seconds=at.seconds + took,
            waiting=at.waiting + waited,
            speech_seconds=at.speech_seconds + step.seconds,
            padding_sum=at.padding_sum + sum(batch.padding for batch in step.batches),
            made=at.made + len(step.batches),
        )

    def _arriving(self, epoch: int) -> Iterator[Step]:
        """The steps of an epoch that are left."""
        if isinstance(self.source, Streamed):
            return self.source.steps(epoch)
        return self._prepared(epoch)

    def _prepared(self, epoch: int) -> Iterator[Step]:
        """Those of data that are prepared; batches are made one step ahead."""
        batches = self._batches(epoch)
        every = self.settings.accumulate
        steps = self._steps(batches)
        first = -(-self.position.batch // every)  # an epoch's last step may have fewer batches
        arriving = ahead_of(map(self._share, steps[first:]))
        for number in range(first, len(steps)):
            if number >= round((self.epochs - epoch) * len(steps)):
                return  # a time budget may end within an epoch
            yield Step(
                next(arriving),
                pass_=epoch,
                begins=number / len(steps),
                number=number,
                total=len(steps),
                after=min((number + 1) * every, len(batches)),
                seconds=sum(float(self.train.seconds[each].sum()) for each in steps[number]),
                padded=sum(map(self.train.padded_seconds, steps[number])),
            )

    def _batches(self, epoch: int) -> list[NDArray[np.int64]]:
        """Places of the utterances of each batch, in all processes."""
        train = self.train
        return batches_of(
            epoch,
            self.settings,
            train.seconds,
            train.label_counts,
            train.text_numbers,
            seed=self.seed,
        )

    def _steps(self, batches: Sequence[NDArray[np.int64]]) -> list[Sequence[NDArray[np.int64]]]:
        """Batches by the step that learns from them."""
        every = self.settings.accumulate
        return [batches[start : start + every] for start in range(0, len(batches), every)]

    def _share(self, batches: Sequence[NDArray[np.int64]]) -> list[Batch]:
        """This process' shares of a step's batches; none where there are fewer utterances."""
        shares = [self.processes.share_of(places) for places in batches]
        return [self.train.batch(share) for share in shares if len(share)]

    def _rate(self, done: float) -> float:
        """The learning rate when so much of the training is done."""
        factor = learning_rate_factor(self.settings.schedule, done, self.settings.warmup)
        return self.settings.learning_rate * factor

    def _step(
        self, batches: Sequence[Batch], pass_: int, done: float, metrics: Metrics
    ) -> StepEnd | None:
        """Learn from some batches at once; gives what was learnt, None where nothing was.

        pass_  over the data, that they are of
        done   share of the training before
        """
        position, rate = self.position, self._rate(done)
        with self._telling_of_memory(batches):
            learnt = self.learner.learn(batches, epoch=pass_, step=position.step, rate=rate)
        if not learnt.is_finite:
            self._bad_batch(learnt.strange)
            return None
        self.position = replace(
            position,
            step=position.step + 1,
            loss_sum=position.loss_sum + learnt.sums["loss"],
            label_sum=position.label_sum + learnt.labels,
            bad_batches=0,
        )
        parts = {name: value / max(1, learnt.labels) for name, value in learnt.sums.items()}
        shown = {"learning_rate": rate, "gradient_norm": learnt.norm}
        metrics.log("train", self.position.step, {"epoch": position.epoch, **parts, **shown})
        return StepEnd(
            self.position.step, position.epoch + 1, MappingProxyType(parts), rate, learnt.norm
        )

    @contextmanager
    def _telling_of_memory(self, batches: Sequence[Batch]) -> Iterator[None]:
        try:
            yield
        except torch.OutOfMemoryError as error:
            ids = [each for batch in batches for each in batch.ids]
            raise DeviceError(
                f"out of memory on {self.device} with a batch of {len(ids)} utterances, "
                f"{', '.join(ids[:3])}, ...",
                hint=f"lower train.batch_seconds ({self.settings.batch_seconds:g}), which "
                "train.accumulate can make up for, or train.max_seconds (the longest utterance "
                f"lasts {self.source.longest:.1f} s)",
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

    def _validate(self, examples: Examples, metrics: Metrics) -> dict[str, float]:
        """Loss and error rates of the averaged weights, which are kept if they are the best."""
        self.processes.copy_from_the_first(self.recogniser.model.buffers())  # of batch norms
        began = time.monotonic()
        with self.learner.average.applied():
            found = self.validate(examples)
            best = self.position.best
            loss = inf if isnan(found.loss) else found.loss  # nothing is less than NaN
            rank = (loss, found.wer) if self.settings.best_by == "loss" else (found.wer, loss)
            if best is None or rank < best:
                if self.processes.is_first:
                    self.recogniser.save(self._best)
                self.position = replace(self.position, best=rank, validations_since_best=0)
            elif self.position.epoch + 1 >= self.settings.patience_from:
                waited = self.position.validations_since_best + 1
                self.position = replace(self.position, validations_since_best=waited)
        if self.budget:
            self.budget.validation_seconds = time.monotonic() - began
        rates = {"loss": found.loss, "wer": found.wer, "cer": found.cer}
        metrics.log("validation", self.position.step, {"epoch": self.position.epoch + 1, **rates})
        for reference, hypothesis in found.shown:
            self.reporter.say(f"    said    {reference}\n    decoded {hypothesis}")
        return rates

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
        return Validation(loss / count if count else nan, *rates, shown)

    def _validate_batch(
        self, examples: Examples, places: NDArray[np.int64]
    ) -> tuple[float, int, list[tuple[str, str]]]:
        """Its loss, the number of labels it is of, each reference with what was decoded."""
        if self.termination.asked and self.processes.count == 1:  # several end after it, together
            raise _AskedToEndError
        self._note_time()
        batch = examples.batch(places).to(self.device)
        features, frames, _ = self.recogniser.features(batch.values, batch.lengths)
        ready = Ready(features, frames, batch.labels, batch.label_lengths, list(batch.ids))
        losses = self.learner.losses(ready)["loss"].cpu()
        emissions = self.recogniser.emissions(batch.values, batch.lengths, bf16=self.learner.bf16)
        # What has more labels than frames has no CTC loss; training leaves it out, too.
        needed = [frames_needed(examples.labels[index]) for index in examples.chosen[places]]
        fits = torch.tensor(needed) <= emissions.lengths.cpu()
        found = self.decoder(emissions.cpu() if self.decoder.device == "cpu" else emissions)
        texts = [examples.texts[index] for index in examples.chosen[places]]
        read = [(text, best[0].text) for text, best in zip(texts, found, strict=True)]
        return float(losses[fits].sum()), int(batch.label_lengths.cpu()[fits].sum()), read

    def _out_of_patience(self) -> bool:
        patience = self.settings.patience
        return bool(patience) and self.position.validations_since_best >= patience

    # ---- going on, and beginning

    def _save(self) -> None:
        """Write a checkpoint; all processes call it."""
        if self.budget:
            self._keep_to(self.budget)
        self._checkpoint()

    def _checkpoint(self) -> None:
        state: dict[str, Any] = {
            "position": self.position.stored(),
            "updates": self.learner.average.updates,
        }
        if isinstance(self.source, Streamed):
            state["stream"] = self.source.stored()
        if not self.processes.is_first:
            return
        if self.budget:
            state["budget"] = self.budget.stored()
        save_checkpoint(
            self.folder / "checkpoints",
            self.position.step,
            self.learner.tensors(),
            state,
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
        best_is_whole = self._best_is_whole()
        self.learner.put_back(tensors, updates=state["updates"])
        self.position = Position.read(state["position"])
        if self.position.best and not best_is_whole:
            self.reporter.warn(
                f"{self._best} is missing or damaged: the weights that were the best are lost, and "
                "the best of those to come are kept"
            )
            self.position = replace(self.position, best=None)
        if self.budget:
            self.budget.put_back(state["budget"])
            self._keep_to(self.budget)
        line = f"going on from epoch {self.position.epoch + 1}, batch {self.position.batch + 1}"
        if isinstance(self.source, Streamed):
            line += f": {self.source.put_back(state['stream'])}"
        self.reporter.say(line)
        return True

    def _best_is_whole(self) -> bool:
        """Whether the best weights are there. The recogniser may hold them then."""
        whole = True
        if self.processes.is_first:
            try:
                load_weights(self.recogniser, self._best)
            except RunError:
                whole = False
        return self.processes.of_the_first(whole)

    # ---- a time budget

    def _budget(self) -> Budget | None:
        if self.settings.minutes is None:
            return None
        lessons = sum(lesson.epochs for lesson in self.settings.curriculum)
        work = []
        for epoch in range(lessons + 1):
            batches = self._batches(epoch)
            speech = sum(map(self.train.padded_seconds, batches))
            work.append((speech, len(self._steps(batches))))
        return Budget(
            self.settings.minutes,
            work,
            self.settings.validate_every if self.validation else 0,
            self.folder / "checkpoints" / "time.json",
        )

    def _plan(self, budget: Budget) -> None:
        """Time some steps and validation batches, forget them, and choose the epochs."""
        before = {name: each.detach().clone() for name, each in self.learner.tensors().items()}
        steps, timed, began = self._steps(self._batches(0)), [], time.monotonic()
        nowhere = Unwritten(self.folder, self.position)
        for step in steps[:_TIMED_STEPS]:
            asked = time.monotonic()
            self._step([each.to(self.device) for each in self._share(step)], 0, 0.0, nowhere)
            speech = sum(map(self.train.padded_seconds, step))
            timed.append((time.monotonic() - asked, speech))
            late = time.monotonic() - began > _TIMED_SHARE * 60 * budget.minutes
            if self.processes.of_the_first(late and len(timed) > 1):
                break
        self.learner.put_back(before, updates=0)
        self.position = Position()
        took, speech = np.sum(timed[1:] or timed, axis=0)  # the first warms up
        budget.seconds_per_second = self.processes.of_the_first(float(took / speech))
        if self.validation:
            needed = self._validation_seconds(self.validation)
            budget.validation_seconds = self.processes.of_the_first(needed)
        budget.plan(0.0, self.processes.of_the_first(budget.used))
        self.epochs = budget.epochs
        whole, count = budget.work[-1]
        self.reporter.say(
            f"{budget.minutes:g} minutes: {whole / count * budget.seconds_per_second:.2g} s a "
            f"step, {budget.validation_seconds:.2g} s a validation: {self.epochs:.4g} epochs of "
            f"{count} steps fit"
        )
        self._checkpoint()  # so that one that is killed keeps to this plan

    @torch.no_grad()
    def _validation_seconds(self, examples: Examples) -> float:
        """How long a validation lasts, from a few of its batches."""
        self.recogniser.eval()
        batches = ordered_batches(examples.seconds, self.settings.batch_seconds)
        some = batches[:: max(1, len(batches) // 3)]
        began = time.monotonic()
        for places in some:
            self._validate_batch(examples, places)
        took = time.monotonic() - began
        share = sum(map(len, some)) / len(examples.chosen)
        return took / share / self.processes.count

    def _keep_to(self, budget: Budget) -> None:
        """Leave epochs out if the budget would be passed with them."""
        steps = len(self._steps(self._batches(self.position.epoch)))
        part = -(-self.position.batch // self.settings.accumulate) / steps
        slower = budget.shorten(self.position.epoch + part, budget.used)
        budget.put_back(self.processes.of_the_first(budget.stored()))
        if slower:
            self.reporter.warn(
                f"slower than measured, or stopped in between: training ends after "
                f"{budget.epochs:.4g} epochs, within its {budget.minutes:g} minutes"
            )
        self.epochs = budget.epochs

    def _note_time(self, seconds: float = 0.0, speech: float = 0.0) -> None:
        """Keep the time used, which a process that is killed cannot say; and what a step took."""
        if self.budget and self.processes.is_first:
            self.budget.observe(seconds, speech)
            self.budget.note()


class _AskedToEndError(Exception):
    """The process was asked to end: there is something to save first."""


def _terminated(when: str) -> TerminatedError:
    return TerminatedError(
        f"asked to end {when}: a checkpoint is saved", hint="the same command goes on from there"
    )


def _shown(learnt: StepEnd | None) -> str:
    return f"loss {learnt.losses['loss']:.3f}" if learnt else "a loss that is not finite"
