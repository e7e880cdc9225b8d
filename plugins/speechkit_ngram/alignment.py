"""When the words of a text were spoken, and how well the frames agree.

The best path through the frames that writes the text (Viterbi), whichever labels write it. A
prefix search adds the paths to a text, and does not know which of them was the best.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from speechkit import Vocabulary

BLANK = 0
_NO_WORD = -1


@dataclass(frozen=True)
class Spoken:
    """A word's frames, from the first of its first label to before `end`, and their agreement.

    confidence  geometric mean of the posteriors the word's labels have in their frames
    """

    first: int
    end: int
    confidence: float


@dataclass(frozen=True)
class _Graph:
    """The paths that write a text: S states, each a label at a place of the text.

    labels    (S,)
    word      (S,) the word a state writes on; -1: none
    before    (S, P) states before each, itself first; S: none
    at_start  (S,) 0 where a path may begin, else -inf
    at_end    (S,) 0 where it may end, else -inf
    """

    labels: npt.NDArray[np.int64]
    word: npt.NDArray[np.int64]
    before: npt.NDArray[np.int64]
    at_start: npt.NDArray[np.float64]
    at_end: npt.NDArray[np.float64]


class Aligner:
    """Aligns texts with frames.

    >>> aligner = Aligner(Vocabulary(("", "a", "b")))
    >>> log_probs = np.log([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.2, 0.4, 0.4], [0.1, 0.1, 0.8]])
    >>> aligner(["ab"], log_probs)
    [Spoken(first=1, end=4, confidence=0.6349604207872798)]
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._labels = {
            label.replace(vocabulary.word_boundary, " "): place
            for place, label in enumerate(vocabulary.labels)
            if place != BLANK
        }
        self._longest = max(map(len, self._labels), default=0)

    def __call__(
        self, words: Sequence[str], log_probs: npt.NDArray[np.float64]
    ) -> list[Spoken] | None:
        """Frames of each word in (T, V) log probabilities; None where they cannot write it."""
        if not words:
            return []
        graph = self._graph(words)
        path = _best_path(graph, log_probs)
        if path is None:
            return None
        word_of = graph.word[path]
        values = log_probs[np.arange(len(path)), graph.labels[path]]
        found = []
        for word in range(len(words)):
            frames = np.flatnonzero(word_of == word)
            confidence = min(1.0, math.exp(float(values[frames].mean())))
            found.append(Spoken(int(frames[0]), int(frames[-1]) + 1, confidence))
        return found

    def _graph(self, words: Sequence[str]) -> _Graph:
        """Blanks at every place of " text ", and labels over parts of it.

        A space may be written several times, and need not be written at the edges.
        """
        text = f" {' '.join(words)} "
        word_at = np.cumsum([letter == " " for letter in text]) - 1
        labels, starts, ends, word = [], [], [], []
        for place in range(len(text) + 1):
            labels.append(BLANK)
            starts.append(place)
            ends.append(place)
            word.append(_NO_WORD)
        blanks = len(labels)
        ending: dict[int, list[int]] = defaultdict(list)
        for start in range(len(text)):
            for end in range(start + 1, min(len(text), start + self._longest) + 1):
                written = text[start:end]
                label = self._labels.get(written)
                if label is not None:
                    ending[end].append(len(labels))
                    labels.append(label)
                    starts.append(start)
                    ends.append(end)
                    word.append(int(word_at[end - 1]) if written != " " else _NO_WORD)
        before = []
        for state, (start, label) in enumerate(zip(starts, labels, strict=True)):
            places = [start]
            if state >= blanks and text[start] == " ":
                places.append(start + 1)  # one more space
            after = [each for place in places for each in ending[place] if labels[each] != label]
            silence = places if state >= blanks else []
            before.append([state, *silence, *after])
        width = max(map(len, before))
        padding = [len(labels)] * width
        return _Graph(
            labels=np.array(labels),
            word=np.array(word),
            before=np.array([[*each, *padding][:width] for each in before]),
            at_start=np.where(np.array(starts) <= 1, 0.0, -np.inf),
            at_end=np.where(np.array(ends) >= len(text) - 1, 0.0, -np.inf),
        )


def _best_path(graph: _Graph, log_probs: npt.NDArray[np.float64]) -> npt.NDArray[np.int64] | None:
    """(T,) the states of the most probable path; None: there is none."""
    frames, size = len(log_probs), len(graph.labels)
    if not frames:
        return None
    came_from = np.zeros((frames, size), np.int16)  # columns of `before`
    states = np.arange(size)
    padded = np.full(size + 1, -np.inf)
    padded[:-1] = graph.at_start + log_probs[0, graph.labels]
    for frame in range(1, frames):
        reached = padded[graph.before]
        best = reached.argmax(1)
        came_from[frame] = best
        padded[:-1] = reached[states, best] + log_probs[frame, graph.labels]
    final = padded[:-1] + graph.at_end
    state = int(final.argmax())
    if final[state] == -np.inf:
        return None
    path = np.empty(frames, np.int64)
    for frame in range(frames - 1, -1, -1):
        path[frame] = state
        state = int(graph.before[state, came_from[frame, state]])
    return path
