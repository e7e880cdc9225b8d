import importlib.util
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from numpy.typing import NDArray
from torch import Tensor

from speechkit import DataError, RecipeError
from speechkit_augment.room import Room, RoomConfig

RATE = 16_000
Streams = Callable[..., list[np.random.Generator]]
needs_pyroomacoustics = pytest.mark.skipif(
    importlib.util.find_spec("pyroomacoustics") is None, reason="pyroomacoustics is absent"
)


def heard(values: Tensor, streams: Streams, seed: int = 0, **kwargs) -> Tensor:
    """Every row in a room."""
    room = Room(RoomConfig(probability=1.0, **kwargs), sample_rate=RATE)
    lengths = torch.full((len(values),), values.shape[1])
    return room(values, lengths, streams(range(len(values)), seed))[0]


def clicks(rows: int, samples: int = RATE, at: int = 0) -> Tensor:
    values = torch.zeros(rows, samples)
    values[:, at] = 1.0
    return values


def rt60_seconds(response: NDArray) -> float:
    """Schroeder's backward integral from -5 to -25 dB, three times as long."""
    left = np.square(response.astype(np.float64))[::-1].cumsum()[::-1]
    level = 10 * np.log10(left / left[0] + 1e-30)
    begin, end = (np.flatnonzero(level <= limit)[0] for limit in (-5, -25))
    return 3 * (end - begin) / RATE


@pytest.mark.parametrize("seconds", [0.1, 0.3, 0.6])
def test_decay_lasts_as_long_as_asked_for(seconds: float, streams: Streams) -> None:
    found = heard(
        clicks(10), streams, rt60_seconds=(seconds, seconds), direct_db=(-10.0, -10.0)
    ).numpy()
    assert [rt60_seconds(each) for each in found] == pytest.approx([seconds] * 10, rel=0.1)


@needs_pyroomacoustics
def test_rooms_of_six_walls_reverberate_about_as_long_as_asked_for(streams: Streams) -> None:
    keys = {"model": "shoebox", "rooms": 4, "rt60_seconds": (0.3, 0.3)}
    found = heard(clicks(6), streams, **keys).numpy()
    times = [rt60_seconds(each) for each in found]
    assert len({round(each, 4) for each in times}) > 1
    assert times == pytest.approx([0.3] * 6, rel=0.35)


def test_without_pyroomacoustics_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(RecipeError, match="need the package pyroomacoustics") as it:
        Room(RoomConfig(model="shoebox"), sample_rate=RATE)
    assert "pip install pyroomacoustics" in it.value.hint


@pytest.mark.parametrize("direct_db", [-6.0, 0.0, 12.0])
def test_direct_sound_over_the_rest_is_as_asked_for(direct_db: float, streams: Streams) -> None:
    found = heard(clicks(5), streams, direct_db=(direct_db, direct_db)).numpy()
    ratio = np.square(found[:, 0]) / np.square(found[:, 1:]).sum(axis=1)
    assert 10 * np.log10(ratio) == pytest.approx([direct_db] * 5, abs=0.1)


@pytest.mark.parametrize("model", ["decay", pytest.param("shoebox", marks=needs_pyroomacoustics)])
def test_a_click_stays_where_it_is_and_as_loud(model: str, streams: Streams) -> None:
    keys = {"model": model, "rooms": 3, "rt60_seconds": (0.2, 0.2)}
    found = heard(clicks(6, at=3000), streams, **keys)
    assert found.abs().argmax(dim=1).tolist() == [3000] * 6
    assert torch.allclose(found.square().sum(dim=1), torch.ones(6), atol=1e-3)


def test_equals_convolution(tmp_path: Path, streams: Streams) -> None:
    random = np.random.default_rng(0)
    response = random.standard_normal(300) * np.exp(-np.arange(300) / 50)
    response[40] = 9.0
    soundfile.write(tmp_path / "room.wav", response / 10, RATE, subtype="DOUBLE")
    values = torch.from_numpy(random.standard_normal((2, 1000)).astype(np.float32))
    found = heard(values, streams, path=tmp_path).numpy()
    unit = response / np.sqrt(np.square(response).sum())
    for row, wave in zip(found, values.numpy(), strict=True):
        assert np.allclose(row, np.convolve(wave, unit)[40:1040], atol=1e-2)
        # What is inaudible is cut off: a thousandth of the amplitude at most.
        assert np.sqrt(np.mean(np.square(row - np.convolve(wave, unit)[40:1040]))) < 1e-3


def test_as_many_rooms_as_asked_for(streams: Streams) -> None:
    for rooms in (1, 3):
        found = heard(clicks(40, 2000), streams, rooms=rooms)
        assert len({tuple(row.tolist()) for row in found}) == rooms


def test_rooms_are_the_same_in_another_process(streams: Streams) -> None:
    first = heard(clicks(3, 2000), streams)
    room = Room(RoomConfig(probability=1.0), sample_rate=RATE)
    # Made in another order.
    for row in (2, 0, 1):
        alone, _, _ = room(clicks(1, 2000), torch.tensor([2000]), streams([row]))
        assert torch.allclose(alone[0], first[row], atol=1e-6)


def test_a_silent_response_is_named(tmp_path: Path, streams: Streams) -> None:
    soundfile.write(tmp_path / "silent.wav", np.zeros(100), RATE)
    with pytest.raises(DataError, match=r"silent\.wav is silent"):
        heard(clicks(1), streams, path=tmp_path)
