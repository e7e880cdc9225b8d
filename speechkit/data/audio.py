"""Audio from files and bytes: libsndfile reads it, so no FFmpeg is asked of anyone."""

import io
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from speechkit.errors import DataError

Samples = NDArray[np.float32]


def read_audio(
    source: Path | bytes,
    *,
    name: str,
    start_seconds: float | None = None,
    end_seconds: float | None = None,
    channel: int | None = None,
) -> tuple[Samples, int]:
    """Samples of a file or of a file's bytes, and their rate.

    Args:
        source: a path, or the bytes of WAV, FLAC, MP3, Ogg Vorbis, Ogg Opus, ...
        name: what messages call it.
        start_seconds: where the part to read begins; None: at the start.
        end_seconds: where it ends; None: at the end.
        channel: which to read, from 0; None: the mean of all.

    Returns:
        (N,) float32 in [-1, 1], and hertz.

    Raises:
        DataError: not there, not audio, no samples, or samples that are not numbers.
    """
    if isinstance(source, Path) and not source.is_file():
        missing = "is a folder, not an audio file" if source.is_dir() else "does not exist"
        raise DataError(f"{name}: {missing}")
    if isinstance(source, bytes) and not source:
        raise DataError(f"{name}: is empty: 0 bytes")
    try:
        with soundfile.SoundFile(io.BytesIO(source) if isinstance(source, bytes) else source) as f:
            rate = int(f.samplerate)
            first = round((start_seconds or 0.0) * rate)
            last = f.frames if end_seconds is None else min(f.frames, round(end_seconds * rate))
            f.seek(min(first, f.frames))
            samples = f.read(max(0, last - first), dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, RuntimeError, TypeError, OSError) as error:
        raise DataError(
            f"{name}: cannot be read as audio: {error}",
            hint="WAV, FLAC, MP3, Ogg Vorbis and Ogg Opus can; is the file whole?",
        ) from None
    if channel is not None and channel >= samples.shape[1]:
        raise DataError(f"{name}: has {samples.shape[1]} channels, no channel {channel}")
    mono = samples.mean(axis=1) if channel is None else samples[:, channel]
    if not len(mono):
        raise DataError(f"{name}: holds no samples", hint="leave the file out")
    if not np.isfinite(mono).all():
        count = int((~np.isfinite(mono)).sum())
        raise DataError(f"{name}: {count} of {len(mono)} samples are not numbers (NaN or infinite)")
    return np.ascontiguousarray(mono, dtype=np.float32), rate


def resample(samples: Samples, from_hertz: int, to_hertz: int) -> Samples:
    """(N,) at one rate -> (ceil(N * to / from),) at another."""
    if from_hertz == to_hertz:
        return samples
    import torch  # noqa: PLC0415 - most audio needs no resampling, and reading it no torch
    from torchaudio.functional import resample as torch_resample  # noqa: PLC0415

    result: Samples = torch_resample(torch.from_numpy(samples), from_hertz, to_hertz).numpy()
    return result


def to_int16(samples: Samples) -> NDArray[np.int16]:
    """[-1, 1] to 16 bits, as recordings are stored; what is louder is clipped."""
    rounded: NDArray[np.int16] = np.clip(np.rint(samples * 32768), -32768, 32767).astype(np.int16)
    return rounded


def from_int16(samples: NDArray[np.int16]) -> Samples:
    """16 bits to [-1, 1)."""
    return samples.astype(np.float32) / np.float32(32768.0)
