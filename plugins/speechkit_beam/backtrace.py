"""From the trace of a search to labels, words and their times, in compiled code."""

import math

from speechkit_beam.compiling import compiled
from speechkit_beam.records import JOIN, Array, Labels, Records

_LEAST = 1e-30  # probability of a label, that it has a logarithm


@compiled
def compact(trace: Records, beam: Records, progress: Records, number: Array) -> None:
    """Drop the entries no hypothesis comes from; the others move up, in the same order.

    Args:
        trace: (A,) changed in place.
        beam: (K,) its `entry` is numbered anew.
        progress: (1,) `traced` is set.
        number: (A,) int32, work space.
    """
    now = progress[0]
    for entry in range(now.traced):
        number[entry] = 0
    for at in range(now.kept):
        number[beam[at].entry] = 1
    for entry in range(now.traced - 1, 0, -1):
        if number[entry]:
            number[trace[entry].parent] = 1
            number[trace[entry].other] = 1
    number[0] = 0
    to = 1
    for entry in range(1, now.traced):
        if number[entry]:
            number[entry] = to
            trace[to] = trace[entry]
            trace[to].parent = number[trace[to].parent]
            trace[to].other = number[trace[to].other]
            to += 1
    for at in range(now.kept):
        beam[at].entry = number[beam[at].entry]
    now.traced = to


@compiled
def walk(trace: Records, entry: int, path: Array, joins: Array) -> tuple[int, int]:
    """Follow a hypothesis back to its beginning.

    Args:
        trace: (A,) of the search.
        entry: where the hypothesis stands.
        path: (at least as many as labels,) int32, is given the entries of labels, last first.
        joins: (2, any size) int32, is given how far `path` was at each join, and its entry.

    Returns:
        How many labels; how many joins, of which those with no room are not given.
    """
    count = 0
    met = 0
    while entry > 0:
        if trace[entry].label == JOIN:
            if met < joins.shape[1]:
                joins[0, met] = count
                joins[1, met] = entry
            met += 1
        else:
            path[count] = entry
            count += 1
        entry = trace[entry].parent
    return count, met


@compiled
def read_words(
    trace: Records,
    path: Array,
    loudest: Array,
    labels: Labels,
    written: Array,
    frames: Array,
    confidences: Array,
) -> int:
    """Where words begin and end.

    A label lasts while it is the most probable one. A word's confidence is the geometric mean of
    the probabilities its labels had when they began.

    Args:
        trace: (A,) of the search.
        path: (U,) entries of labels, last first.
        loudest: (T,) most probable label of each frame.
        labels: how they are spelled.
        written: (U,) int32, is given the labels, first one first.
        frames: (2, at least as many as words) int32, is given first frames, and frames after the
            last.
        confidences: (at least as many as words,) float64, is given.

    Returns:
        How many words.
    """
    size = len(path)
    words = 0
    inside = False
    total = 0.0
    count = 0
    for at in range(size):
        entry = trace[path[size - 1 - at]]
        label = entry.label
        written[at] = label
        if labels.parts[label]:
            inside = False
        if labels.first[label] == labels.first[label + 1]:
            continue
        if not inside:
            inside = True
            frames[0, words] = entry.frame
            total = 0.0
            count = 0
            words += 1
        following = trace[path[size - 2 - at]].frame if at + 1 < size else len(loudest)
        end = entry.frame + 1
        while end < following and loudest[end] == label:
            end += 1
        total += math.log(max(float(entry.prob), _LEAST))
        count += 1
        frames[1, words - 1] = end
        confidences[words - 1] = min(1.0, math.exp(total / count))
    return words
