"""Rows in batches, and whether two results are the same: what most checks are made of.

Axes: B rows, N samples or frames in, T frames out; D is whatever follows.
"""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from speechkit.testing.checks import Unmet

Part: TypeAlias = Callable[[Tensor, Tensor], Sequence[Tensor]]
"""(B, N, ...) values, (B,) lengths -> (B, T, ...) values, (B,) lengths, and perhaps more."""

_NEAR = 1e-4  # of the largest value: sums in another order differ by less


def padded(rows: Sequence[Tensor], more: int = 0, content: float = 0.0) -> tuple[Tensor, Tensor]:
    """Rows (N_i, ...) -> (B, N + more, ...), (B,); padding is noise as loud as `content`."""
    lengths = torch.tensor([len(row) for row in rows])
    size = int(lengths.max()) + more
    batch = torch.randn(len(rows), size, *rows[0].shape[1:]) * content
    for place, row in zip(batch, rows, strict=True):
        place[: len(row)] = row
    return batch, lengths


def difference(found: Tensor, expected: Tensor) -> str:
    """How two results differ beyond rounding, in words; empty where they do not."""
    if found.shape != expected.shape:
        return f"the shape is {tuple(found.shape)}, not {tuple(expected.shape)}"
    if not found.numel():
        return ""
    found, expected = found.detach().double(), expected.detach().double()
    largest = torch.where(expected.isfinite(), expected.abs(), 0.0).max()
    limit = _NEAR * max(1.0, float(largest))
    off = (found - expected).abs().nan_to_num(nan=torch.inf)
    off = torch.where(found == expected, 0.0, off)  # of two infinities, too
    if float(off.max()) <= limit:
        return ""
    where = [int(each) for each in (off > limit).nonzero()[0]]
    many = int((off > limit).sum())
    return (
        f"{many} of {off.numel()} numbers differ, by up to {float(off.max()):.3g}, the first at "
        f"{where}: {float(found[tuple(where)]):.5g}, not {float(expected[tuple(where)]):.5g}"
    )


def unlike_alone(part: Part, rows: Sequence[Tensor], more: int, content: float) -> None:
    """Compare rows in a batch, padded, with each of them alone and not padded.

    Raises:
        Unmet: a row differs, or has another length.
    """
    together, lengths, *times = part(*padded(rows, more, content))
    for number, row in enumerate(rows):
        alone, length, *alone_times = part(*padded([row]))
        said = f"row {number} of lengths {[len(each) for each in rows]}"
        if int(lengths[number]) != int(length[0]):
            raise Unmet(
                f"{said} has {int(lengths[number])} frames in the batch, {int(length[0])} alone"
            )
        size = int(length[0])
        for found, expected in zip((together, *times), (alone, *alone_times), strict=True):
            if why := difference(found[number, :size], expected[0, :size]):
                raise Unmet(f"{said} is not what it is alone: {why}")


def unlike_zeros(part: Part, rows: Sequence[Tensor], more: int, content: float) -> None:
    """Compare rows padded with noise to the same padded with zeros.

    Raises:
        Unmet: a row differs.
    """
    silent, lengths, *_ = part(*padded(rows, more))
    loud, loud_lengths, *_ = part(*padded(rows, more, content))
    if loud_lengths.tolist() != lengths.tolist():
        raise Unmet(f"lengths are {loud_lengths.tolist()}, not {lengths.tolist()}")
    for number, size in enumerate(lengths.tolist()):
        if why := difference(loud[number, :size], silent[number, :size]):
            raise Unmet(f"row {number} of {size} frames changes with what follows it: {why}")


def unlike_before(before: Sequence[Tensor], after: Sequence[Tensor], names: Sequence[str]) -> None:
    """Compare what a part was given, as it was and as it is now.

    Raises:
        Unmet: something was changed in place.
    """
    for name, was, now in zip(names, before, after, strict=True):
        if was.shape != now.shape or not torch.equal(was, now):
            raise Unmet(f"its input `{name}` is changed in place")
