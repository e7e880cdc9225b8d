from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

from speechkit import DataError
from speechkit_augment.n2 import N2, N2Config

RATE = 16_000
Streams = Callable[..., list[np.random.Generator]]


@pytest.fixture(scope="module")
def speech() -> Tensor:
    return torch.randn(3, 4000, generator=torch.manual_seed(0)) / 5


def copies(speech: Tensor, streams: Streams, **kwargs) -> tuple[Tensor, Tensor, Tensor]:
    """Everything copied."""
    lengths = torch.full((len(speech),), speech.shape[1])
    augment = N2(N2Config(probability=1.0, **kwargs), sample_rate=RATE)
    return augment(speech, lengths, streams(range(len(speech))))


def test_two_copies_follow_the_utterances(speech: Tensor, streams: Streams) -> None:
    values, lengths, sources = copies(speech, streams)
    more = int(0.145 * RATE) - 1
    assert sources.tolist() == [0, 1, 2, 0, 0, 1, 1, 2, 2]
    assert lengths.tolist() == [4000] * 3 + [4000, 4000 + more] * 3
    assert values.shape == (9, 4000 + more)
    assert torch.equal(values[:3, :4000], speech)


def test_a_tenth_of_the_utterances_is_copied(streams: Streams) -> None:
    speech = torch.randn(3000, 50)
    augment = N2(N2Config(), sample_rate=RATE)
    _, _, sources = augment(speech, torch.full((3000,), 50), streams(range(3000)))
    copied = torch.bincount(sources)
    assert set(copied.tolist()) == {1, 3}
    assert (copied == 3).float().mean() == pytest.approx(0.1, abs=0.02)


@pytest.mark.parametrize("recorded", [0, 2_000, 9_000])
def test_the_noisy_copy_has_noise_at_3_db(
    recorded: int, speech: Tensor, streams: Streams, tmp_path: Path
) -> None:
    keys = {}
    noise = np.random.default_rng(0).standard_normal(recorded) / 10
    if recorded:
        soundfile.write(tmp_path / "noise.wav", noise, RATE, subtype="FLOAT")
        keys["noise_file"] = tmp_path / "noise.wav"
    values, _, _ = copies(speech, streams, **keys)
    added = values[3::2, :4000] - speech
    ratio = speech.square().sum(dim=1) / added.square().sum(dim=1)
    assert torch.allclose(10 * ratio.log10(), torch.tensor(3.0), atol=1e-2)
    if recorded:  # cut, or stretched
        expected = noise[:4000]
        if recorded < 4000:
            place = (np.arange(4000) + 0.5) * recorded / 4000 - 0.5
            expected = np.interp(place, np.arange(recorded), noise)
        for row in added.numpy():
            assert np.corrcoef(row, expected)[0, 1] > 0.9999


def test_the_copy_in_a_room_is_the_full_convolution(
    speech: Tensor, streams: Streams, tmp_path: Path
) -> None:
    response = np.random.default_rng(0).standard_normal(16_000) / 10
    # At half the rate: N2 took it sample for sample.
    soundfile.write(tmp_path / "room.wav", response, 8_000, subtype="DOUBLE")
    values, lengths, _ = copies(
        speech,
        streams,
        impulse_response_file=tmp_path / "room.wav",
        impulse_response_seconds=(1.01, 1.3),
    )
    part = response[8080:10400]
    assert lengths[4] == 4000 + len(part) - 1
    for row, wave in zip(values[4::2], speech, strict=True):
        expected = np.convolve(wave.numpy(), part / np.sqrt(np.square(part).sum()))
        assert np.allclose(row[: len(expected)].numpy(), expected, atol=1e-4)


def test_a_part_beyond_the_response_is_refused(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "room.wav", np.ones(8_000), 8_000)
    config = N2Config(
        impulse_response_file=tmp_path / "room.wav", impulse_response_seconds=(1.01, 1.3)
    )
    with pytest.raises(DataError, match=r"silent from 1\.01 s to 1\.3 s; it lasts 1\.00 s"):
        N2(config, sample_rate=RATE)


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.wav cannot be read as audio"):
        N2(N2Config(noise_file=tmp_path / "gone.wav"), sample_rate=RATE)
