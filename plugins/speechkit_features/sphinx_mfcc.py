"""Mel-frequency cepstra with noise and silence removed, as `sphinx_fe` of CMU Sphinx makes them.

The front end of the feature files of Russian VoxForge: sphinxbase 5prealpha with `-samprate 8000
-nfilt 15 -lowerf 200 -upperf 3500 -transform dct -lifter 22 -ncep 13` and defaults elsewhere. None
of these is a setting here: with others the features would not be those a model was trained on.

All in float64. The steps that go frame by frame (noise, silence) run on the CPU, compiled by numba.

Axes: B utterances, N samples, T frames of an utterance, K frames kept, F filters, D cepstra.
"""

import math
from collections import deque
from collections.abc import Callable
from typing import Any, Literal

import numba
import numpy as np
import torch
import torchaudio
from numpy.typing import NDArray
from torch import Tensor, nn

from speechkit import Config, Field
from speechkit_features.frames import in_pieces, whole_frames, within
from speechkit_features.mel import INT16_SCALE, Array, hertz, mel, triangles
from speechkit_features.mfcc import dct_matrix

SAMPLE_RATE = 8_000
WINDOW = 205  # samples, 0.025625 s
HOP = 80  # samples, 100 frames a second
FFT_SIZE = 512
FILTERS = 15
LOW_HERTZ, HIGH_HERTZ = 200.0, 3500.0
CEPSTRA = 13
LIFTER = 22
PREEMPHASIS = 0.97
ENERGY_FLOOR = 1e-4  # added to the energies of 16-bit samples

# Resampling from 16 kHz.
REACH = 136  # samples the filter reaches to either side
BLOCK = 128  # samples at 8 kHz made at once

# Noise removal, sphinxbase fe_noise.c.
POWER_MEMORY = 0.7  # of the smoothed power
NOISE_RISE, NOISE_FALL = 0.995, 0.5  # memory of the lower envelope, above it and below
PEAK_MEMORY = 0.85  # of what masks later sound
PEAK_MASKED = 0.2  # share of the peak that is left where it masks
GAIN_LIMIT = 20.0  # a gain lies from 1 / 20 to 20
GAIN_SPAN = 4  # filters on either side a gain is averaged over
LEVEL_RISE, LEVEL_FALL = 0.9, 0.9995  # memory of the loudest level heard

# Silence removal, in frames; sphinxbase fe_interface.c and fe_prespch_buf.c.
SPEECH_RATIO = 2.0  # -vad_threshold: natural logarithm of power over noise
SPEECH_DROP = 8.0  # below the loudest level, natural logarithm of power
SPEECH_BEFORE = 21  # kept before speech begins: -vad_prespeech and the present one
SPEECH_STARTS = 10  # -vad_startspeech: frames of speech that begin it
SPEECH_ENDS = 50  # -vad_postspeech: frames without that end it


class SphinxMfccConfig(Config):
    """Settings of `sphinx_mfcc`."""

    input_rate: Literal[8000, 16000] = Field(
        16_000,
        description="Hz of the samples it is given; 16000 is resampled with the steep filter that "
        "the features of Russian VoxForge were checked with",
    )
    remove_silence: bool = Field(default=True, description="drop frames without speech")


class SphinxMfcc(nn.Module):
    """13 cepstra, every 10 ms of speech; silence is dropped, and the frames' times are given.

    An utterance of silence gives no frame.

    >>> features = SphinxMfcc(SphinxMfccConfig(remove_silence=False))
    >>> values, frames, times = features(torch.zeros(1, 4_000), torch.tensor([4_000]))
    >>> values.shape, times[0, :3].tolist()
    (torch.Size([1, 24, 13]), [0.0, 0.01, 0.02])
    """

    halving: Tensor
    window: Tensor
    filters: Tensor
    cosines: Tensor

    def __init__(self, config: SphinxMfccConfig) -> None:
        super().__init__()
        self.config = config
        self.sample_rate: int = config.input_rate
        self.dim = CEPSTRA
        self.frame_shift_seconds = HOP / SAMPLE_RATE
        window = torch.hamming_window(WINDOW, periodic=False, dtype=torch.float64)
        cosines = dct_matrix(FILTERS, CEPSTRA, LIFTER)
        if config.input_rate == 2 * SAMPLE_RATE:
            self.register_buffer("halving", _halving(), persistent=False)
        self.register_buffer("window", window, persistent=False)
        self.register_buffer("filters", torch.from_numpy(_filters()), persistent=False)
        self.register_buffer("cosines", torch.from_numpy(cosines), persistent=False)

    @torch.no_grad()
    def forward(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, N) samples in [-1, 1], (B,) -> (B, K, D), (B,) frames, (B, K) seconds."""
        with torch.autocast(waveforms.device.type, enabled=False):
            samples, sample_lengths = self._samples(waveforms.double(), lengths)
            powers, frame_lengths = self._powers(samples, sample_lengths)
            cleaned, kept = self._cleaned(powers.cpu().numpy(), frame_lengths.tolist())
            energies = torch.from_numpy(cleaned).to(powers.device)
            cepstra = (energies + ENERGY_FLOOR).log() @ self.cosines
        return _picked(cepstra.float(), kept)

    def _cleaned(self, powers: Array, lengths: list[int]) -> tuple[Array, list[NDArray[np.int64]]]:
        """(B, T, F) -> the same without noise, and for each row the frames to keep."""
        cleaned, kept = np.zeros_like(powers), []
        for row, length in enumerate(lengths):
            cleaned[row, :length], speech = _without_noise(powers[row, :length])
            kept.append(_spoken(speech) if self.config.remove_silence else np.arange(length))
        return cleaned, kept

    def _samples(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(B, N), (B,) -> (B, N'), (B,) at 8 kHz, as 16-bit integers, zero past the lengths."""
        waveforms = within(waveforms, lengths)
        if self.config.input_rate == 2 * SAMPLE_RATE:
            waveforms, lengths = _halved(waveforms, self.halving), (lengths + 1) // 2
        integers = (waveforms * INT16_SCALE).round().clamp(-INT16_SCALE, INT16_SCALE - 1)
        return within(integers, lengths), lengths

    def _powers(self, samples: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(B, N), (B,) samples -> (B, T, F), (B,) frames, the last one filled up with zeros."""
        # All the whole windows, and one more for what is left.
        frame_lengths = _frame_count(lengths)
        size = int(_frame_count(torch.tensor(samples.shape[1])))
        if not size:
            return samples.new_zeros(len(samples), 0, FILTERS), frame_lengths
        emphasised = samples.clone()
        emphasised[:, 1:] -= PREEMPHASIS * samples[:, :-1]
        more = (size - 1) * HOP + WINDOW - samples.shape[1]
        padded = nn.functional.pad(within(emphasised, lengths), (0, more))
        return in_pieces(self._power, padded.unfold(1, WINDOW, HOP)), frame_lengths

    def _power(self, frames: Tensor) -> Tensor:
        """(..., W) -> (..., F)."""
        spectrum = torch.fft.rfft(frames * self.window, n=FFT_SIZE)
        powers: Tensor = (spectrum.real.square() + spectrum.imag.square()) @ self.filters
        return powers


def _halving() -> Tensor:
    """(2 * BLOCK + 2 * REACH, BLOCK): samples at 16 kHz to the BLOCK at 8 kHz in their middle.

    What torchaudio's filter does to every unit impulse. As a product of matrices it takes a
    twentieth of the time of torchaudio's convolution, which is slow in float64.
    """
    impulses = torch.eye(2 * BLOCK + 2 * REACH, dtype=torch.float64)
    answers: Tensor = torchaudio.functional.resample(
        impulses,
        2 * SAMPLE_RATE,
        SAMPLE_RATE,
        lowpass_filter_width=64,
        rolloff=0.9475937167399596,
        resampling_method="sinc_interp_kaiser",
        beta=14.769656459379492,
    )
    return answers[:, REACH // 2 : REACH // 2 + BLOCK].contiguous()


def _halved(waveforms: Tensor, halving: Tensor) -> Tensor:
    """(B, N) at 16 kHz -> (B, ceil(N / 2)) at 8 kHz."""
    size = (waveforms.shape[1] + 1) // 2
    if not size:
        return waveforms
    more = -size % BLOCK  # to whole blocks
    padded = nn.functional.pad(waveforms, (REACH, 2 * (size + more) - waveforms.shape[1] + REACH))
    blocks = padded.unfold(1, 2 * BLOCK + 2 * REACH, 2 * BLOCK)
    return (blocks @ halving).flatten(1)[:, :size]


def _frame_count(lengths: Tensor) -> Tensor:
    """(B,) samples -> (B,) frames, the last one in part."""
    return whole_frames(lengths, window=WINDOW, hop=HOP).add(1).masked_fill(lengths == 0, 0)


def _filters() -> Array:
    """(FFT_SIZE // 2 + 1, F) triangles between rounded bins, of area 1 in hertz."""
    places = hertz(np.linspace(mel(LOW_HERTZ), mel(HIGH_HERTZ), FILTERS + 2))
    step = SAMPLE_RATE / FFT_SIZE
    corners = np.floor(places / step + 0.5).astype(np.int64)
    heights: Array = 2 / (step * (corners[2:] - corners[:-2]))
    return triangles(corners, FFT_SIZE) * heights


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, compiled when it is first called and kept for the next process."""
    try:
        compiled: Callable[..., Any] = numba.njit(cache=True)(function)
    except RuntimeError:  # there is no folder to keep it in that may be written to
        compiled = numba.njit(function)
    return compiled


@_compiled
def _envelope(values: Array, before: Array) -> Array:
    """Follow the lower envelope of `values`: slowly up, quickly down."""
    rising = NOISE_RISE * before + (1 - NOISE_RISE) * values
    falling = NOISE_FALL * before + (1 - NOISE_FALL) * values
    return np.where(values >= before, rising, falling)


@_compiled
def _without_noise(powers: Array) -> tuple[Array, NDArray[np.bool_]]:
    """(T, F) powers of one utterance -> (T, F) with the noise taken out, (T,) whether speech.

    Spectral subtraction with temporal masking (power-normalised cepstra: Kim and Stern, ICASSP
    2012), as sphinxbase has it in fe_noise.c.
    """
    frames, filters = powers.shape
    cleaned = np.empty_like(powers)
    speech = np.zeros(frames, dtype=np.bool_)
    if frames == 0:
        return cleaned, speech
    smooth = powers[0].copy()
    noise = powers[0] / GAIN_LIMIT
    floor = powers[0] / GAIN_LIMIT
    peak = np.zeros(filters)
    loudest = 0.0
    for frame in range(frames):
        smooth = POWER_MEMORY * smooth + (1 - POWER_MEMORY) * powers[frame]
        noise = _envelope(smooth, noise)
        signal = np.maximum(smooth - noise, 1.0)

        # Speech is well above the noise, and not far below the loudest level.
        ratio = 0.0
        for i in range(filters):
            if noise[i] > 0 and smooth[i] > 0:
                ratio = max(ratio, math.log(smooth[i] / noise[i]))
        level = math.log(signal.sum())
        memory = LEVEL_RISE if level > loudest else LEVEL_FALL
        loudest = memory * loudest + (1 - memory) * level
        speech[frame] = ratio >= SPEECH_RATIO and level >= loudest - SPEECH_DROP

        floor = _envelope(signal, floor)
        # After a loud sound less is heard.
        peak = PEAK_MEMORY * peak
        signal = np.where(signal < PEAK_MEMORY * peak, PEAK_MASKED * peak, signal)
        peak = np.maximum(peak, signal)
        signal = np.maximum(signal, floor)

        for i in range(filters):
            low, high = max(0, i - GAIN_SPAN), min(filters, i + GAIN_SPAN + 1)
            total = 0.0
            for j in range(low, high):
                gain = signal[j] / smooth[j] if signal[j] < GAIN_LIMIT * smooth[j] else GAIN_LIMIT
                total += max(gain, 1 / GAIN_LIMIT)
            cleaned[frame, i] = powers[frame, i] * total / (high - low)
    return cleaned, speech


def _spoken(speech: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(T,) whether each frame is speech -> (K,) the frames that are kept, in order.

    Speech begins with SPEECH_STARTS frames of it, and what was heard shortly before is kept; it
    ends with SPEECH_ENDS frames without.
    """
    kept: list[int] = []
    before: deque[int] = deque(maxlen=SPEECH_BEFORE)
    inside = False
    run = 0  # frames in a row that speak for a change
    for frame, is_speech in enumerate(speech.tolist()):
        if not inside:
            before.append(frame)
        run = run + 1 if is_speech != inside else 0
        if run == (SPEECH_ENDS if inside else SPEECH_STARTS):
            inside, run = not inside, 0
            if not inside:
                before.clear()
        if inside:
            # The last frame, in part, brings nothing before it along.
            kept += before if before and frame < len(speech) - 1 else [frame]
            before.clear()
    return np.array(kept, dtype=np.int64)


def _picked(values: Tensor, kept: list[NDArray[np.int64]]) -> tuple[Tensor, Tensor, Tensor]:
    """(B, T, D), the frames to keep of each row -> (B, K, D), (B,), (B, K) their seconds."""
    lengths = torch.tensor([len(frames) for frames in kept], dtype=torch.long, device=values.device)
    picked = values.new_zeros(len(kept), max(map(len, kept), default=0), values.shape[2])
    times = picked.new_zeros(picked.shape[:2], dtype=torch.float64)
    for row, frames in enumerate(kept):
        place = torch.from_numpy(frames).to(values.device)
        picked[row, : len(frames)] = values[row, place]
        times[row, : len(frames)] = place.double() * HOP / SAMPLE_RATE
    return picked, lengths, times
