"""The matched-pairs test: do two systems make equally many errors in a segment of speech?

Gillick and Cox, Some statistical issues in the comparison of speech recognition algorithms (ICASSP
1989): speech is cut where both systems are right for a while, so that what happens in one segment
says nothing about the next. NIST calls it MAPSSWE, and its program sc_stats, which this follows,
cuts where both have two words in a row right, and at the ends of utterances:

    reference      a  b  c  d  e  f  g  h
    first         [a  x] c  d  e [y  z] h     errors per segment  1 2
    second        [a  b] c  d  e [f  .] h                         0 1
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean, stdev

from speechkit.scoring.edits import Match, align

_RIGHT = 2  # words in a row that both have right, and that end a segment
FEW = 30  # segments, below which the normal distribution is a rough guess


@dataclass(frozen=True)
class MatchedPairs:
    """What the test found: `mean`, of the second system's errors less the first's, in a segment.

    z  the mean over its standard error; 0 where no segment differs
    p  how often chance alone gives a mean at least as far from 0
    """

    segments: int
    mean: float
    z: float
    p: float


def matched_pairs(texts: Iterable[tuple[str, str, str]]) -> MatchedPairs:
    """Test (reference, first hypothesis, second hypothesis) of each utterance."""
    differences = [
        after - before
        for reference, first, second in texts
        for before, after in _segments(reference.split(), first.split(), second.split())
    ]
    mean = fmean(differences) if differences else 0.0
    spread = stdev(differences) if len(differences) > 1 else 0.0
    if not spread:  # all segments alike: nothing to compare their mean with
        return MatchedPairs(len(differences), mean, 0.0, 1.0)
    z = mean / (spread / len(differences) ** 0.5)
    return MatchedPairs(len(differences), mean, z, 2 * NormalDist().cdf(-abs(z)))


def _segments(
    reference: Sequence[str], first: Sequence[str], second: Sequence[str]
) -> list[tuple[int, int]]:
    """How many errors each system makes in each segment in which one of them makes any."""
    if first == second == reference:
        return []
    found: list[tuple[int, int]] = []
    before = after = right = 0
    ours, theirs = (
        _by_place(align(reference, each, sclite=True), len(reference)) for each in (first, second)
    )
    for (put_in, wrong), (also_put_in, also_wrong) in zip(ours, theirs, strict=True):
        inserted, errs = put_in + also_put_in > 0, wrong or also_wrong
        right = 0 if errs else 1 if inserted else right + 1
        before, after = before + put_in + wrong, after + also_put_in + also_wrong
        if right >= _RIGHT and (before or after):
            found.append((before, after))
            before = after = 0
    return [*found, (before, after)] if before or after else found


def _by_place(matches: Iterable[Match], length: int) -> list[tuple[int, bool]]:
    """Insertions before each word of the reference and before its end; is the word wrong?"""
    places: list[tuple[int, bool]] = []
    put_in = 0
    for said, heard in matches:
        if said is None:
            put_in += 1
        else:
            places.append((put_in, said != heard))
            put_in = 0
    assert len(places) == length
    return [*places, (put_in, False)]
