"""From the trace of a search to labels, words and their times."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from speechkit import Hypothesis, Word
from speechkit_beam.compiling import compiled
from speechkit_beam.records import JOIN, Array, Records


@compiled
def compact(trace: Records, beam: Records, progress: Records, number: Array) -> None:
    """Drop the entries no hypothesis comes from; the others move up, in the same order.

    Args:
        trace: (A,) changed in place.
        beam: (K,) its `trace` is numbered anew.
        progress: (1,) `traced` is set.
        number: (A,) int32, work space.
    """
    now = progress[0]
    for entry in range(now.traced):
        number[entry] = 0
    for at in range(now.kept):
        number[beam[at].trace] = 1
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
        beam[at].trace = number[beam[at].trace]
    now.traced = to


@compiled
def read_path(trace: Records, entry: int, loudest: Array, path: Array) -> int:
    """Follow a hypothesis back to its beginning.

    Args:
        trace: (A,) of the search.
        entry: where the hypothesis stands.
        loudest: (T,) most probable label of each frame.
        path: (4, at least as many as labels) int32, is given: labels, last first; the frames they
            begin in; the frames they end before; their entries.

    Returns:
        How many labels.
    """
    count = 0
    following = len(loudest)
    while entry > 0:
        label = trace[entry].label
        if label != JOIN:
            first = trace[entry].frame
            end = first + 1
            while end < following and loudest[end] == label:
                end += 1
            path[0, count] = label
            path[1, count] = first
            path[2, count] = end
            path[3, count] = entry
            count += 1
            following = first
        entry = trace[entry].parent
    return count


@dataclass(frozen=True)
class Spelling:
    """What labels write.

    characters  of each label, without the word boundary
    parts       whether the label begins with it
    """

    characters: Sequence[str]
    parts: Sequence[bool]


def hypothesis(
    spelling: Spelling,
    score: float,
    path: Sequence[Sequence[int]],
    log_probs: Sequence[float],
    seconds: Callable[[int, int], tuple[float, float]],
    *,
    whole: bool,
) -> Hypothesis:
    """A hypothesis from its labels.

    Args:
        spelling: of the labels.
        score: of the hypothesis.
        path: labels in their order, the frames they begin in, the frames they end before.
        log_probs: of each label in its frame.
        seconds: first frame and the frame after the last, to the times they begin and end.
        whole: false leaves out the last word, of which only a beginning was heard.
    """
    words: list[tuple[str, int, int, float, int]] = []
    text, begun, ended, total, count = "", 0, 0, 0.0, 0
    for label, first, end, log_prob in zip(*path, log_probs, strict=True):
        if spelling.parts[label] and text:
            words.append((text, begun, ended, total, count))
            text = ""
        written = spelling.characters[label]
        if not written:
            continue
        if not text:
            begun, total, count = first, 0.0, 0
        text += written
        ended = end
        total += log_prob
        count += 1
    if text and whole:
        words.append((text, begun, ended, total, count))
    return Hypothesis(
        text=" ".join(word[0] for word in words),
        score=score,
        words=tuple(
            Word(text, *seconds(begun, ended), min(1.0, math.exp(total / count)))
            for text, begun, ended, total, count in words
        ),
    )
