"""Greedy CTC decoding: arg max of every frame, repeats merged, blanks dropped.

Graves et al., "Connectionist temporal classification", ICML 2006, section 3.2 (best path).
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from speechkit import Config, Emissions, Field, Hypothesis, LanguageModel, Vocabulary, Word

BLANK = 0


class GreedyConfig(Config):
    """Settings of greedy decoding."""

    blank_penalty: float = Field(
        0.0,
        ge=0,
        le=40,
        description="taken off the blank's log probability in each frame: unsure models are blank "
        "too often, and leave letters out; 0.5 is worth a try",
    )


@dataclass(frozen=True)
class _Run:
    """Neighbouring frames with the same label, `first` to before `end`."""

    label: int
    first: int
    end: int


class Greedy:
    """The text of the most probable path through the frames.

    A hypothesis' score is the log probability of that path, `blank_penalty` less for each of its
    blanks. A word lasts from the first frame of its first label to the end of the last frame of its
    last label; its confidence is the geometric mean of the posteriors its labels have in their
    frames (blanks inside the word do not count). CTC posteriors are near 1 even where they are
    wrong: the confidence ranks words, and is no probability of being right.

    >>> import torch
    >>> log_probs = torch.tensor([[[0.1, 0.9], [0.2, 0.8], [0.9, 0.1], [0.4, 0.6]]]).log()
    >>> emissions = Emissions(log_probs, torch.tensor([4]), frame_shift_seconds=0.5)
    >>> [[best]] = Greedy(GreedyConfig(), vocabulary=Vocabulary(("", "a")))(emissions)
    >>> best.text, best.words[0].start_seconds, best.words[0].end_seconds
    ('aa', 0.0, 2.0)
    """

    device: Literal["cpu", "any"] = "any"

    def __init__(
        self,
        config: GreedyConfig,
        *,
        vocabulary: Vocabulary,
        language_model: LanguageModel | None = None,  # noqa: ARG002 - a decoder is given one; unused
    ) -> None:
        self.vocabulary = vocabulary
        self._blank_penalty = config.blank_penalty
        # What a label writes, a space where it parts words: as `Vocabulary.text` reads it.
        self._written = [
            label.replace(vocabulary.word_boundary, " ") for label in vocabulary.labels
        ]

    def __call__(self, emissions: Emissions) -> list[list[Hypothesis]]:
        """Give every utterance its one hypothesis."""
        weighed = emissions.log_probs
        if self._blank_penalty:
            weighed = weighed.clone()
            weighed[..., BLANK] -= self._blank_penalty
        best = weighed.max(dim=-1)  # on the device: V times less to copy
        log_probs = best.values.cpu().numpy().astype(np.float64)
        labels = best.indices.cpu().numpy()
        return [
            [self._hypothesis(emissions, row, labels[row, :length], log_probs[row, :length])]
            for row, length in enumerate(emissions.lengths.tolist())
        ]

    def _hypothesis(
        self,
        emissions: Emissions,
        row: int,
        labels: NDArray[np.int64],
        log_probs: NDArray[np.float64],
    ) -> Hypothesis:
        """(T,) best labels and their log probabilities, this row's frames only."""
        runs = [run for run in _runs(labels) if run.label != BLANK]
        return Hypothesis(
            text=self.vocabulary.text(run.label for run in runs),
            score=float(log_probs.sum()),
            words=tuple(
                _word(emissions, row, text, spoken, log_probs) for text, spoken in self._words(runs)
            ),
        )

    def _words(self, runs: list[_Run]) -> list[tuple[str, list[_Run]]]:
        """Each word with the runs that wrote its characters."""
        words: list[tuple[str, list[_Run]]] = []
        inside = False
        for run in runs:
            for character in self._written[run.label]:
                if character.isspace():
                    inside = False
                    continue
                if not inside:
                    words.append(("", []))
                    inside = True
                text, spoken = words[-1]
                # A label of several characters is one run.
                words[-1] = (text + character, spoken if run in spoken[-1:] else [*spoken, run])
        return words


def _runs(labels: NDArray[np.int64]) -> list[_Run]:
    """(T,) labels -> their runs, blanks too."""
    if not len(labels):
        return []
    firsts = [0, *(np.flatnonzero(labels[1:] != labels[:-1]) + 1).tolist()]
    ends = [*firsts[1:], len(labels)]
    return [_Run(int(labels[first]), first, end) for first, end in zip(firsts, ends, strict=True)]


def _word(
    emissions: Emissions,
    row: int,
    text: str,
    spoken: list[_Run],
    log_probs: NDArray[np.float64],
) -> Word:
    """Give a word its times and its confidence."""
    frames = np.concatenate([log_probs[run.first : run.end] for run in spoken])
    return Word(
        text=text,
        start_seconds=emissions.start_seconds(row, spoken[0].first),
        end_seconds=_end_seconds(emissions, row, spoken[-1].end, len(log_probs)),
        confidence=min(1.0, math.exp(frames.mean())),
    )


def _end_seconds(emissions: Emissions, row: int, end: int, length: int) -> float:
    """When the frame before `end` is over: as the next begins, where none were dropped between."""
    if emissions.frame_times is None:
        return emissions.start_seconds(row, end)
    over = emissions.start_seconds(row, end - 1) + emissions.frame_shift_seconds
    return min(over, emissions.start_seconds(row, end)) if end < length else over
