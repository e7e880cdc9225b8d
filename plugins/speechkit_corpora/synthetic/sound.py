"""Sound as espeak-ng gives it, brought to a 16 kHz WAV file."""

import contextlib
import io
import wave
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torchaudio.transforms import Resample

from speechkit_corpora.synthetic.espeak_process import SAMPLE_RATE as SPOKEN_RATE

SAMPLE_RATE = 16_000
_MARGIN = SAMPLE_RATE // 10  # samples of silence before and after: espeak-ng leaves none
_LOUDEST = 2**15 - 1
_ROOM = 0.98  # of the loudest: what a sentence is brought down to if resampling went beyond it

# Flat to 7 kHz, 3 dB down at 7.4 kHz, 47 dB at 8.2 kHz, which is heard at 7.8 kHz. In double
# precision, so that rounding to 16 bits gives the same samples on every processor.
_resample = Resample(
    SPOKEN_RATE,
    SAMPLE_RATE,
    resampling_method="sinc_interp_kaiser",
    lowpass_filter_width=32,
    rolloff=0.945,
    beta=12.0,
    dtype=torch.float64,
)


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Inside, torch computes in this thread alone.

    A sentence is too little for several: where the cores are taken by the speaking processes, they
    wait for one another ten times as long as they compute.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def to_wav(sound: NDArray[np.int16], seed: int) -> tuple[bytes, float]:
    """(N,) samples at 22,050 Hz -> a WAV file, 16-bit, 16 kHz, mono; its length in seconds.

    Rounding is with triangular dither, so that the silence around a sentence is the faint noise of
    a recording and not zeros, of which a logarithm is far from all that a model has heard.
    """
    with torch.inference_mode():
        samples = _resample(torch.from_numpy(sound.astype(np.float64))).numpy()
    samples = np.pad(samples * _fitting(samples), _MARGIN)
    draw = np.random.Generator(np.random.PCG64(seed))
    samples = samples + draw.random(len(samples)) - draw.random(len(samples))
    rounded = np.clip(np.rint(samples), -_LOUDEST - 1, _LOUDEST).astype("<i2")
    file = io.BytesIO()
    with wave.open(file, "wb") as written:
        written.setnchannels(1)
        written.setsampwidth(2)
        written.setframerate(SAMPLE_RATE)
        written.writeframes(rounded.tobytes())
    return file.getvalue(), len(rounded) / SAMPLE_RATE


def _fitting(samples: NDArray[np.float64]) -> float:
    """What to multiply (N,) samples by so that none is louder than 16 bits hold."""
    loudest = np.abs(samples).max(initial=0.0)
    return 1.0 if loudest <= _ROOM * _LOUDEST else _ROOM * _LOUDEST / loudest
