"""Whether a model can learn at all: one small batch, by heart."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from speechkit.data.batches import ordered_batches
from speechkit.errors import RunError
from speechkit.training.augment import Chain
from speechkit.training.loop import Training

_UTTERANCES = 8  # at most: so few must be learnt
_STEPS = 400  # at most
_CHECKED = 10  # steps from one look at the loss to the next
_LOSS = 0.1  # nats a label: nearly every label is sure


class _Copies(Chain):
    """Of each utterance the rows that augmentations make of it, as they are unchanged.

    A model that compares two views of an utterance needs two.
    """

    def __init__(self, rows: Tensor) -> None:
        super().__init__((), seed=0)
        self._rows = rows

    def apply(
        self, stage: str, values: Tensor, lengths: Tensor, ids: Sequence[str], *, epoch: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Give the rows' features again, by the source of each."""
        if stage == "waveform":
            return super().apply(stage, values, lengths, ids, epoch=epoch)
        rows = self._rows.to(values.device)
        return values[rows], lengths[rows.to(lengths.device)], self._rows


def learn_by_heart(training: Training) -> str:
    """Learn a batch by heart, without augmentation, and write no file; gives how it went.

    Raises:
        RunError: the model cannot.
    """
    training.prepare()
    training.begin()
    learner, settings, train = training.learner, training.settings, training.train
    batches = ordered_batches(train.seconds, settings.batch_seconds)
    places = batches[len(batches) // 2][:_UTTERANCES]
    batch = train.batch(places).to(training.device)
    made = learner.ready(batch, 0).ids
    learner.chain = _Copies(torch.tensor([batch.ids.index(each) for each in made]))
    alone = replace(train, chosen=train.chosen[places])
    first = loss = training.validate(alone).loss
    with training.reporter.progress("learning one batch by heart") as advance:
        for number in range(1, _STEPS + 1):
            rate = settings.learning_rate * min(number / _CHECKED, 1 - number / (_STEPS + 1))
            learnt = learner.learn([batch], epoch=0, step=number, rate=rate)
            advance(number, _STEPS, f"loss {learnt.sums['loss'] / max(1, learnt.labels):.3f}")
            if number % _CHECKED == 0:
                loss = training.validate(alone).loss  # without dropout
                if loss < _LOSS:
                    break
    fell = (
        f"the loss of one batch of {len(places)} utterances went from {first:.2f} to {loss:.3f} "
        f"in {number} steps"
    )
    if not loss < _LOSS:  # one that is not a number is not less
        raise RunError(
            f"the model does not learn even one batch by heart: {fell}; {_LOSS:g} would do",
            hint="raise or lower train.learning_rate; do texts and sound belong together? "
            "`speechkit data look RECIPE` shows them",
        )
    return f"the model can learn: {fell}"
