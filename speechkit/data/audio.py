"""Audio from files and bytes: libsndfile reads it, so no FFmpeg is asked of anyone."""

import io
from fractions import Fraction
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from speechkit.errors import DataError

Samples = NDArray[np.float32]

_LOUDEST = 8.0  # beyond full scale by 18 dB: no recording
_STREAMED = 0x8000_0000  # a header written before the length was known says more than this
_PHASES = 500
_LOWEST_HERTZ = 1_000  # below there is no speech: the header is wrong


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
        DataError: not there, not audio, no samples, too few a second, or samples that are not
            numbers.
    """
    if isinstance(source, Path) and not source.is_file():
        missing = "is a folder, not an audio file" if source.is_dir() else "does not exist"
        raise DataError(f"{name}: {missing}")
    if isinstance(source, bytes) and not source:
        raise DataError(f"{name}: is empty: 0 bytes")
    if (start_seconds or 0.0) < 0 or (channel or 0) < 0:
        raise DataError(f"{name}: starts at {start_seconds} s, channel {channel}: below 0")
    _check_whole(source, name)
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
    if rate < _LOWEST_HERTZ:
        raise DataError(
            f"{name}: {rate} samples a second, its header says",
            hint="speech has 8,000 and more; is the header right?",
        )
    if channel is not None and channel >= samples.shape[1]:
        raise DataError(f"{name}: has {samples.shape[1]} channels, no channel {channel}")
    mono = samples.mean(axis=1) if channel is None else samples[:, channel]
    if not len(mono):
        raise DataError(f"{name}: holds no samples", hint="leave the file out")
    if not np.isfinite(mono).all():
        count = int((~np.isfinite(mono)).sum())
        raise DataError(f"{name}: {count} of {len(mono)} samples are not numbers (NaN or infinite)")
    if (peak := float(np.abs(mono).max())) > _LOUDEST:
        raise DataError(
            f"{name}: samples up to {peak:g}, where 1 is full scale",
            hint="they look like integers stored as floats: divide them by 32768, or store 16 bits",
        )
    return np.ascontiguousarray(mono, dtype=np.float32), rate


def _check_whole(source: Path | bytes, name: str) -> None:
    """Refuse a WAV file whose end is missing: libsndfile reads what there is, and says nothing."""
    if isinstance(source, Path):
        size = source.stat().st_size
        with source.open("rb") as file:
            head = file.read(12)
    else:
        size, head = len(source), source[:12]
    promised = int.from_bytes(head[4:8], "little") + 8
    if head[:4] == b"RIFF" and head[8:] == b"WAVE" and size + 1 < promised < _STREAMED:
        raise DataError(
            f"{name}: is cut off: {size} bytes, where its header says {promised}",
            hint="copy or download it again",
        )


def resample(samples: Samples, from_hertz: int, to_hertz: int) -> Samples:
    """(N,) at one rate -> about N * to / from at another.

    Rates without a common divisor would need a filter of thousands of phases; then the nearest
    ratio of small numbers serves, which is off by less than a hundred-thousandth.
    """
    if from_hertz == to_hertz:
        return samples
    import torch  # noqa: PLC0415 - most audio needs no resampling, and reading it no torch
    from torchaudio.functional import resample as torch_resample  # noqa: PLC0415

    ratio = Fraction(to_hertz, from_hertz).limit_denominator(_PHASES)
    result: Samples = torch_resample(
        torch.from_numpy(samples), ratio.denominator, ratio.numerator
    ).numpy()
    return result


def to_int16(samples: Samples) -> NDArray[np.int16]:
    """[-1, 1] to 16 bits, as recordings are stored; what is louder is clipped."""
    rounded: NDArray[np.int16] = np.clip(np.rint(samples * 32768), -32768, 32767).astype(np.int16)
    return rounded


def from_int16(samples: NDArray[np.int16]) -> Samples:
    """16 bits to [-1, 1)."""
    return samples.astype(np.float32) / np.float32(32768.0)
