"""One utterance's emissions to its hypotheses: pyctcdecode's prefix beam search.

In a process of its own it is made from what can be sent there, and opens the language model once.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from pyctcdecode.decoder import BeamSearchDecoderCTC

from speechkit import Vocabulary
from speechkit_ngram.alignment import Aligner, Spoken
from speechkit_ngram.alphabet import alphabet_of
from speechkit_ngram.cutting import parts_of
from speechkit_ngram.scorer import Scorer
from speechkit_ngram.settings import KenlmConfig
from speechkit_ngram.source import Source, open_kenlm

_WORDS_AT_ONCE = 50
_LOWEST = np.log(1e-15)  # as pyctcdecode has it, for log probabilities of 0


@dataclass(frozen=True)
class FoundWord:
    """A word with its frames, `first` to before `end`."""

    text: str
    first: int
    end: int
    confidence: float


@dataclass(frozen=True)
class Found:
    """A hypothesis in frames."""

    text: str
    score: float
    words: tuple[FoundWord, ...] = ()


@dataclass(frozen=True)
class Job:
    """An utterance to search: (T, V) log probabilities, and how many seconds a frame lasts."""

    log_probs: npt.NDArray[np.float32]
    frame_seconds: float


class Search:
    """Finds hypotheses; can be pickled, and is opened again where it arrives."""

    def __init__(self, config: KenlmConfig, vocabulary: Vocabulary, source: Source | None) -> None:
        self._config = config
        self._vocabulary = vocabulary
        self._source = source
        self.opening_seconds = 0.0

    def __reduce__(self) -> tuple[Any, ...]:
        return Search, (self._config, self._vocabulary, self._source)

    def open(self) -> None:
        """Open the language model, if that was not done.

        Raises:
            DataError: its file cannot be used.
        """
        began = time.perf_counter()
        _ = self._decoder
        self.opening_seconds = max(self.opening_seconds, time.perf_counter() - began)

    @cached_property
    def _scorer(self) -> Scorer | None:
        if self._source is None or self._source.path is None:
            return Scorer(None, None, self._config) if self._config.hotwords else None
        return Scorer(open_kenlm(self._source.path), self._source.words, self._config)

    @cached_property
    def _decoder(self) -> BeamSearchDecoderCTC:
        return BeamSearchDecoderCTC(alphabet_of(self._vocabulary), self._scorer)

    @cached_property
    def _aligner(self) -> Aligner:
        return Aligner(self._vocabulary)

    def __call__(self, job: Job) -> list[Found]:
        """Hypotheses, best first; at least one."""
        log_probs = np.maximum(job.log_probs.astype(np.float64), _LOWEST)
        parts = parts_of(
            log_probs,
            self._vocabulary,
            longest=round(self._config.cut_seconds / job.frame_seconds),
            token_threshold=self._config.token_threshold,
        )
        found, state = [Found("", 0.0)], None
        for first, end in parts:
            last = end == len(log_probs)
            next_, state = self._search(log_probs[first:end], state, last=last)
            found = self._joined(found, next_, first)
        return [self._timed(each, log_probs) for each in found]

    def _search(
        self,
        log_probs: npt.NDArray[np.float64],
        state: Any,  # noqa: ANN401 - kenlm's
        *,
        last: bool,
    ) -> tuple[list[Found], Any]:
        """Hypotheses of a part, and the language model's state after the best."""
        if not len(log_probs):
            return [Found("", 0.0)], state
        if self._scorer is not None:
            self._scorer.at_end = last
        beams = self._decoder.decode_beams(
            cast("Any", log_probs),  # what it asks for is the type of no array
            beam_width=self._config.beam,
            beam_prune_logp=-self._config.beam_threshold,
            token_min_logp=self._config.token_threshold,
            lm_start_state=state,
        )
        found = [
            Found(text, float(score), tuple(FoundWord(word, *at, 0.0) for word, at in words))
            for text, _, words, _, score in beams[: self._config.nbest]
        ]
        return found, beams[0][1]

    def _joined(self, before: Sequence[Found], after: Sequence[Found], shift: int) -> list[Found]:
        """The best of what a part's hypotheses make with those of the parts before."""
        pairs = sorted(product(before, after), key=lambda pair: -pair[0].score - pair[1].score)
        joined: dict[str, Found] = {}
        for one, two in pairs:
            text = " ".join(filter(None, (one.text, two.text)))
            moved = (
                replace(word, first=word.first + shift, end=word.end + shift) for word in two.words
            )
            joined.setdefault(text, Found(text, one.score + two.score, (*one.words, *moved)))
        return list(joined.values())[: self._config.nbest]

    def _timed(self, found: Found, log_probs: npt.NDArray[np.float64]) -> Found:
        """The same, with the words' frames as the best path has them, and their confidence."""
        words: list[FoundWord] = []
        for some, first, end in _stretches(found.words, len(log_probs)):
            spoken = self._aligner([word.text for word in some], log_probs[first:end])
            words += some if spoken is None else map(_placed, some, spoken, [first] * len(some))
        return replace(found, words=tuple(words))


def _stretches(
    words: Sequence[FoundWord], frames: int
) -> Iterator[tuple[Sequence[FoundWord], int, int]]:
    """Some words at a time with frames around them: aligning takes the product of the two."""
    first = 0
    for start in range(0, len(words), _WORDS_AT_ONCE):
        some, after = words[start : start + _WORDS_AT_ONCE], words[start + _WORDS_AT_ONCE :]
        end = (some[-1].end + after[0].first) // 2 if after else frames
        yield some, first, end
        first = end


def _placed(word: FoundWord, spoken: Spoken, shift: int) -> FoundWord:
    return FoundWord(word.text, spoken.first + shift, spoken.end + shift, spoken.confidence)
