"""Speech as a microphone somewhere in a room hears it.

Ko et al., "A study on data augmentation of reverberant speech for robust speech recognition",
ICASSP 2017: recorded and simulated impulse responses.

Axes: B utterances, N samples, K samples of a response.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from speechkit import Config, Field, RecipePath
from speechkit_augment.mixing import convolved, silenced
from speechkit_augment.recordings import Recordings
from speechkit_augment.responses import (
    Response,
    decaying_noise,
    require_pyroomacoustics,
    shoebox,
)
from speechkit_augment.settings import Range, between

INAUDIBLE = 1e-6  # of a response's energy: what comes after is cut off


class RoomConfig(Config):
    """Settings of `room`."""

    path: RecipePath | None = Field(
        None,
        description="recorded impulse responses: a folder of audio files, or a Parquet file; "
        "without, rooms are simulated",
    )
    model: Literal["decay", "shoebox"] = Field(
        "decay",
        description="of simulated rooms: noise that decays, or a room of six walls (which needs "
        "pyroomacoustics)",
    )
    rooms: int = Field(200, gt=0, description="simulated rooms, made when they are first needed")
    rt60_seconds: Range = Field(
        (0.1, 0.5), description="time a simulated room takes to decay by 60 dB"
    )
    direct_db: Range = Field(
        (0.0, 12.0), description="direct over reverberant energy in rooms of the model decay"
    )
    probability: float = Field(0.5, ge=0, le=1, description="that an utterance is in a room")


class Room:
    """Convolves an utterance with the impulse response of a room.

    The response's energy becomes 1, so that speech stays about as loud; its strongest sample
    becomes its beginning, so that words stay where they are; the utterance keeps its length, and
    what reverberates after its end is lost. A simulated room takes 0.1 s to 2 s to make with
    `model = "shoebox"`, a reverberation of half a second ten times as long as one of a tenth.
    """

    stage: Literal["waveform", "features"] = "waveform"

    def __init__(
        self,
        config: RoomConfig,
        *,
        sample_rate: int,
        dim: int | None = None,  # noqa: ARG002 - every augmentation is given it
    ) -> None:
        path = config.path
        self.config = config
        self.sample_rate = sample_rate
        self.recordings = Recordings(path, sample_rate=sample_rate) if path else None
        if path is None and config.model == "shoebox":
            require_pyroomacoustics()
        self._made: dict[int, tuple[Response, int]] = {}

    def __call__(
        self, values: Tensor, lengths: Tensor, draws: Sequence[np.random.Generator]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(B, N), (B,) in samples, B streams -> the same shape, the same lengths, arange(B)."""
        # Two numbers a row, whatever comes of them.
        drawn = [tuple(draw.random(2).tolist()) for draw in draws]
        rows = [row for row, (whether, _) in enumerate(drawn) if whether < self.config.probability]
        result = silenced(values, lengths)
        if rows and values.shape[1]:
            found = [self._response(drawn[row][1]) for row in rows]
            responses, origins = zip(*found, strict=True)
            place = torch.tensor(rows, device=values.device)
            heard = convolved(result[place], responses, origins=origins, size=values.shape[1])
            result[place] = silenced(heard, lengths[place])
        return result, lengths, torch.arange(len(values), device=values.device)

    def _response(self, which: float) -> tuple[Response, int]:
        """A response and the sample of it that stands for no delay; `which` from 0 to below 1."""
        if self.recordings is not None:
            return _prepared(self.recordings.whole(which).astype(np.float64))
        room = int(which * self.config.rooms)
        if room not in self._made:
            self._made[room] = _prepared(self._simulated(room))
        return self._made[room]

    def _simulated(self, room: int) -> Response:
        reverberation, direct = np.random.default_rng([room, 0]).random(2).tolist()
        rt60_seconds = between(self.config.rt60_seconds, reverberation)
        if self.config.model == "shoebox":
            return shoebox(room, sample_rate=self.sample_rate, rt60_seconds=rt60_seconds)
        return decaying_noise(
            room,
            sample_rate=self.sample_rate,
            rt60_seconds=rt60_seconds,
            direct_db=between(self.config.direct_db, direct),
        )


def _prepared(response: Response) -> tuple[Response, int]:
    """Unit energy, nothing inaudible at the end; and where the strongest sample is."""
    energy = np.square(response)
    left = energy[::-1].cumsum()[::-1]  # from each sample on
    heard = response[: int(np.searchsorted(-left, -INAUDIBLE * left[0]))]
    return heard / np.sqrt(np.square(heard).sum()), int(np.abs(heard).argmax())
