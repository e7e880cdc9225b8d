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

from speechkit.scoring.edits import Match

_RIGHT = 2  # words in a row that both have right, and that end a segment
FEW = 50  # segments, below which the normal distribution is a rough guess (Gillick and Cox)


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


def matched_pairs(aligned: Iterable[tuple[Sequence[Match], Sequence[Match]]]) -> MatchedPairs:
    """Test two systems by the alignments (`edits.align`) of each one's words in each utterance."""
    differences = [
        after - before for first, second in aligned for before, after in segments(first, second)
    ]
    mean = fmean(differences) if differences else 0.0
    spread = stdev(differences) if len(differences) > 1 else 0.0
    if not spread:  # all segments alike: nothing to compare their mean with
        return MatchedPairs(len(differences), mean, 0.0, 1.0)
    z = mean / (spread / len(differences) ** 0.5)
    return MatchedPairs(len(differences), mean, z, 2 * NormalDist().cdf(-abs(z)))


def segments(first: Sequence[Match], second: Sequence[Match]) -> list[tuple[int, int]]:
    """How many errors each of two systems makes in each segment in which one makes any."""
    found: list[tuple[int, int]] = []
    before = after = right = 0
    for (put_in, wrong), (also_put_in, also_wrong) in zip(
        _by_place(first), _by_place(second), strict=True
    ):
        inserted = put_in or also_put_in
        right = 0 if wrong or also_wrong else 1 if inserted else right + 1
        before, after = before + put_in + wrong, after + also_put_in + also_wrong
        if right >= _RIGHT and (before or after):
            found.append((before, after))
            before = after = 0
    return [*found, (before, after)] if before or after else found


def _by_place(matches: Iterable[Match]) -> list[tuple[int, bool]]:
    """Insertions before each word of the reference and before its end; is the word wrong?"""
    places: list[tuple[int, bool]] = []
    put_in = 0
    for said, heard in matches:
        if said is None:
            put_in += 1
        else:
            places.append((put_in, said != heard))
            put_in = 0
    return [*places, (put_in, False)]
