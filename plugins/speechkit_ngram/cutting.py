"""Where long emissions can be cut so that searching the parts gives what searching the whole does.

A place is where every hypothesis of the search begins a word: where that label is so probable
that no other is tried. What the cut takes away is that hypotheses with other words before it may
still win by the words after it; the language model remembers the best one's.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from speechkit import Vocabulary

Frames = npt.NDArray[np.floating[Any]]


def parts_of(
    log_probs: Frames, vocabulary: Vocabulary, *, longest: int, token_threshold: float
) -> list[tuple[int, int]]:
    """First frame and end of each part of (T, V) log probabilities.

    Each is at most `longest` frames and, but for the last, at least half of that, where there are
    places to cut; it is longer up to the first place where there are not. Of several the one in
    the longest pause is taken.
    """
    if not longest or len(log_probs) <= longest:
        return [(0, len(log_probs))]
    places = _places(log_probs, vocabulary, token_threshold)
    pauses = _pauses(log_probs, vocabulary)
    cuts = [0]
    while len(log_probs) - cuts[-1] > longest:
        begin = cuts[-1]
        near = places[(places >= begin + (longest + 1) // 2) & (places <= begin + longest)]
        far = places[places > begin + longest]
        if len(near):
            cuts.append(int(near[pauses[near].argmax()]))
        elif len(far):
            cuts.append(int(far[0]))
        else:
            break
    return list(zip(cuts, [*cuts[1:], len(log_probs)], strict=True))


def _opening(vocabulary: Vocabulary) -> npt.NDArray[np.int64]:
    """Labels that open a word, or part words."""
    boundary = vocabulary.word_boundary
    return np.array(
        [i for i, label in enumerate(vocabulary.labels) if label.startswith(boundary)], np.int64
    )


def _places(
    log_probs: Frames, vocabulary: Vocabulary, token_threshold: float
) -> npt.NDArray[np.int64]:
    """Frames before which to cut, rising; never 0."""
    opening = _opening(vocabulary)
    best = log_probs.argmax(1)
    others = np.partition(log_probs, -2, axis=1)[:, -2]  # the second best
    found = np.isin(best, opening) & (others < token_threshold)
    # The label of a piece may be in the frame before, too; parted it would be two.
    alone = np.array([label == vocabulary.word_boundary for label in vocabulary.labels])
    found[1:] &= alone[best[1:]] | (log_probs[np.arange(len(best) - 1), best[1:]] < token_threshold)
    found[0] = False
    return np.flatnonzero(found)


def _pauses(log_probs: Frames, vocabulary: Vocabulary) -> npt.NDArray[np.int64]:
    """(T,) frames of the pause each frame is in: neighbours whose best label writes no letter."""
    letters = np.array([bool(each.strip(vocabulary.word_boundary)) for each in vocabulary.labels])
    silent = ~letters[log_probs.argmax(1)]
    edges = np.flatnonzero(silent[1:] != silent[:-1]) + 1
    lengths = np.diff([0, *edges, len(silent)])
    pauses: npt.NDArray[np.int64] = np.where(silent, np.repeat(lengths, lengths), 0)
    return pauses
