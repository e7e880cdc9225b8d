"""What every augmentation must hold."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import speechkit_augment
from speechkit import Augmentation

RATE = 16_000
DIM = 8
Streams = Callable[..., list[np.random.Generator]]

# What is offered, with settings beside the defaults; FOLDER becomes a folder of recordings.
FOLDER = object()
AUGMENTATIONS: dict[str, list[dict]] = {
    "gain": [{}, {"gain_db": (-6.0, 12.0), "probability": 0.5}],
    "n2": [{"probability": 0.5}],
    "noise": [
        {},
        {"color": "white", "probability": 1.0},
        {"path": FOLDER, "probability": 0.8},
        {"path": FOLDER, "voices": 4},
    ],
    "room": [{"probability": 0.8, "rooms": 5}, {"path": FOLDER}],
    "spec_augment": [
        {"frequency_mask_width": 5, "time_mask_width": 30},
        {"frequency_mask_width": 5, "views": 3},
    ],
    "speed": [{}, {"factors": [0.75, 1.25], "probability": 0.7}],
    "tempo": [{}, {"factors": (0.75, 1.25), "probability": 0.7}],
    "vtlp": [{}, {"probability": 0.5}, {"filters": 15, "lifter": 22}],
}
CASES = [(name, keys) for name, cases in AUGMENTATIONS.items() for keys in cases]
every_augmentation = pytest.mark.parametrize(("name", "keys"), CASES)


def build(name: str, keys: dict, folder: Path) -> Augmentation:
    [component] = [
        each for each in speechkit_augment.speechkit_augmentations() if each.name == name
    ]
    keys = {key: folder if value is FOLDER else value for key, value in keys.items()}
    return component.build(component.config(**keys), sample_rate=RATE, dim=DIM)


def batch(augment: Augmentation, lengths: list[int], more: int, seed: int) -> Tensor:
    """Rows of these lengths, padded with NaN."""
    size = (len(lengths), max(lengths) + more, *((DIM,) if augment.stage == "features" else ()))
    values = torch.randn(size, generator=torch.manual_seed(seed)) / 4
    for row, length in enumerate(lengths):
        values[row, length:] = torch.nan
    return values


def test_these_are_all() -> None:
    offered = [each.name for each in speechkit_augment.speechkit_augmentations()]
    assert offered == sorted(AUGMENTATIONS)


@every_augmentation
@settings(deadline=None, max_examples=15)
@given(
    lengths=st.lists(st.integers(0, 2500) | st.integers(0, 3), min_size=1, max_size=4),
    more=st.integers(0, 300),
    seed=st.integers(0, 999),
)
def test_a_row_is_the_same_alone_and_beside_others(
    name: str,
    keys: dict,
    folder: Path,
    streams: Streams,
    lengths: list[int],
    more: int,
    seed: int,
) -> None:
    augment = build(name, keys, folder)
    values = batch(augment, lengths, more, seed)
    before = values.clone()
    rows = range(len(lengths))
    together, after, sources = augment(values, torch.tensor(lengths), streams(rows, seed))

    assert torch.equal(values.nan_to_num(9), before.nan_to_num(9))
    assert together.dtype == values.dtype
    assert len(together) == len(after) == len(sources)
    assert sources[: len(lengths)].tolist() == list(rows)
    for row, length in enumerate(lengths):
        alone, alone_after, _ = augment(
            values[row : row + 1, :length], torch.tensor([length]), streams([row], seed)
        )
        mine = sources == row
        assert after[mine].tolist() == alone_after.tolist()
        for found, expected, size in zip(together[mine], alone, alone_after, strict=True):
            assert torch.allclose(found[:size], expected[:size], atol=2e-6)
            assert not found[size:].any()
            assert not expected[size:].any()


@every_augmentation
def test_the_same_numbers_give_the_same_and_others_another(
    name: str, keys: dict, folder: Path, streams: Streams
) -> None:
    augment = build(name, keys, folder)
    values, lengths = batch(augment, [1500] * 6, 0, 0), torch.tensor([1500] * 6)
    once, again, other = (
        build(name, keys, folder)(values, lengths, streams(range(6), seed))[0] for seed in (1, 1, 2)
    )
    assert torch.equal(once, again)
    assert once.shape != other.shape or not torch.equal(once, other)


@every_augmentation
def test_probability_0_changes_nothing(
    name: str, keys: dict, folder: Path, streams: Streams
) -> None:
    augment = build(name, {**keys, "probability": 0.0}, folder)
    values, lengths = batch(augment, [700, 1500, 0], 0, 0), torch.tensor([700, 1500, 0])
    same, after, sources = augment(values, lengths, streams(range(3)))
    assert torch.equal(same, values[sources].nan_to_num(0))
    assert torch.equal(after, lengths[sources])
    assert sources.tolist() == [0, 1, 2] * keys.get("views", 1)


@every_augmentation
def test_probability_is_that_of_an_utterance(
    name: str, keys: dict, folder: Path, streams: Streams
) -> None:
    if name in {"spec_augment", "speed", "tempo"}:
        pytest.skip("may change nothing where it is applied: a test of its own")
    augment = build(name, {**keys, "probability": 0.3}, folder)
    values, lengths = batch(augment, [40] * 1000, 0, 0), torch.tensor([40] * 1000)
    changed, _, sources = augment(values, lengths, streams(range(1000)))
    copied = torch.bincount(sources) > 1
    different = (changed[:1000, :40] != values).flatten(1).any(dim=1)
    assert (copied | different).float().mean() == pytest.approx(0.3, abs=0.05)


@every_augmentation
def test_as_many_numbers_are_drawn_whatever_comes_of_them(
    name: str, keys: dict, folder: Path, streams: Streams
) -> None:
    def next_number(length: int, probability: float) -> float:
        draws = streams([0])
        augment = build(name, {**keys, "probability": probability}, folder)
        augment(batch(augment, [length], 0, 0), torch.tensor([length]), draws)
        return draws[0].random()

    assert len({next_number(n, p) for n in (0, 7, 900) for p in (0.0, 0.5, 1.0)}) == 1


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@every_augmentation
def test_the_same_on_a_gpu(name: str, keys: dict, folder: Path, streams: Streams) -> None:
    augment = build(name, keys, folder)
    lengths = [4000, 9000, 10, 0, 8000]
    values, rows = batch(augment, lengths, 5, 0), range(5)
    here = augment(values, torch.tensor(lengths), streams(rows))
    there = augment(values.cuda(), torch.tensor(lengths).cuda(), streams(rows))
    for ours, theirs in zip(here, there, strict=True):
        assert theirs.is_cuda
        assert torch.allclose(ours, theirs.cpu(), atol=1e-5)
