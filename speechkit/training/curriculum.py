"""Which utterances an epoch learns from, in which batches."""

import numpy as np
from numpy.typing import NDArray

from speechkit.data.batches import cut, epoch_batches
from speechkit.settings import TrainSettings

_OF_TEXTS = 1  # tells this choice's random numbers from those of the batches


def batches_of(
    epoch: int,
    settings: TrainSettings,
    seconds: NDArray[np.float64],
    labels: NDArray[np.int64],
    texts: NDArray[np.int64],
    *,
    seed: int,
) -> list[NDArray[np.int64]]:
    """Indices of each batch of epoch 0, 1, ...: a function of these arguments alone.

    seconds  (B,) how long each utterance lasts
    labels   (B,) how many labels its transcript has
    texts    (B,) a number for each transcript, the same for the same one
    """
    batch_seconds, chosen = settings.batch_seconds, np.arange(len(seconds))
    ends = 0
    for lesson in settings.curriculum:
        ends += lesson.epochs
        if epoch < ends:
            batch_seconds = lesson.batch_seconds or batch_seconds
            chosen = np.flatnonzero(labels <= lesson.max_labels)
            break
    if settings.same_text:
        random = np.random.default_rng([seed, epoch, _OF_TEXTS])
        chosen = _some_of_each(chosen, texts[chosen], settings.same_text, random)
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


def _some_of_each(
    places: NDArray[np.int64], texts: NDArray[np.int64], most: int, random: np.random.Generator
) -> NDArray[np.int64]:
    """Those of `places` that are left when each text keeps `most` at most, in the same order."""
    mixed = random.permutation(len(places))
    by_text = mixed[np.argsort(texts[mixed], kind="stable")]
    begins = np.flatnonzero(np.diff(texts[by_text], prepend=-1))
    rank = np.arange(len(places)) - np.repeat(begins, np.diff(begins, append=len(places)))
    return places[np.sort(by_text[rank < most])]
