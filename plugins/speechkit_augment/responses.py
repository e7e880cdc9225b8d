"""Impulse responses of rooms that do not exist.

Room i is a function of i and the settings, so that every run and every process has the same rooms.
"""

import importlib
import importlib.util
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speechkit import RecipeError

Response = NDArray[np.float64]

SPEED_OF_SOUND = 343.0  # m/s
SMALLEST_ROOM = (3.0, 3.0, 2.4)  # m
LARGEST_ROOM = (9.0, 7.0, 4.0)  # m
FROM_WALLS = 0.5  # m, of the speaker and of the microphone
DECAY_60_DB = 3 * math.log(10)  # an amplitude falls to a thousandth: exp(-6.9)
FIRST_REFLECTION_SECONDS = 0.003


def decaying_noise(
    seed: int, *, sample_rate: int, rt60_seconds: float, direct_db: float
) -> Response:
    """(K,) direct sound at sample 0, then Gaussian noise that decays by 60 dB in `rt60_seconds`.

    Reverberation after the first reflections is just that in any large room. `direct_db` is the
    energy of the direct sound over that of the rest.

    Source: Polack, "La transmission de l'énergie sonore dans les salles", 1988, as in Habets,
    "Single- and multi-microphone speech dereverberation using spectral enhancement", 2007, sec. 2.
    """
    seconds = np.arange(math.ceil(rt60_seconds * sample_rate)) / sample_rate
    tail = np.random.default_rng(seed).standard_normal(len(seconds))
    tail *= np.exp(-DECAY_60_DB * seconds / rt60_seconds)
    tail[seconds < min(FIRST_REFLECTION_SECONDS, rt60_seconds / 2)] = 0.0
    response: Response = tail * math.sqrt(10 ** (-direct_db / 10) / np.square(tail).sum())
    response[0] = 1.0
    return response


def require_pyroomacoustics() -> None:
    """Say what to install.

    Raises:
        RecipeError: the package is not there.
    """
    if importlib.util.find_spec("pyroomacoustics") is None:
        raise RecipeError(
            "rooms of the model 'shoebox' need the package pyroomacoustics",
            hint='pip install pyroomacoustics, or set model = "decay"',
        )


def shoebox(seed: int, *, sample_rate: int, rt60_seconds: float) -> Response:
    """(K,) from a speaker to a microphone, somewhere in a room with six equal walls.

    By the image source method (Allen and Berkley, 1979), as pyroomacoustics has it. The walls
    absorb as much as Sabine's formula says for the reverberation time, or everything where it is
    too short for a room that large. What is measured can be half as long again: Sabine assumes
    sound from everywhere, and six equal walls let it run to and fro.
    """
    pyroomacoustics: Any = importlib.import_module("pyroomacoustics")  # optional, slow to import
    random = np.random.default_rng(seed)
    size = random.uniform(SMALLEST_ROOM, LARGEST_ROOM)
    speaker, microphone = random.uniform(FROM_WALLS, size - FROM_WALLS, (2, 3))
    volume = size.prod()
    surface = 2 * (volume / size).sum()
    shortest = 24 * math.log(10) / SPEED_OF_SOUND * volume / surface
    absorption, order = pyroomacoustics.inverse_sabine(max(rt60_seconds, 1.01 * shortest), size)
    room = pyroomacoustics.ShoeBox(
        size,
        fs=sample_rate,
        materials=pyroomacoustics.Material(absorption),
        max_order=order,
    )
    room.add_source(speaker)
    room.add_microphone(microphone)
    room.compute_rir()
    response: Response = np.asarray(room.rir[0][0], dtype=np.float64)
    return response
