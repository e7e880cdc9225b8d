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
def spans(trace: Records, path: Array, loudest: Array, found: Array) -> None:
    """When labels are spoken.

    Args:
        trace: (A,) of the search.
        path: (U,) their entries, last first.
        loudest: (T,) most probable label of each frame.
        found: (3, U) int32, is given the labels, the frames they begin in, and the frames they end
            before, first label first: a label lasts while it is the most probable one.
    """
    following = len(loudest)
    last = len(path) - 1
    for at in range(len(path)):
        label = trace[path[at]].label
        first = trace[path[at]].frame
        end = first + 1
        while end < following and loudest[end] == label:
            end += 1
        found[0, last - at] = label
        found[1, last - at] = first
        found[2, last - at] = end
        following = first


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
