"""When in its frames a word was spoken, and how well the frames agree.

The best path through the frames that spells the word (Viterbi), whichever labels spell it.
"""

import math
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from speechkit import Vocabulary

BLANK = 0
_REMEMBERED = 20_000  # words whose graph is kept


@dataclass(frozen=True)
class Spoken:
    """The frames from the first label of a word to its last, and their agreement.

    confidence  geometric mean of the posteriors the word's labels have in their frames
    """

    first: int
    end: int
    confidence: float


@dataclass(frozen=True)
class _Graph:
    """S states, each a label; blanks come first, one for each place between letters.

    labels        (S,)
    before        (S, P) states from which a state is reached, itself first; S: none
    at_start      (S,) 0 where a path may begin, else -inf
    ends          states in which it may end
    blanks        how many states are blanks
    """

    labels: npt.NDArray[np.int64]
    before: npt.NDArray[np.int64]
    at_start: npt.NDArray[np.float64]
    ends: npt.NDArray[np.int64]
    blanks: int


class Aligner:
    """Aligns words with frames.

    >>> aligner = Aligner(Vocabulary(("", "a", "b")))
    >>> log_probs = np.log([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.2, 0.4, 0.4], [0.1, 0.1, 0.8]])
    >>> aligner("ab", log_probs)
    Spoken(first=1, end=4, confidence=0.6349604207872799)
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        # What a label adds to a word, and whether it may do so inside one.
        self._labels: dict[str, list[tuple[int, bool]]] = defaultdict(list)
        for label, text in enumerate(vocabulary.labels):
            opens = text.startswith(vocabulary.word_boundary)
            if letters := text.removeprefix(vocabulary.word_boundary):
                self._labels[letters].append((label, not opens))
        self._longest = max(map(len, self._labels), default=0)
        self._graphs: dict[str, _Graph] = {}

    def __call__(self, word: str, log_probs: npt.NDArray[np.floating[Any]]) -> Spoken:
        """Align `word` with (T, V) frames; where it cannot be, all of them, at confidence 0."""
        graph = self._graph(word)
        score = graph.at_start + log_probs[:1, graph.labels].sum(0)
        came_from = np.zeros((len(log_probs), len(score)), np.int64)
        states = np.arange(len(score))
        padded = np.append(score, -np.inf)
        for frame in range(1, len(log_probs)):
            reached = padded[graph.before]
            best = reached.argmax(1)
            came_from[frame] = graph.before[states, best]
            padded[:-1] = reached[states, best] + log_probs[frame, graph.labels]
        last = int(graph.ends[padded[graph.ends].argmax()])
        if not len(log_probs) or padded[last] == -np.inf:
            return Spoken(0, len(log_probs), 0.0)
        path = np.empty(len(log_probs), np.int64)
        for frame in range(len(log_probs) - 1, -1, -1):
            path[frame] = last
            last = came_from[frame, last]
        frames = np.flatnonzero(path >= graph.blanks)
        mean = float(log_probs[frames, graph.labels[path[frames]]].mean())
        return Spoken(int(frames[0]), int(frames[-1]) + 1, min(1.0, math.exp(mean)))

    def _graph(self, word: str) -> _Graph:
        graph = self._graphs.get(word)
        if graph is None:
            if len(self._graphs) >= _REMEMBERED:
                self._graphs.clear()
            graph = self._graphs[word] = self._made(word)
        return graph

    def _made(self, word: str) -> _Graph:
        size = len(word)
        labels, starts, ends = [BLANK] * (size + 1), [*range(size + 1)], [*range(size + 1)]
        for start in range(size):
            for end in range(start + 1, min(size, start + self._longest) + 1):
                for label, inside in self._labels.get(word[start:end], ()):
                    if inside or start == 0:
                        labels.append(label)
                        starts.append(start)
                        ends.append(end)
        count, blanks = len(labels), size + 1
        ending: list[list[int]] = [[] for _ in range(size + 1)]
        for state in range(blanks, count):
            ending[ends[state]].append(state)
        before = []
        for state in range(count):
            into = [each for each in ending[starts[state]] if labels[each] != labels[state]]
            before.append([state, *([starts[state]] if state >= blanks else []), *into])
        width = max(map(len, before))
        at_start = [0.0 if each == 0 else -np.inf for each in starts]
        return _Graph(
            labels=np.array(labels),
            before=np.array([[*each, *[count] * (width - len(each))] for each in before]),
            at_start=np.array(at_start),
            ends=np.array([size, *ending[size]]),
            blanks=blanks,
        )
