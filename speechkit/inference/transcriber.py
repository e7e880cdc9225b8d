"""Audio of any length to text with words' times."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from speechkit.data.audio import Samples, from_int16, read_audio, resample, to_int16
from speechkit.errors import DataError
from speechkit.interfaces import Decoder, Emissions, Hypothesis
from speechkit.recogniser import Recogniser

_WHOLE_SECONDS = 40.0  # longer audio is read in windows: memory grows with the square of length
_WINDOW_SECONDS = 26.0
_CONTEXT_SECONDS = 2.0  # on each side of a window, seen by the model and not kept


class Transcriber:
    """A recogniser with a decoder."""

    def __init__(self, recogniser: Recogniser, decoder: Decoder) -> None:
        self.recogniser = recogniser.eval()
        self.decoder = decoder
        self.device = recogniser.normalizer.mean.device

    def transcribe(self, samples: Samples, sample_rate: int, *, name: str = "audio") -> Hypothesis:
        """The best hypothesis for a waveform.

        Args:
            samples: (N,) in [-1, 1].
            sample_rate: hertz; any.
            name: what messages call it.

        Raises:
            DataError: too short for a frame of features.
        """
        own_rate = self.recogniser.sample_rate
        # Rounded to 16 bits as the training data are, so that a test set and its files agree.
        samples = from_int16(to_int16(resample(samples, sample_rate, own_rate)))
        emissions = self.emissions(samples)
        if not int(emissions.lengths[0]):
            seconds = len(samples) / own_rate
            raise DataError(
                f"{name}: nothing to hear in {seconds:.3f} s: too short, silent, or its channels "
                "cancel out"
            )
        found: Hypothesis = self.decoder(emissions)[0][0]
        return found

    def emissions(self, samples: Samples) -> Emissions:
        """(N,) at the model's rate -> emissions with B = 1."""
        rate = self.recogniser.sample_rate
        if len(samples) <= _WHOLE_SECONDS * rate:
            return self._emit(samples)
        # Windows begin on frames, so that frames are as far apart across their borders as within.
        step = rate * self.recogniser.frame_shift_seconds
        hop = round(round(_WINDOW_SECONDS * rate / step) * step)
        context = round(round(_CONTEXT_SECONDS * rate / step) * step)
        parts, times = [], []
        for first in range(0, len(samples), hop):
            begin = max(0, first - context)
            found = self._emit(samples[begin : first + hop + context])
            count = int(found.lengths[0])
            starts = torch.tensor([found.start_seconds(0, frame) for frame in range(count)])
            starts += begin / rate
            last = first + hop >= len(samples)
            half = self.recogniser.frame_shift_seconds / 2  # times are sums of binary fractions
            kept = (starts >= first / rate - half) & (last | (starts < (first + hop) / rate - half))
            parts.append(found.log_probs[0, :count][kept])
            times.append(starts[kept])
        log_probs, lengths = torch.cat(parts)[None], torch.tensor([sum(map(len, parts))])
        shift = self.recogniser.frame_shift_seconds
        return Emissions(log_probs, lengths, shift, torch.cat(times)[None])

    def _emit(self, samples: Samples) -> Emissions:
        values: Tensor = torch.from_numpy(np.ascontiguousarray(samples))[None].to(self.device)
        lengths = torch.tensor([len(samples)], device=self.device)
        return self.recogniser.emissions(values, lengths).cpu()


def read_and_transcribe(transcriber: Transcriber, file: str) -> tuple[Hypothesis, float]:
    """The best hypothesis for a file, and how many seconds it lasts.

    Raises:
        DataError: the file cannot be read, or is too short.
    """
    samples, rate = read_audio(Path(file), name=file)
    return transcriber.transcribe(samples, rate, name=file), len(samples) / rate
