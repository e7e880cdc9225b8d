"""What every extractor must hold."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import speechkit_features
from speechkit import Config, FeatureExtractor

# What is offered, with settings beside the defaults. Cepstra and normalised frames are sums of
# rounding errors: hence how far a row in a batch may be from the row alone.
EXTRACTORS: dict[str, list[tuple[dict, float]]] = {
    "log_mel": [({}, 1e-5)],
    "mfcc": [({}, 1e-4), ({"deltas": 2}, 1e-4)],
    "spectrogram": [({}, 1e-5), ({"normalize_frames": False, "exponent": 2.0}, 1e-4)],
    "sphinx_mfcc": [({}, 1e-6), ({"remove_silence": False, "input_rate": 8000}, 1e-6)],
}
CASES = [(name, keys, near) for name, cases in EXTRACTORS.items() for keys, near in cases]
every_extractor = pytest.mark.parametrize(("name", "keys", "near"), CASES)


def offered() -> dict[str, tuple[type[Config], Callable[..., FeatureExtractor]]]:
    return {
        each.name: (each.config, each.build) for each in speechkit_features.speechkit_features()
    }


def build(name: str, keys: dict) -> FeatureExtractor:
    config, make = offered()[name]
    return make(config(**keys))


def test_these_are_all() -> None:
    assert set(offered()) == set(EXTRACTORS)


@every_extractor
@settings(deadline=None, max_examples=12)
@given(
    lengths=st.lists(st.integers(0, 2500) | st.integers(0, 210), min_size=1, max_size=4),
    more=st.integers(0, 700),
    seed=st.integers(0, 9),
)
def test_a_row_is_the_same_alone_and_beside_others(
    name: str,
    keys: dict,
    near: float,
    speechlike: Callable[..., Tensor],
    lengths: list[int],
    more: int,
    seed: int,
) -> None:
    extractor = build(name, keys)
    waves = [speechlike(length, seed + row) for row, length in enumerate(lengths)]
    batch = torch.full((len(lengths), max(lengths) + more), torch.nan)
    for row, wave in enumerate(waves):
        batch[row, : len(wave)] = wave
    before = batch.clone()
    values, frames, *times = extractor(batch, torch.tensor(lengths))

    assert torch.equal(batch.nan_to_num(9), before.nan_to_num(9))
    assert values.dtype == torch.float32
    assert values.shape[2] == extractor.dim
    assert values.isfinite().all()
    for row, wave in enumerate(waves):
        alone, alone_frames, *alone_times = extractor(wave[None], torch.tensor([len(wave)]))
        assert frames[row] == alone_frames[0] == alone.shape[1]
        assert not values[row, frames[row] :].any()
        assert torch.allclose(values[row, : frames[row]], alone[0], atol=near, rtol=1e-5)
        for found, expected in zip(times, alone_times, strict=True):
            assert torch.equal(found[row, : frames[row]], expected[0])


@every_extractor
def test_autocast_costs_no_precision_and_no_gradient_flows(
    name: str, keys: dict, near: float, speechlike: Callable[..., Tensor]
) -> None:
    extractor, wave = build(name, keys), speechlike(4000)[None].requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        values = extractor(wave, torch.tensor([4000]))[0]
    assert torch.equal(values, extractor(wave, torch.tensor([4000]))[0])
    assert not values.requires_grad


@every_extractor
def test_nothing_is_in_the_state(name: str, keys: dict, near: float) -> None:
    assert not build(name, keys).state_dict()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@every_extractor
def test_the_same_on_a_gpu(
    name: str, keys: dict, near: float, speechlike: Callable[..., Tensor]
) -> None:
    waves = torch.stack([speechlike(16_000, 1), speechlike(16_000, 2)])
    lengths = torch.tensor([16_000, 9000])
    extractor = build(name, keys)
    here = extractor(waves, lengths)
    with torch.autocast("cuda", torch.bfloat16):
        there = extractor.cuda()(waves.cuda(), lengths.cuda())
    for ours, theirs in zip(here, there, strict=True):
        assert theirs.is_cuda
        assert torch.allclose(ours, theirs.cpu(), atol=10 * near, rtol=1e-4)
