"""Which utterances an epoch learns from, in which batches."""

import numpy as np
from numpy.typing import NDArray

from speechkit.data.batches import cut, epoch_batches
from speechkit.settings import TrainSettings


def batches_of(
    epoch: int,
    settings: TrainSettings,
    seconds: NDArray[np.float64],
    labels: NDArray[np.int64],
    *,
    seed: int,
) -> list[NDArray[np.int64]]:
    """Indices of each batch of epoch 0, 1, ...: a function of these arguments alone.

    seconds  (B,) how long each utterance lasts
    labels   (B,) how many labels its transcript has
    """
    batch_seconds, chosen = settings.batch_seconds, np.arange(len(seconds))
    ends = 0
    for lesson in settings.curriculum:
        ends += lesson.epochs
        if epoch < ends:
            batch_seconds = lesson.batch_seconds or batch_seconds
            chosen = np.flatnonzero(labels <= lesson.max_labels)
            break
    if settings.order == "fixed":
        return cut(seconds, chosen, batch_seconds, settings.batch_utterances)
    batches = epoch_batches(
        seconds[chosen],
        batch_seconds,
        seed=seed,
        epoch=epoch,
        utterances=settings.batch_utterances,
    )
    return [chosen[batch] for batch in batches]
