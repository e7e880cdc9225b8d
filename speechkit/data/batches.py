"""Utterances to batches: filled by seconds, alike in length, shuffled by seed and epoch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_JITTER = 0.05  # lengths are sorted after a random change of so much: other neighbours each epoch


class Utterances(Protocol):
    """What batches are made of: a store, or a window of a stream."""

    @property
    def ids(self) -> Sequence[str]:
        """Their names."""

    @property
    def seconds(self) -> NDArray[np.float64]:
        """(utterances,) how long each lasts."""

    def row(self, index: int) -> NDArray[np.float32]:
        """(N,) samples in [-1, 1), or (T, D) features."""


@dataclass(frozen=True)
class Batch:
    """Utterances padded to one length.

    values         (B, N) samples or (B, T, D) features, float32, 0 past a row's length
    lengths        (B,) samples or frames
    labels         (B, U) padded with 0
    label_lengths  (B,)
    ids            B names
    """

    values: Tensor
    lengths: Tensor
    labels: Tensor
    label_lengths: Tensor
    ids: tuple[str, ...]

    def to(self, device: torch.device) -> "Batch":
        """The same on `device`."""
        return Batch(
            self.values.to(device, non_blocking=True),
            self.lengths.to(device, non_blocking=True),
            self.labels.to(device, non_blocking=True),
            self.label_lengths.to(device, non_blocking=True),
            self.ids,
        )

    @property
    def padding(self) -> float:
        """Share of the values that is padding."""
        return 1.0 - float(self.lengths.sum()) / max(1, self.values.shape[0] * self.values.shape[1])


def pad(rows: Sequence[NDArray[np.float32]]) -> tuple[Tensor, Tensor]:
    """Rows (N,) or (T, D) -> (B, N) or (B, T, D) and (B,).

    By numpy, since this runs beside training: a second thread that computes with PyTorch has
    OpenMP threads of its own, more than there are cores, and all of them then sleep and are woken
    at every small operation of the first.
    """
    lengths = np.array([len(row) for row in rows])
    values = np.zeros((len(rows), int(lengths.max()), *rows[0].shape[1:]), np.float32)
    for index, row in enumerate(rows):
        values[index, : len(row)] = row
    return torch.from_numpy(values), torch.from_numpy(lengths)


def make_batch(store: Utterances, indices: Sequence[int], labels: Sequence[Sequence[int]]) -> Batch:
    """The utterances `indices` of `store`; `labels` is by index."""
    values, lengths = pad([store.row(index) for index in indices])
    chosen = [labels[index] for index in indices]
    label_lengths = np.array([len(each) for each in chosen])
    padded = np.zeros((len(chosen), max(1, int(label_lengths.max()))), np.int64)
    for row, each in enumerate(chosen):
        padded[row, : len(each)] = each
    return Batch(
        values,
        lengths,
        torch.from_numpy(padded),
        torch.from_numpy(label_lengths),
        tuple(store.ids[index] for index in indices),
    )


def epoch_batches(
    seconds: NDArray[np.float64],
    batch_seconds: float,
    *,
    seed: int,
    epoch: int,
    utterances: int | None = None,
) -> list[NDArray[np.int64]]:
    """Indices of each batch of an epoch: a function of seed and epoch alone."""
    random = np.random.default_rng([seed, epoch])
    return shuffled_batches(seconds, batch_seconds, random, utterances=utterances)


def shuffled_batches(
    seconds: NDArray[np.float64],
    batch_seconds: float,
    random: np.random.Generator,
    *,
    utterances: int | None = None,
) -> list[NDArray[np.int64]]:
    """Indices of batches, alike in length, in an order drawn from `random`.

    Utterances are sorted by length (changed a little at random, so that neighbours differ from
    epoch to epoch), cut where the longest times their number would pass `batch_seconds`, or their
    number `utterances`, and the batches shuffled. One longer than `batch_seconds` is a batch by
    itself.
    """
    order = np.argsort(seconds * random.uniform(1 - _JITTER, 1 + _JITTER, len(seconds)))
    batches = cut(seconds, order, batch_seconds, utterances)
    random.shuffle(batches)
    return batches


def ordered_batches(seconds: NDArray[np.float64], batch_seconds: float) -> list[NDArray[np.int64]]:
    """Indices of batches for one pass without training: shortest first, the same every time."""
    return cut(seconds, np.argsort(seconds, kind="stable"), batch_seconds)


def cut(
    seconds: NDArray[np.float64],
    order: NDArray[np.int64],
    batch_seconds: float,
    utterances: int | None = None,
) -> list[NDArray[np.int64]]:
    """Cut `order` where the longest times their number, or their number, would pass its limit."""
    batches, start, longest = [], 0, 0.0
    for place, index in enumerate(order):
        longest = max(longest, float(seconds[index]))
        more = place - start + 1
        if more > 1 and (
            longest * more > batch_seconds or (utterances is not None and more > utterances)
        ):
            batches.append(order[start:place])
            start, longest = place, float(seconds[index])
    if start < len(order):
        batches.append(order[start:])
    return batches
