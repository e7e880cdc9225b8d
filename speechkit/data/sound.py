"""What can be told of an utterance's sound without listening: whether it is silent, clipped, known.

Measured while the prepared store is written, when the samples are in memory anyway (about 2 s of
computing for 10 hours of audio), and kept beside them.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from speechkit.data.files import written_whole

FULL_SCALE = 32767  # of 16 bits
CLIPPED = 3  # samples at full scale: one may be there by chance
SILENT_DECIBELS = -40.0  # where speech peaks 20 dB higher
_FILE = "sound.parquet"


@dataclass(frozen=True)
class Sound:
    """What the utterances of a store sound like, in its order.

    digests     equal where samples, or ready features, are equal
    peaks       (utterances,) the loudest sample, 1 at full scale; of ready features, the largest
                difference between frames
    full_scale  (utterances,) samples at full scale; of ready features, 0
    """

    digests: list[str]
    peaks: NDArray[np.float64]
    full_scale: NDArray[np.int64]

    def silent(self, kind: str) -> NDArray[np.bool_]:
        """(utterances,) whether it is too quiet for speech; of features: all frames are alike."""
        return self.peaks < (10 ** (SILENT_DECIBELS / 20) if kind == "audio" else 1e-6)

    @property
    def clipped(self) -> NDArray[np.bool_]:
        """(utterances,) whether it was louder than could be recorded."""
        return self.full_scale >= CLIPPED


Measured = tuple[str, float, int]
"""Of one utterance: digest, peak, samples at full scale."""


def measure(values: NDArray[Any]) -> Measured:
    """Measure (N,) samples of 16 bits, or (T, D) features.

    >>> measure(np.array([0, 16384, -8192], np.int16))[1:]
    (0.5, 0)
    """
    name = hashlib.blake2b(values.tobytes(), digest_size=12).hexdigest()
    if values.dtype != np.int16:
        spread = values.max(axis=0).astype(np.float64) - values.min(axis=0)
        return name, float(spread.max()), 0
    peak = max(int(values.max(initial=0)), -int(values.min(initial=0)))
    # Most recordings stay below, and need no second look.
    loud = int((np.abs(values.astype(np.int32)) >= FULL_SCALE).sum()) if peak >= FULL_SCALE else 0
    return name, peak / (FULL_SCALE + 1), loud


def write_sound(folder: Path, measured: Iterable[Measured]) -> None:
    """Keep what was measured in a store's folder."""
    digests, peaks, loud = zip(*measured, strict=True)
    table = pa.table({"digest": digests, "peak": peaks, "full_scale": loud})
    with written_whole(folder / _FILE) as beside:
        pq.write_table(table, beside)


def read_sound(folder: Path) -> Sound | None:
    """What was kept; None where there is nothing that can be read."""
    try:
        table = pq.read_table(folder / _FILE)
        return Sound(
            table["digest"].to_pylist(),
            table["peak"].to_numpy().astype(np.float64),
            table["full_scale"].to_numpy().astype(np.int64),
        )
    except (OSError, KeyError, pa.ArrowException):
        return None
