"""The copies N2 trained on: of some utterances one more with noise, and one more in a room.

Source: the notebooks of `anarlavrenov/n2`. There every tenth utterance of a batch was copied,
whichever it was; here each is with a probability of a tenth, since what an utterance is trained on
may not depend on the batch it came in. There the noise was a recording of babble, the response one
of a room, which the project does not carry: files can be named, and stand-ins are generated.

Axes: B utterances, N samples, K samples of a response.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
import torchaudio
from torch import Tensor
from torch.nn import functional

from speechkit import Config, DataError, Field, RecipePath
from speechkit_augment.mixing import convolved, mixed, silenced
from speechkit_augment.noise import generated
from speechkit_augment.recordings import Samples, read_mono
from speechkit_augment.responses import Response, decaying_noise
from speechkit_augment.settings import Range

STAND_IN_RT60_SECONDS = 0.145  # as long as N2's response was, played at 16 kHz


class N2Config(Config):
    """Settings of `n2`; the defaults are N2's, but for the two files."""

    probability: float = Field(0.1, ge=0, le=1, description="that an utterance is copied, twice")
    snr_db: float = Field(3.0, description="speech over noise in the noisy copy, decibels")
    noise_file: RecipePath | None = Field(
        None, description="cut or stretched to the utterance; without, pink noise"
    )
    impulse_response_file: RecipePath | None = Field(
        None, description="sample for sample, whatever its rate; without, 0.15 s of decay"
    )
    impulse_response_seconds: Range | None = Field(
        None, description="the part of that file that is used; N2's was [1.01, 1.3]"
    )


class N2:
    """Gives every utterance, and after them the copies: noisy, in a room, noisy, in a room, …

    The copy in a room is longer by the response, less a sample: N + K - 1.
    """

    stage: Literal["waveform", "features"] = "waveform"

    def __init__(
        self,
        config: N2Config,
        *,
        sample_rate: int,
        dim: int | None = None,  # noqa: ARG002 - every augmentation is given it
    ) -> None:
        self.config = config
        self.noise = _noise(config, sample_rate)
        self.response = _response(config, sample_rate)

    def __call__(
        self, values: Tensor, lengths: Tensor, draws: Sequence[np.random.Generator]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(B, N), (B,) in samples, B streams -> (B + 2C, N'), (B + 2C,), their sources."""
        # Two numbers a row, whatever comes of them.
        drawn = [(draw.random(), int(draw.integers(2**63))) for draw in draws]
        values = silenced(values, lengths)
        originals = torch.arange(len(values), device=values.device)
        copied = [
            row
            for row, ((whether, _), length) in enumerate(zip(drawn, lengths.tolist(), strict=True))
            if whether < self.config.probability and length
        ]
        if not copied:
            return values, lengths, originals

        sources = torch.tensor(copied, device=values.device)
        more = len(self.response) - 1
        noise = [self._behind(int(lengths[row]), drawn[row][1]) for row in copied]
        noisy = self._noisy(values[sources], noise)
        heard = convolved(
            values[sources],
            [self.response] * len(copied),
            origins=[0] * len(copied),
            size=values.shape[1] + more,
        )
        copies = torch.stack([functional.pad(noisy, (0, more)), heard], dim=1).flatten(0, 1)
        all_values = torch.cat([functional.pad(values, (0, more)), copies])
        copy_lengths = torch.stack([lengths[sources], lengths[sources] + more], dim=1).flatten()
        all_lengths = torch.cat([lengths, copy_lengths])
        all_values = silenced(all_values, all_lengths)[:, : int(all_lengths.max())]
        return all_values, all_lengths, torch.cat([originals, sources.repeat_interleave(2)])

    def _behind(self, samples: int, seed: int) -> Tensor:
        """(samples,) of noise: N2 cut its recording, or stretched it where it was too short."""
        if self.noise is None:
            return torch.from_numpy(generated("pink", samples, seed))
        if len(self.noise) >= samples:
            return self.noise[:samples]
        return functional.interpolate(self.noise[None, None], size=samples, mode="linear")[0, 0]

    def _noisy(self, values: Tensor, noise: list[Tensor]) -> Tensor:
        """(B, N) with noise behind each row."""
        behind = torch.zeros_like(values)
        for row, each in zip(behind, noise, strict=True):
            row[: len(each)] = each.to(values)
        return mixed(values, behind, values.new_full((len(values),), self.config.snr_db))


def _noise(config: N2Config, sample_rate: int) -> Tensor | None:
    """(N,) the recording of noise, resampled."""
    if config.noise_file is None:
        return None
    samples, rate = read_mono(config.noise_file)
    resampled: Tensor = torchaudio.functional.resample(torch.from_numpy(samples), rate, sample_rate)
    return resampled


def _response(config: N2Config, sample_rate: int) -> Response:
    """(K,) of unit energy."""
    if config.impulse_response_file is None:
        response = decaying_noise(
            0, sample_rate=sample_rate, rt60_seconds=STAND_IN_RT60_SECONDS, direct_db=0.0
        )
    else:
        response = _part(config, *read_mono(config.impulse_response_file)).astype(np.float64)
    normalised: Response = response / np.sqrt(np.square(response).sum())
    return normalised


def _part(config: N2Config, samples: Samples, rate: int) -> Samples:
    """(K,) what the settings say of the file."""
    if config.impulse_response_seconds is None:
        return samples
    begin, end = config.impulse_response_seconds
    part = samples[int(rate * begin) : int(rate * end)]
    if not part.any():
        raise DataError(
            f"{config.impulse_response_file} is silent from {begin:g} s to {end:g} s; it lasts "
            f"{len(samples) / rate:.2f} s",
            hint="set impulse_response_seconds to where the response is",
        )
    return part
