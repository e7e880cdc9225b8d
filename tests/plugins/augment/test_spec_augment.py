from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from speechkit_augment.spec_augment import SpecAugment, SpecAugmentConfig
from torch import Tensor

from speechkit import RecipeError

DIM = 40


def streams(rows: Sequence[int], seed: int = 0) -> list[np.random.Generator]:
    return [np.random.default_rng([seed, row]) for row in rows]


def masked(values: Tensor, lengths: list[int], seed: int = 0, **kwargs) -> Tensor:
    settings = {"frequency_mask_width": 10, "time_mask_width": 30, **kwargs}
    augment = SpecAugment(SpecAugmentConfig(**settings), dim=DIM)
    found, after, sources = augment(
        values, torch.tensor(lengths), streams(range(len(lengths)), seed)
    )
    assert after.tolist() == lengths
    assert sources.tolist() == list(range(len(lengths)))
    return found


def runs(hidden: Tensor) -> list[int]:
    """Lengths of the runs of true in (N,)."""
    edges = torch.nn.functional.pad(hidden.int(), (1, 1)).diff()
    return (edges.eq(-1).nonzero() - edges.eq(1).nonzero()).flatten().tolist()


@settings(deadline=None)
@given(st.integers(0, 9999), st.integers(1, 200))
def test_masks_are_whole_bands_and_stretches_within_their_limits(seed: int, length: int) -> None:
    hidden = masked(torch.ones(1, length, DIM), [length], seed)[0].eq(0)
    stretches, bands = hidden.all(dim=1), hidden.all(dim=0)
    if stretches.all() or bands.all():
        return
    assert torch.equal(hidden, stretches[:, None] | bands)
    assert bands.sum() <= 20
    limit = min(30, int(0.2 * length))
    assert stretches.sum() <= 2 * limit
    for found, one in ((runs(bands), 10), (runs(stretches), limit)):
        assert max(found, default=0) <= (one if len(found) == 2 else 2 * one)


def test_widths_and_places_are_evenly_distributed() -> None:
    rows = 4000
    settings = {"frequency_masks": 1, "time_masks": 1, "time_mask_share": 1.0}
    hidden = masked(torch.ones(rows, 100, DIM), [100] * rows, **settings).eq(0)
    bands = hidden.all(dim=1).sum(dim=1)
    stretches = hidden.all(dim=2).sum(dim=1)
    for widths, most in ((bands, 10), (stretches, 30)):
        counts = torch.bincount(widths, minlength=most + 1) / rows
        assert len(counts) == most + 1
        assert (counts - 1 / (most + 1)).abs().max() < 0.03
    # The middle is covered by every width, the edges by few places.
    covered = hidden.all(dim=1).float().mean(dim=0)
    assert covered[15:25].std() < 0.02
    assert covered[0] < covered[20] / 2
    assert 0.02 < float(covered[0]) == pytest.approx(float(covered[-1]), abs=0.012)


@settings(deadline=None)
@given(st.lists(st.integers(0, 60), min_size=1, max_size=5), st.integers(0, 20), st.integers(0, 99))
def test_a_row_is_the_same_alone_and_beside_others(
    lengths: list[int], more: int, seed: int
) -> None:
    values = torch.randn(len(lengths), max(lengths) + more, DIM, generator=torch.manual_seed(seed))
    for row, length in enumerate(lengths):
        values[row, length:] = torch.nan
    before = values.clone()
    together = masked(values, lengths, seed)

    assert torch.equal(values.nan_to_num(), before.nan_to_num())
    augment = SpecAugment(SpecAugmentConfig(frequency_mask_width=10, time_mask_width=30), dim=DIM)
    for row, length in enumerate(lengths):
        alone, _, _ = augment(
            values[row : row + 1, :length], torch.tensor([length]), streams([row], seed)
        )
        assert torch.equal(together[row, :length], alone[0])
        assert not together[row, length:].any()


def test_no_mask_and_no_probability_change_nothing() -> None:
    values = torch.randn(3, 50, DIM)
    for off in (
        {"probability": 0.0},
        {"frequency_masks": 0, "time_masks": 0},
        {"frequency_mask_width": 0, "time_mask_width": 0},
        {"frequency_mask_width": 0, "time_mask_share": 0.0},
    ):
        assert torch.equal(masked(values, [50, 50, 50], **off), values)


def test_probability_is_that_of_an_utterance() -> None:
    settings = {"probability": 0.3, "frequency_masks": 9, "frequency_mask_width": 30}
    changed = masked(torch.ones(2000, 20, DIM), [20] * 2000, **settings).eq(0).any(2).any(1)
    assert changed.float().mean() == pytest.approx(0.3, abs=0.04)


def test_as_many_numbers_are_drawn_whatever_comes_of_them() -> None:
    def next_number(length: int, **kwargs) -> float:
        draws = streams([0])
        augment = SpecAugment(SpecAugmentConfig(**kwargs), dim=DIM)
        augment(torch.ones(1, length, DIM), torch.tensor([length]), draws)
        return draws[0].random()

    assert len({next_number(n, probability=p) for n in (0, 7, 90) for p in (0.0, 0.5, 1.0)}) == 1


def test_dtype_is_kept() -> None:
    assert masked(torch.ones(1, 50, DIM, dtype=torch.bfloat16), [50]).dtype == torch.bfloat16


def test_a_band_wider_than_the_features_is_refused() -> None:
    with pytest.raises(RecipeError, match="frequency_mask_width 27 is more than the 13 features"):
        SpecAugment(SpecAugmentConfig(), dim=13)
    SpecAugment(SpecAugmentConfig(frequency_masks=0), dim=13)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_the_same_on_a_gpu() -> None:
    values, lengths = torch.randn(4, 90, DIM), torch.tensor([90, 50, 3, 0])
    augment = SpecAugment(SpecAugmentConfig(), dim=DIM)
    here, _, _ = augment(values, lengths, streams(range(4)))
    there, _, sources = augment(values.cuda(), lengths.cuda(), streams(range(4)))
    assert torch.equal(here, there.cpu())
    assert sources.device == there.device
