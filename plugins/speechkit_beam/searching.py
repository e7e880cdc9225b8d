"""What surrounds the compiled search: its arrays, and hypotheses made of what it found."""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from speechkit import DataError, Hypothesis, Vocabulary, Word
from speechkit_beam.alternatives import aligned, judged
from speechkit_beam.backtrace import compact, read_words
from speechkit_beam.compiling import first_call
from speechkit_beam.lexicon import PARTED, alphabet_of, lexicon_of
from speechkit_beam.lm import START, UNKNOWN
from speechkit_beam.nbest import Candidate, best_paths
from speechkit_beam.records import (
    BLANK,
    BUCKETS,
    ENTRY,
    HYPOTHESIS,
    LONGEST,
    MERGED,
    PROGRESS,
    ROOT,
    SLOT,
    TALLY,
    Records,
    Settings,
    Work,
    array_of,
)
from speechkit_beam.search import advance, finish

if TYPE_CHECKING:
    from speechkit_beam.beam import BeamConfig
    from speechkit_lm import NgramArrays

_FIRST_ENTRIES = 1 << 14  # of a trace
_TRIES = 20  # paths looked at for each hypothesis of an n-best list
_ROUNDING = 1e-2  # log probabilities may be so much more than 0
_USUAL_LENGTH = 6  # characters an unknown word may have before they cost more


@dataclass
class SearchState:
    """An utterance of which some frames were read.

    beam      (K,) the hypotheses
    trace     (A,) how they came about
    progress  (1,) where the search stands
    loudest   most probable label of each frame, piece by piece
    probs     probabilities of the labels, piece by piece, where alternatives are aligned with them
    times     start of each frame, piece by piece, where frames were dropped
    """

    beam: Records
    trace: Records
    progress: Records
    frame_shift_seconds: float
    loudest: list[NDArray[np.int32]] = field(default_factory=list)
    probs: list[NDArray[np.float32]] = field(default_factory=list)
    times: list[NDArray[np.float32]] = field(default_factory=list)


class Search:
    """A search with its settings, lexicon and language model; states and threads share it."""

    def __init__(self, config: "BeamConfig", vocabulary: Vocabulary, language_model: Any) -> None:  # noqa: ANN401 - NgramModel or None
        closed = config.vocabulary == "closed"
        if config.lm_weight == 0 and not closed:
            language_model = None  # its words, too: they would be another language model
        if closed and language_model is None:
            raise DataError(
                "a closed vocabulary is the language model's, and there is none",
                hint='add [lm] to the recipe, or take vocabulary = "open"',
            )
        self._lm = _arrays(language_model)
        self._start = int(self._lm.next_state[START])
        alphabet = alphabet_of(vocabulary)
        self.uses_language_model = language_model is not None
        lm_weight = config.lm_weight if self.uses_language_model else 0.0
        oov_penalty = config.oov_penalty if self.uses_language_model else 0.0
        # The bonus makes up for what a language model takes for a word; alone it splits words.
        word_bonus = config.word_bonus if self.uses_language_model else 0.0
        longer = np.maximum(1.0, np.arange(LONGEST + 1) / _USUAL_LENGTH)
        unknown = config.look_ahead * lm_weight * float(self._lm.log_prob[UNKNOWN])
        outside = np.exp(word_bonus + unknown - oov_penalty * longer)
        self._nodes = lexicon_of(
            language_model,
            alphabet.characters,
            lm_weight=config.look_ahead * lm_weight,
            word_bonus=word_bonus,
            hotwords=_weights(config),
            outside=0.0 if closed else float(outside[1]),
        )
        self._labels = alphabet.labels
        self._written = alphabet.written
        self._nbest = config.nbest
        self._blank_factor = np.float32(math.exp(-config.blank_penalty))
        self._settings = Settings(
            beam=config.beam,
            worst=math.exp(-config.beam_threshold),
            least=math.exp(config.token_threshold),
            top_k=min(config.top_k, len(vocabulary)),
            lm_weight=lm_weight,
            word_factor=math.exp(word_bonus),
            oov=np.exp(-oov_penalty * longer),
            outside=outside,
            closed=closed,
            summed=config.scores == "summed",
            lattice=config.nbest > 1,
        )
        # Summed scores of alternatives are estimates: what was merged is not known by its labels.
        self._aligns = self._settings.lattice and not self._settings.summed
        self._spare: SimpleQueue[Work] = SimpleQueue()

    def begin(self, frame_shift_seconds: float) -> SearchState:
        """A state with one hypothesis: nothing was said."""
        beam = array_of(self._settings.beam, HYPOTHESIS)
        beam["place"][0] = ROOT
        beam["state"][0] = self._start
        beam["last"][0] = self._labels.boundary
        beam["blank"][0] = 1.0
        beam["potential"][0] = self._nodes["potential"][ROOT]
        beam["reach"][0] = self._nodes["reach"][ROOT]
        beam["end_factor"][0] = -1.0
        progress = array_of(1, PROGRESS)
        progress["kept"] = progress["traced"] = 1
        trace = array_of(_FIRST_ENTRIES + 20 * self._settings.beam, ENTRY)
        return SearchState(beam, trace, progress, frame_shift_seconds)

    def step(
        self,
        state: SearchState,
        log_probs: NDArray[np.float32],
        times: NDArray[np.float32] | None,
    ) -> None:
        """Read (T, V) frames."""
        labels = len(self._written)
        if log_probs.ndim != 2 or log_probs.shape[1] != labels:
            raise DataError(
                f"emissions of shape {log_probs.shape}, the vocabulary has {labels} labels",
                hint="decode with the vocabulary of the model that made them",
            )
        if not len(log_probs):
            return
        if not log_probs.max() <= _ROUNDING:  # nor is NaN
            raise DataError(
                f"emissions that are not log probabilities: the highest is {log_probs.max()}",
                hint="look at the model that made them",
            )
        probs = np.exp(log_probs, dtype=np.float32)
        probs[:, BLANK] *= self._blank_factor
        read = 0
        work = self._work()
        with first_call():
            while True:
                read = advance(
                    probs,
                    read,
                    self._settings,
                    self._labels,
                    self._nodes,
                    self._lm,
                    state.beam,
                    state.trace,
                    state.progress,
                    work,
                )
                if read == len(probs):
                    break
                _make_room(state)
        self._spare.put(work)
        state.loudest.append(probs.argmax(axis=1).astype(np.int32))
        if self._aligns:
            state.probs.append(probs)
        if times is not None:
            state.times.append(times)

    def end(self, state: SearchState) -> list[Hypothesis]:
        """The hypotheses, best first; the state stays as it is."""
        count = int(state.progress["kept"][0])
        scores, whole = np.empty(count), np.empty(count, np.bool_)
        finish(
            self._settings,
            self._nodes,
            self._lm,
            state.beam,
            state.progress,
            scores,
            whole,
        )
        loudest = np.concatenate(state.loudest) if state.loudest else np.zeros(0, np.int32)
        order = np.lexsort((-scores, ~whole))
        starts = [
            Candidate(float(scores[at]), int(state.beam["entry"][at]), bool(whole[at]))
            for at in (order if self._nbest > 1 else order[:1])
        ]
        probs = np.concatenate(state.probs) if state.probs else np.zeros((0, 1), np.float32)
        found: dict[str, tuple[Hypothesis, bool]] = {}
        # Other histories of a hypothesis often spell the same text.
        for number, (promised, path, is_whole) in enumerate(
            itertools.islice(
                best_paths(state.trace, starts, len(loudest), self._nbest),
                self._nbest * _TRIES if self._nbest > 1 else 1,
            )
        ):
            score = promised
            if self._aligns and number:  # the first has nothing better to have been merged into
                score = min(score, self._worth(state.trace[path[::-1]], probs))
            made = self._hypothesis(state, path, loudest, score, whole=is_whole)
            if made.text not in found or found[made.text][0].score < score:
                found[made.text] = made, is_whole
            if len(found) == self._nbest:
                break
        in_order = sorted(found.values(), key=lambda each: (not each[1], -each[0].score))
        return [hypothesis for hypothesis, _ in in_order]

    def _worth(self, entries: Records, probs: NDArray[np.float32]) -> float:
        """The score of the best path through (T, V) that has the labels of some entries."""
        written = np.ascontiguousarray(entries["label"])
        frames = np.ascontiguousarray(entries["frame"])
        paths = np.empty((2, len(written) + 1))
        acoustic = aligned(probs, written, frames, self._labels, paths)
        return acoustic + judged(
            written, self._start, self._settings, self._labels, self._nodes, self._lm
        )

    def _hypothesis(
        self,
        state: SearchState,
        path: NDArray[np.int32],
        loudest: NDArray[np.int32],
        score: float,
        *,
        whole: bool,
    ) -> Hypothesis:
        labels = np.empty(len(path), np.int32)
        frames, confidences = np.empty((2, len(path)), np.int32), np.empty(len(path))
        count = read_words(state.trace, path, loudest, self._labels, labels, frames, confidences)
        spelled = "".join([self._written[label] for label in labels.tolist()]).split(PARTED)
        spans = zip(*self._seconds(state, frames[:, :count]), strict=True)
        words = tuple(
            Word(text, begun, ended, confidence)
            for text, (begun, ended), confidence in zip(
                filter(None, spelled), spans, confidences[:count].tolist(), strict=True
            )
        )
        if not whole:
            words = words[:-1]  # of the last one, only a beginning was heard
        return Hypothesis(" ".join([word.text for word in words]), score, words)

    def _seconds(
        self, state: SearchState, frames: NDArray[np.int32]
    ) -> tuple[list[float], list[float]]:
        """(2, W) first frames and those after the last -> when words begin, when they end."""
        first, end = frames
        shift = state.frame_shift_seconds
        if not state.times:
            return (first * shift).tolist(), (end * shift).tolist()
        times = np.concatenate(state.times).astype(np.float64)
        # A frame is over as the next begins, where none were dropped between.
        over = np.minimum(times[end - 1] + shift, np.append(times, np.inf)[end])
        return times[first].tolist(), over.tolist()

    def _work(self) -> Work:
        """Work space no other thread uses."""
        try:
            return self._spare.get_nowait()
        except Empty:
            return _work(self._settings, len(self._written))


def _weights(config: "BeamConfig") -> Mapping[str, float]:
    """Each hotword's weight; a phrase counts word by word."""
    given = config.hotwords
    pairs = (
        given.items() if isinstance(given, dict) else ((x, config.hotword_weight) for x in given)
    )
    return {word: weight for phrase, weight in pairs for word in phrase.split()}


def _arrays(language_model: Any) -> "NgramArrays":  # noqa: ANN401 - NgramModel or None
    """The model's arrays; without a model, those of one to which all words are equal."""
    from speechkit_lm import NgramArrays  # noqa: PLC0415 - Arrow is slow to import

    if language_model is None:
        return NgramArrays(
            word=np.arange(3, dtype=np.int32),
            log_prob=np.zeros(3, np.float32),
            next_state=np.full(3, -1, np.int32),
            backoff=np.zeros(0, np.float32),
            back=np.zeros(0, np.int32),
            first_child=np.zeros(1, np.int32),
        )
    arrays = getattr(language_model, "arrays", None)
    if arrays is None:
        raise DataError(
            f"{getattr(language_model, 'path', language_model)}: the decoder beam searches n-gram "
            "arrays, which this language model does not have",
            hint="give it the ARPA file the KenLM binary was made from, or decode with kenlm",
        )
    return NgramArrays(*(np.ascontiguousarray(each) for each in arrays))


def _work(settings: Settings, labels: int) -> Work:
    candidates = settings.beam * (settings.top_k + 1)
    rank = np.zeros(candidates + 1)
    return Work(
        tally=array_of(1, TALLY),
        candidates=array_of(candidates, HYPOTHESIS),
        rank=rank,
        rank_bits=rank.view(np.int64),
        buckets=np.zeros(BUCKETS, np.int32),
        merged=array_of(4 * settings.beam if settings.lattice else 0, MERGED),
        table=array_of(1 << (2 * candidates - 1).bit_length(), SLOT),
        chosen=np.zeros((2, labels), np.int32),
    )


def _make_room(state: SearchState) -> None:
    """Drop entries of hypotheses that are gone; double the trace where that does not help much."""
    size = len(state.trace)
    compact(state.trace, state.beam, state.progress, np.zeros(size, np.int32))
    if state.progress["traced"][0] > size // 2:
        longer = array_of(2 * size, ENTRY)
        longer[:size] = state.trace
        state.trace = longer
