from collections.abc import Callable
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
import torch
from pydantic import ValidationError
from torch import Tensor

from speechkit import DataError, RecipeError
from speechkit_augment.gain import Gain, GainConfig
from speechkit_augment.noise import Noise, NoiseConfig, generated
from speechkit_augment.recordings import Recordings

RATE = 16_000
Streams = Callable[..., list[np.random.Generator]]


def tones(rows: int, samples: int = RATE) -> Tensor:
    """(rows, samples), each row of another loudness."""
    wave = torch.sin(2 * torch.pi * 440 * torch.arange(samples) / RATE)
    return wave * torch.logspace(-2, 0, rows)[:, None]


def added(values: Tensor, streams: Streams, seed: int = 0, **kwargs) -> Tensor:
    """The noise that was added, every row of full length."""
    noise = Noise(NoiseConfig(probability=1.0, **kwargs), sample_rate=RATE)
    lengths = torch.full((len(values),), values.shape[1])
    noisy, _, _ = noise(values, lengths, streams(range(len(values)), seed))
    return noisy - values


def decibels(speech: Tensor, noise: Tensor) -> Tensor:
    return 10 * (speech.square().mean(dim=1) / noise.square().mean(dim=1)).log10()


@pytest.mark.parametrize("kind", ["white", "pink", "folder", "babble"])
@pytest.mark.parametrize("snr_db", [-3.0, 3.0, 20.0])
def test_the_ratio_is_that_asked_for(
    kind: str, snr_db: float, folder: Path, streams: Streams
) -> None:
    keys = {"folder": {"path": folder}, "babble": {"path": folder, "voices": 5}}
    values = tones(8)
    noise = added(values, streams, snr_db=(snr_db, snr_db), **keys.get(kind, {"color": kind}))
    assert torch.allclose(decibels(values, noise), torch.tensor(snr_db), atol=1e-2)


def test_the_ratio_is_that_of_the_utterance_without_its_padding(streams: Streams) -> None:
    values, length = tones(1, 8_000), 3_000
    noise = Noise(NoiseConfig(probability=1.0, snr_db=(10.0, 10.0)), sample_rate=RATE)
    noisy, _, _ = noise(values, torch.tensor([length]), streams([0]))
    difference = (noisy - values)[:, :length]
    assert decibels(values[:, :length], difference) == pytest.approx(10.0, abs=1e-2)


def test_ratios_are_evenly_distributed(streams: Streams) -> None:
    values = tones(1, 400).expand(2000, -1)
    found = decibels(values, added(values, streams, snr_db=(0.0, 20.0)))
    assert found.min() > -0.1
    assert found.max() < 20.1
    shares = torch.histc(found, bins=4, min=0, max=20) / 2000
    assert (shares - 0.25).abs().max() < 0.04


def test_silence_stays_silent(streams: Streams) -> None:
    assert not added(torch.zeros(2, 500), streams).any()


@pytest.mark.parametrize(("color", "octave_db"), [("white", 3.0), ("pink", 0.0)])
def test_energy_an_octave(color: str, octave_db: float) -> None:
    power = np.abs(np.fft.rfft(generated(color, 2**18, seed=1))) ** 2
    octaves = [power[2**k : 2 ** (k + 1)].sum() for k in range(11, 17)]
    assert np.diff(10 * np.log10(octaves)) == pytest.approx([octave_db] * 5, abs=0.3)


def test_pieces_of_a_recording_come_from_all_of_it(tmp_path: Path) -> None:
    ramp = np.arange(1000) / 1000
    soundfile.write(tmp_path / "ramp.wav", ramp, RATE, subtype="FLOAT")
    recordings = Recordings(tmp_path, sample_rate=RATE)
    for where, first in ((0.0, 0), (0.5, 450), (0.9999, 900)):
        assert np.allclose(recordings.part(0.0, where, 100), ramp[first : first + 100])
    # Too short: from somewhere on, and again from the beginning.
    assert np.allclose(recordings.part(0.0, 0.25, 2300), np.resize(np.roll(ramp, -250), 2300))


def test_recordings_are_resampled(tmp_path: Path) -> None:
    seconds = np.arange(44_100) / 44_100
    soundfile.write(tmp_path / "tone.wav", 0.5 * np.sin(2 * np.pi * 1000 * seconds), 44_100)
    part = Recordings(tmp_path, sample_rate=RATE).part(0.0, 0.0, 8000)
    assert len(part) == 8000
    assert np.abs(np.fft.rfft(part)).argmax() == 500


def test_a_part_of_another_rate_is_one_piece(tmp_path: Path) -> None:
    rising = np.linspace(0, 0.9, 3 * 12_000)
    soundfile.write(tmp_path / "rising.wav", rising, 3 * RATE, subtype="FLOAT")
    recordings = Recordings(tmp_path, sample_rate=RATE)
    for where in (0.0, 0.5, 0.999):
        part = recordings.part(0.0, where, 8000)[50:-50]  # the filter's edges aside
        assert (np.diff(part) > 0).all()
        assert part[0] == pytest.approx(0.9 * (4000 * where + 50) / 12_000, abs=1e-3)


def test_every_recording_is_used_and_what_is_none_is_not(folder: Path) -> None:
    recordings = Recordings(folder, sample_rate=RATE)
    assert [path.name for path in recordings._files] == ["long.wav", "loud.ogg", "short.flac"]
    assert all(len(recordings.part(which, 0.5, 1000)) == 1000 for which in (0.0, 0.4, 0.99))


def test_recordings_of_a_parquet_file_are_those_of_its_folder(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    files = Recordings(folder, sample_rate=RATE)._files
    audio = [{"bytes": file.read_bytes(), "path": file.name} for file in files]
    pq.write_table(pa.table({"id": ["a", "b", "c"], "audio": audio}), tmp_path / "all.parquet")
    recordings = [Recordings(each, sample_rate=RATE) for each in (folder, tmp_path / "all.parquet")]
    for which in (0.0, 0.4, 0.99):
        parts = [each.part(which, 0.5, 1000) for each in recordings]
        assert np.array_equal(*parts)
    assert np.array_equal(*(each.whole(0.4) for each in recordings))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"id": ["a"]}, "holds no recordings: Column"),
        ({"audio": ["a.wav"]}, "row 1 names a file"),
        ({"audio": pa.nulls(0, pa.string())}, "holds no recordings"),
        (b"nonsense", "holds no recordings"),
    ],
)
def test_a_parquet_file_without_recordings_is_refused(
    table: dict | bytes, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    file = tmp_path / "bad.parquet"
    if isinstance(table, bytes):
        file.write_bytes(table)
    else:
        pq.write_table(pa.table(table), file)
    with pytest.raises((RecipeError, DataError), match=message) as told:
        Recordings(file, sample_rate=RATE).whole(0.0)
    assert "bad.parquet" in str(told.value)


def test_voices_of_babble_are_equally_loud(tmp_path: Path, streams: Streams) -> None:
    seconds = np.arange(RATE) / RATE
    for hertz, level in ((1000, 0.9), (3000, 0.003)):
        tone = level * np.sin(2 * np.pi * hertz * seconds)
        soundfile.write(tmp_path / f"{hertz}.wav", tone, RATE, subtype="FLOAT")
    values = tones(30)
    power = torch.fft.rfft(added(values, streams, path=tmp_path, voices=2)).abs().square()
    ratio = power[:, 1000] / power[:, 3000]
    ratio = ratio[(ratio > 1e-4) & (ratio < 1e4)]  # else both voices were the same recording
    assert len(ratio) > 5
    assert torch.allclose(ratio, torch.ones_like(ratio), rtol=0.01)


def test_folders_without_recordings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no audio file in"):
        Noise(NoiseConfig(path=tmp_path), sample_rate=RATE)
    with pytest.raises(RecipeError, match="gone is no folder"):
        Noise(NoiseConfig(path=tmp_path / "gone"), sample_rate=RATE)


@pytest.mark.parametrize("content", [b"", b"not audio"])
def test_a_file_that_is_no_audio_is_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "bad.wav").write_bytes(content)
    with pytest.raises(DataError, match=r"bad\.wav cannot be read as audio"):
        Recordings(tmp_path, sample_rate=RATE).part(0.0, 0.0, 10)


def test_an_empty_recording_is_named(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), RATE)
    with pytest.raises(DataError, match=r"empty\.wav holds no audio"):
        Recordings(tmp_path, sample_rate=RATE).part(0.0, 0.0, 10)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"voices": 4}, "4 voices need recordings"),
        ({"snr_db": (20.0, 5.0)}, "reaches from 20 to 5"),
    ],
)
def test_impossible_settings_are_refused(wrong: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        NoiseConfig(**wrong)


def test_gain_is_that_asked_for_and_clips(streams: Streams) -> None:
    values = torch.tensor([[0.5, -0.25, 0.001, -1.5]])
    gain = Gain(GainConfig(gain_db=(6.0206, 6.0206)))
    louder, _, _ = gain(values, torch.tensor([4]), streams([0]))
    assert torch.allclose(louder, torch.tensor([[1.0, -0.5, 0.002, -1.5]]), atol=1e-5)
    gain = Gain(GainConfig(gain_db=(-20.0, -20.0)))
    softer, _, _ = gain(values, torch.tensor([4]), streams([0]))
    assert torch.allclose(softer, values / 10)


def test_gains_are_evenly_distributed_in_decibels(streams: Streams) -> None:
    values = torch.full((2000, 1), 0.5)
    gain = Gain(GainConfig(gain_db=(-20.0, 0.0)))
    changed, _, _ = gain(values, torch.ones(2000, dtype=torch.long), streams(range(2000)))
    shares = torch.histc(20 * (changed / 0.5).log10(), bins=4, min=-20, max=0) / 2000
    assert (shares - 0.25).abs().max() < 0.04


def test_samples_that_are_no_numbers_are_told(tmp_path: Path) -> None:
    wave = np.full(RATE, np.nan, dtype=np.float32)
    soundfile.write(tmp_path / "odd.wav", wave, RATE, subtype="FLOAT")
    recordings = Recordings(tmp_path, sample_rate=RATE)
    with pytest.raises(DataError, match=r"odd\.wav has samples that are no finite numbers"):
        recordings.part(0.0, 0.0, 100)
    with pytest.raises(DataError, match=r"odd\.wav has samples that are no finite numbers"):
        recordings.whole(0.0)
