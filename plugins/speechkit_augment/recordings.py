"""Audio files in a folder: noise to mix in, speech for babble, impulse responses of rooms."""

import math
from pathlib import Path

import numpy as np
import soundfile
import torch
import torchaudio
from numpy.typing import NDArray

from speechkit import DataError, RecipeError

Samples = NDArray[np.float32]

SUFFIXES = {".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".sph", ".w64"}


class Recordings:
    """The audio files in a folder and the folders in it, in the order of their paths.

    Raises:
        RecipeError: there is no such folder, or no audio file in it.
    """

    def __init__(self, folder: Path, *, sample_rate: int) -> None:
        if not folder.is_dir():
            raise RecipeError(f"{folder} is no folder", hint="it should hold audio files")
        self.paths = sorted(
            path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file()
        )
        if not self.paths:
            kinds = " ".join(sorted(SUFFIXES))
            raise RecipeError(f"no audio file in {folder}", hint=f"files that are read: {kinds}")
        self.sample_rate = sample_rate

    def part(self, which: float, where: float, samples: int) -> Samples:
        """(samples,) of one recording; `which` and `where` from 0 to below 1.

        A recording that is too short begins again at its end.
        """
        path = self.paths[int(which * len(self.paths))]
        with _opened(path) as file:
            needed = math.ceil(samples * file.samplerate / self.sample_rate)
            spare = file.frames - needed
            if spare >= 0:
                file.seek(int(where * (spare + 1)))
                read = file.read(needed, dtype="float32", always_2d=True)
            else:
                read = file.read(dtype="float32", always_2d=True)
                read = np.roll(read, -int(where * len(read)), axis=0)
            if not len(read):
                raise DataError(f"{path} holds no audio", hint="remove the file")
            mono = np.resize(read.mean(axis=1), needed)
            return self._at_rate(mono, file.samplerate)[:samples]

    def whole(self, which: float) -> Samples:
        """(N,) all of one recording; `which` from 0 to below 1."""
        path = self.paths[int(which * len(self.paths))]
        samples, rate = read_mono(path)
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
    with _opened(path) as file:
        samples: Samples = file.read(dtype="float32", always_2d=True).mean(axis=1)
        if not samples.any():
            raise DataError(f"{path} is silent", hint="remove the file")
        return samples, file.samplerate


def _opened(path: Path) -> soundfile.SoundFile:
    try:
        return soundfile.SoundFile(path)
    except (soundfile.LibsndfileError, OSError) as error:
        raise DataError(f"{path} cannot be read as audio: {error}", hint="remove it") from error
