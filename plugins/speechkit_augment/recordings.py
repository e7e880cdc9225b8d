"""Recordings of noise to mix in, of speech for babble, of impulse responses of rooms."""

import io
import math
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import datasets
import datasets.exceptions
import numpy as np
import pyarrow as pa
import soundfile
import torch
import torchaudio
from numpy.typing import NDArray

from speechkit import DataError, RecipeError

Samples = NDArray[np.float32]

SUFFIXES = {".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".sph", ".w64"}


class Recordings:
    """The audio files in a folder and its folders, by path, or the recordings in a Parquet file.

    A Parquet file is what a corpus is kept in: its column `audio` has recordings as `datasets` and
    the hub write them. So the speech a model is trained on can be the babble behind it.

    Raises:
        RecipeError: there is no such folder or file, or no recording in it.
    """

    def __init__(self, path: Path, *, sample_rate: int) -> None:
        self.path = path
        self.sample_rate = sample_rate
        self.count = len(self._rows if path.is_file() else self._files)

    @cached_property
    def _files(self) -> Sequence[Path]:
        if not self.path.is_dir():
            raise RecipeError(
                f"{self.path} is no folder", hint="give a folder of audio files, or a Parquet file"
            )
        found = sorted(
            file
            for file in self.path.rglob("*")
            if file.suffix.lower() in SUFFIXES and file.is_file()
        )
        if not found:
            kinds = " ".join(sorted(SUFFIXES))
            raise RecipeError(f"no audio file in {self.path}", hint=f"files read: {kinds}")
        return found

    @cached_property
    def _rows(self) -> datasets.Dataset:
        """Rows with `audio`: {"bytes", "path"}; on disk, mapped into memory."""
        hint = "give a folder of audio files, or a Parquet file with a column `audio`"
        try:
            rows = datasets.Dataset.from_parquet(str(self.path))
            rows = rows.select_columns(["audio"])
            rows = rows.cast_column("audio", datasets.Audio(decode=False))
        except (OSError, ValueError, datasets.exceptions.DatasetsError, pa.ArrowException) as error:
            why = " ".join(f"{error.__cause__ or error}".split())
            raise RecipeError(f"{self.path} holds no recordings: {why:.200}", hint=hint) from None
        return rows

    def _source(self, which: float) -> tuple[Path | io.BytesIO, str]:
        """A recording, `which` from 0 to below 1, and its name for messages."""
        number = int(which * self.count)
        if not self.path.is_file():
            return self._files[number], f"{self._files[number]}"
        audio = self._rows[number]["audio"]
        name = f"{self.path}: row {number + 1}"
        if not audio["bytes"]:
            raise DataError(f"{name} names a file and holds no recording", hint="give its folder")
        return io.BytesIO(audio["bytes"]), name

    def part(self, which: float, where: float, samples: int) -> Samples:
        """(samples,) of one recording; `which` and `where` from 0 to below 1.

        A recording that is too short begins again at its end.
        """
        source, name = self._source(which)
        with _opened(source, name) as file:
            needed = math.ceil(samples * file.samplerate / self.sample_rate)
            spare = file.frames - needed
            if spare >= 0:
                file.seek(int(where * (spare + 1)))
                read = file.read(needed, dtype="float32", always_2d=True)
            else:
                read = file.read(dtype="float32", always_2d=True)
                read = np.roll(read, -int(where * len(read)), axis=0)
            if not len(read):
                raise DataError(f"{name} holds no audio", hint="remove it")
            _refuse_infinite(read, name)
            mono = np.resize(read.mean(axis=1), needed)
            return self._at_rate(mono, file.samplerate)[:samples]

    def whole(self, which: float) -> Samples:
        """(N,) all of one recording; `which` from 0 to below 1."""
        samples, rate = _mono(*self._source(which))
        return self._at_rate(samples, rate)

    def _at_rate(self, samples: Samples, rate: int) -> Samples:
        if rate == self.sample_rate:
            return samples
        wave = torch.from_numpy(samples)
        resampled: Samples = torchaudio.functional.resample(wave, rate, self.sample_rate).numpy()
        return resampled


def read_mono(path: Path) -> tuple[Samples, int]:
    """(N,) samples of a file, its channels averaged, and their rate in hertz.

    Raises:
        DataError: the file cannot be read, or is empty or silent.
    """
    return _mono(path, f"{path}")


def _mono(source: Path | io.BytesIO, name: str) -> tuple[Samples, int]:
    with _opened(source, name) as file:
        samples: Samples = file.read(dtype="float32", always_2d=True).mean(axis=1)
        if not samples.any():
            raise DataError(f"{name} is silent", hint="remove it")
        _refuse_infinite(samples, name)
        return samples, file.samplerate


def _refuse_infinite(samples: Samples, name: str) -> None:
    # Mixed into speech, one would make the loss of a sound utterance no number.
    if not np.isfinite(samples).all():
        raise DataError(f"{name} has samples that are no finite numbers", hint="remove it")


def _opened(source: Path | io.BytesIO, name: str) -> soundfile.SoundFile:
    try:
        return soundfile.SoundFile(source)
    except (soundfile.LibsndfileError, OSError) as error:
        raise DataError(f"{name} cannot be read as audio: {error}", hint="remove it") from error
