"""What the best path of an alternative in an n-best list is worth at most, in compiled code.

The trace knows of an alternative by how much it was worse where it was merged into a better one,
not whether a blank was last there: as if both could go on alike. So what it promises may be more
than there is. Here the labels are aligned with the emissions again, near where the trace has them.

Axes: T frames, V labels, U labels of the alternative.
"""

import math

from speechkit_beam.compiling import compiled
from speechkit_beam.lm import END, step
from speechkit_beam.records import BLANK, ROOT, Array, Labels, Records, Settings
from speechkit_beam.search import probability, walked, word_end

_BAND = 64  # frames a label may begin before or after the frame the trace has it at
_NEVER = -1e300  # logarithm of a probability of 0, that can be reckoned with


@compiled
def aligned(probs: Array, written: Array, frames: Array, labels: Labels, paths: Array) -> float:
    """Natural logarithm of the best path's probability.

    Args:
        probs: (T, V) float32, probabilities of the labels.
        written: (U,) int32, the labels.
        frames: (U,) int32, about when each begins; never less than the one before.
        labels: how they are spelled.
        paths: (2, U + 1) float64, work space: best paths that have read so many labels, and end in
            a blank, or in the last of them.
    """
    size = len(written)
    for read in range(size + 1):
        paths[0, read] = paths[1, read] = _NEVER
    paths[0, 0] = 0.0
    low = 0  # so many labels were read at least,
    high = 0  # and at most
    for frame in range(len(probs)):
        row = probs[frame]
        silent = math.log(probability(row, BLANK))
        while high < size and frames[high] - _BAND <= frame:
            high += 1
        while low < high and frames[low] + _BAND < frame:
            paths[0, low] = paths[1, low] = _NEVER
            low += 1
        for read in range(high, low - 1, -1):
            last = written[read - 1] if read else labels.boundary
            total = max(paths[0, read], paths[1, read])
            # As in the search: between words, another boundary after a blank parts the same words.
            label = total if last == labels.boundary and last != BLANK else paths[1, read]
            if read > 0:
                before = written[read - 2] if read > 1 else labels.boundary
                begun = paths[0, read - 1]
                if before != last:
                    begun = max(begun, paths[1, read - 1])
                label = max(label, begun)
            paths[0, read] = total + silent
            paths[1, read] = label + math.log(probability(row, last))
    return float(max(paths[0, size], paths[1, size]))


@compiled
def judged(
    written: Array, state: int, settings: Settings, labels: Labels, nodes: Records, lm: Array
) -> float:
    """What language model, bonuses and penalties make of (U,) labels, as the search counts them.

    Args:
        written: (U,) int32, the labels.
        state: of the language model, at the beginning.
        settings: as the user chose.
        labels: how they are spelled.
        nodes: (N + 1,) the lexicon.
        lm: NgramArrays.
    """
    score = 0.0
    place = ROOT
    for label in written:
        if labels.parts[label] and place != ROOT:
            factor, state = word_end(place, state, settings, nodes, lm)
            score += math.log(max(factor, 1e-300))
            place = ROOT
        place = walked(place, label, labels, nodes)
    if place != ROOT:
        factor, after = word_end(place, state, settings, nodes, lm)
        if factor > 0:  # else the last word is left out
            score += math.log(factor)
            state = after
    log_prob, _ = step(lm, state, END)
    return score + settings.lm_weight * log_prob
