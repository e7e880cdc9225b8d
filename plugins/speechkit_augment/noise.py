"""Noise behind the speech: recorded, generated, or the babble of other voices.

Babble is mixed from recordings of speech: a folder, or the Parquet file of the corpus itself. The
other utterances of the batch would be at hand, but then what an utterance is trained on would
depend on the batch it came in, and a resumed or regrouped run would be another one.

Axes: B utterances, N samples.
"""

from collections.abc import Sequence
from typing import Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import model_validator
from torch import Tensor

from speechkit import Config, Field, RecipePath
from speechkit_augment.mixing import fast_size, mixed, silenced
from speechkit_augment.recordings import Recordings
from speechkit_augment.settings import Range, between

Color = Literal["white", "pink"]


class NoiseConfig(Config):
    """Settings of `noise`."""

    path: RecipePath | None = Field(
        None,
        description="recordings of noise, or of speech for babble: a folder of audio files, or a "
        "Parquet file; without, it is generated",
    )
    voices: int = Field(
        1, gt=0, description="recordings mixed as equals; five or so of speech make babble"
    )
    color: Color = Field(
        "pink",
        description="of generated noise; pink is as loud in every octave, white at all hertz",
    )
    snr_db: Range = Field(
        (5.0, 20.0), description="speech over noise, over the whole utterance, decibels"
    )
    probability: float = Field(0.5, ge=0, le=1, description="that an utterance gets noise")

    @model_validator(mode="after")
    def _voices_are_recorded(self) -> Self:
        if self.voices > 1 and self.path is None:
            raise ValueError(f"{self.voices} voices need recordings to mix them from: set path")
        return self


class Noise:
    """Adds noise at a signal-to-noise ratio drawn for each utterance.

    20 dB is a quiet office, 5 dB a bar. The ratio is that of the energies of the whole utterance,
    its pauses included.
    """

    stage: Literal["waveform", "features"] = "waveform"

    def __init__(
        self,
        config: NoiseConfig,
        *,
        sample_rate: int,
        dim: int | None = None,  # noqa: ARG002 - every augmentation is given it
    ) -> None:
        self.config = config
        path = config.path
        self.recordings = Recordings(path, sample_rate=sample_rate) if path else None

    def __call__(
        self, values: Tensor, lengths: Tensor, draws: Sequence[np.random.Generator]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(B, N), (B,) in samples, B streams -> the same shape, the same lengths, arange(B)."""
        noise = np.zeros(tuple(values.shape), dtype=np.float32)
        snr_db = np.zeros(len(draws), dtype=np.float32)
        for row, (length, draw) in enumerate(zip(lengths.tolist(), draws, strict=True)):
            # As many numbers whatever comes of them; the first two first.
            whether, ratio = draw.random(2).tolist()
            places, seed = draw.random((self.config.voices, 2)), int(draw.integers(2**63))
            if whether < self.config.probability and length:
                noise[row, :length] = self._noise(places, seed, length)
                snr_db[row] = between(self.config.snr_db, ratio)
        result = mixed(
            silenced(values, lengths),
            torch.from_numpy(noise).to(values),
            torch.from_numpy(snr_db).to(values),
        )
        return result, lengths, torch.arange(len(values), device=values.device)

    def _noise(self, places: NDArray[np.float64], seed: int, samples: int) -> NDArray[np.float32]:
        """(samples,) of noise, as loud as it comes."""
        if self.recordings is None:
            return generated(self.config.color, samples, seed)
        voices = [self.recordings.part(which, where, samples) for which, where in places.tolist()]
        if len(voices) == 1:
            return voices[0]
        # Equals: none drowns the others because its recording is louder.
        loudness = [float(np.sqrt(np.mean(np.square(voice)))) or 1.0 for voice in voices]
        babble: NDArray[np.float32] = np.sum(
            [voice / level for voice, level in zip(voices, loudness, strict=True)], axis=0
        )
        return babble


def generated(color: Color, samples: int, seed: int) -> NDArray[np.float32]:
    """(samples,) of Gaussian noise."""
    random = np.random.default_rng(seed)
    if color == "white":
        return random.standard_normal(samples, dtype=np.float32)
    size = fast_size(samples)
    # The spectrum of white noise is white noise, too; of pink, the power falls with frequency.
    spectrum = random.standard_normal((size // 2 + 1, 2), dtype=np.float32)
    spectrum[0] = 0.0
    spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum), dtype=np.float32))[:, None]
    wave = torch.fft.irfft(torch.view_as_complex(torch.from_numpy(spectrum)), n=size)
    pink: NDArray[np.float32] = wave[:samples].numpy()
    return pink
