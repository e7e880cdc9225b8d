from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from speechkit import RecipeError
from speechkit_augment.spec_augment import SpecAugment, SpecAugmentConfig

DIM = 40
Streams = Callable[..., list[np.random.Generator]]


def masked(values: Tensor, lengths: list[int], streams: Streams, seed: int = 0, **kwargs) -> Tensor:
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
@given(seed=st.integers(0, 9999), length=st.integers(1, 200))
def test_masks_are_whole_bands_and_stretches_within_their_limits(
    seed: int, length: int, streams: Streams
) -> None:
    hidden = masked(torch.ones(1, length, DIM), [length], streams, seed)[0].eq(0)
    stretches, bands = hidden.all(dim=1), hidden.all(dim=0)
    if stretches.all() or bands.all():
        return
    assert torch.equal(hidden, stretches[:, None] | bands)
    assert bands.sum() <= 20
    limit = min(30, int(0.2 * length))
    assert stretches.sum() <= 2 * limit
    for found, one in ((runs(bands), 10), (runs(stretches), limit)):
        assert max(found, default=0) <= (one if len(found) == 2 else 2 * one)


def test_widths_and_places_are_evenly_distributed(streams: Streams) -> None:
    rows = 4000
    settings = {"frequency_masks": 1, "time_masks": 1, "time_mask_share": 1.0}
    hidden = masked(torch.ones(rows, 100, DIM), [100] * rows, streams, **settings).eq(0)
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


def test_no_mask_and_no_probability_change_nothing(streams: Streams) -> None:
    values = torch.randn(3, 50, DIM)
    for off in (
        {"probability": 0.0},
        {"frequency_masks": 0, "time_masks": 0},
        {"frequency_mask_width": 0, "time_mask_width": 0},
        {"frequency_mask_width": 0, "time_mask_share": 0.0},
    ):
        assert torch.equal(masked(values, [50, 50, 50], streams, **off), values)


def test_probability_is_that_of_an_utterance(streams: Streams) -> None:
    settings = {"probability": 0.3, "frequency_masks": 9, "frequency_mask_width": 30}
    changed = (
        masked(torch.ones(2000, 20, DIM), [20] * 2000, streams, **settings).eq(0).any(2).any(1)
    )
    assert changed.float().mean() == pytest.approx(0.3, abs=0.04)


def test_dtype_is_kept(streams: Streams) -> None:
    assert (
        masked(torch.ones(1, 50, DIM, dtype=torch.bfloat16), [50], streams).dtype == torch.bfloat16
    )


def test_a_band_wider_than_the_features_is_refused() -> None:
    with pytest.raises(RecipeError, match="frequency_mask_width 27 is more than the 13 features"):
        SpecAugment(SpecAugmentConfig(), dim=13)
    SpecAugment(SpecAugmentConfig(frequency_masks=0), dim=13)


def test_views_are_copies_each_with_masks_of_its_own(streams: Streams) -> None:
    values, lengths = torch.rand(3, 50, DIM) + 1, torch.tensor([50, 20, 0])
    augment = SpecAugment(SpecAugmentConfig(frequency_mask_width=10, views=2), dim=DIM)
    found, after, sources = augment(values, lengths, streams(range(3), 0))
    assert found.shape == (6, 50, DIM)
    assert after.tolist() == [50, 20, 0, 50, 20, 0]
    assert sources.tolist() == [0, 1, 2, 0, 1, 2]
    hidden = found.eq(0)
    for row in range(6):
        assert torch.equal(found[row][~hidden[row]], values[row % 3][~hidden[row]])
    assert not torch.equal(hidden[0], hidden[3])
    assert not torch.equal(hidden[1, :20], hidden[4, :20])


def test_the_first_view_is_what_one_view_is(streams: Streams) -> None:
    values, lengths = torch.rand(1, 50, DIM) + 1, torch.tensor([50])
    found = [
        SpecAugment(SpecAugmentConfig(views=views), dim=DIM)(values, lengths, streams([0], 0))[0]
        for views in (1, 2)
    ]
    assert torch.equal(found[0][0], found[1][0])
