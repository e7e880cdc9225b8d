"""Edits between reference and hypothesis, and error rates from them.

A rate over a corpus is all edits over all the reference's tokens, as NIST's sclite has it; not
the mean of the utterances' rates, in which a short utterance counts as much as a long one.

The edits are the fewest there are, as jiwer counts them; among the ways to make so few, one with
the fewest substitutions, so that the counts of each kind are those of sclite, too. sclite itself
looks for the least 4 substitutions + 3 insertions + 3 deletions: it takes four insertions and
deletions for three substitutions, and so counts an error more, where two texts have hardly a word
in common. `align` is its alignment, `sclite_edits` are its counts.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias, cast

import numpy as np
from rapidfuzz.distance import Levenshtein

Match: TypeAlias = tuple[str | None, str | None]
"""A token of the reference and what was recognised; None beside a token left out, or put in."""

_SHIFT = 3  # what an insertion or a deletion costs sclite
_SUBSTITUTION = 4
_LONG = 4_000  # cells of a table of alignment, from which on arrays are faster than lists


@dataclass(frozen=True)
class Edits:
    """What it takes to make hypotheses of references, in tokens (words or characters)."""

    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0
    reference_length: int = 0

    def __add__(self, other: "Edits") -> "Edits":
        return Edits(
            self.substitutions + other.substitutions,
            self.deletions + other.deletions,
            self.insertions + other.insertions,
            self.reference_length + other.reference_length,
        )

    @property
    def total(self) -> int:
        """All edits."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def rate(self) -> float:
        """Edits over the reference's length; may pass 1. Without a reference: 0, or 1 if edits."""
        if not self.reference_length:
            return float(self.total > 0)
        return self.total / self.reference_length


def edits(reference: Sequence[str], hypothesis: Sequence[str]) -> Edits:
    """Fewest edits between two sequences of tokens; among those, with the fewest substitutions.

    >>> edits("the cat sat".split(), "the cat sat down".split())
    Edits(substitutions=0, deletions=0, insertions=1, reference_length=3)
    """
    weight = len(reference) + len(hypothesis) + 1  # more than there can be substitutions
    cost = Levenshtein.distance(reference, hypothesis, weights=(weight, weight, weight + 1))
    total, substitutions = divmod(cost, weight)
    more = len(hypothesis) - len(reference)  # insertions less deletions
    insertions = (total - substitutions + more) // 2
    return Edits(substitutions, insertions - more, insertions, len(reference))


def align(reference: Sequence[str], hypothesis: Sequence[str]) -> list[Match]:
    """Which token of the hypothesis stands for which of the reference: the edits one by one.

    As NIST's sclite 2.10 aligns them: with its weights, and of several alignments that cost the
    same, the one it takes.

    >>> align("the cat sat".split(), "a cat sat down".split())
    [('the', 'a'), ('cat', 'cat'), ('sat', 'sat'), (None, 'down')]
    """
    costs = _costs(reference, hypothesis)
    matches: list[Match] = []
    row, column = len(reference), len(hypothesis)
    while row or column:
        said = reference[row - 1] if row else None
        heard = hypothesis[column - 1] if column else None
        cost = costs[row][column]
        together = 0 if said == heard else _SUBSTITUTION
        if row and column and cost == costs[row - 1][column - 1] + together:
            row, column = row - 1, column - 1
            matches.append((said, heard))
        elif column and cost == costs[row][column - 1] + _SHIFT:
            column -= 1
            matches.append((None, heard))
        else:
            row -= 1
            matches.append((said, None))
    return matches[::-1]


def _costs(reference: Sequence[str], hypothesis: Sequence[str]) -> Sequence[Sequence[int]]:
    """What the first so many tokens of each cost: (reference + 1, hypothesis + 1)."""
    if len(reference) * len(hypothesis) > _LONG:
        return _long_costs(reference, hypothesis)
    costs = [list(range(0, _SHIFT * (len(hypothesis) + 1), _SHIFT))]
    for row, token in enumerate(reference, 1):
        above, line = costs[-1], [row * _SHIFT]
        for column, other in enumerate(hypothesis):
            both = above[column] + (0 if token == other else _SUBSTITUTION)
            line.append(min(both, above[column + 1] + _SHIFT, line[-1] + _SHIFT))
        costs.append(line)
    return costs


def _long_costs(reference: Sequence[str], hypothesis: Sequence[str]) -> Sequence[Sequence[int]]:
    """The same, a row at once: for recordings of an hour, as lists would need gigabytes.

    An insertion costs what it does anywhere, so the cheapest way to a cell by insertions alone is
    a running minimum of the row less what as many insertions as there are columns would cost.
    """
    number = {token: place for place, token in enumerate(dict.fromkeys([*reference, *hypothesis]))}
    heard = np.array([number[token] for token in hypothesis])
    shifts = np.arange(len(hypothesis) + 1, dtype=np.int32) * _SHIFT
    costs = np.empty((len(reference) + 1, len(hypothesis) + 1), np.int32)
    costs[0] = shifts
    for row, token in enumerate(reference, 1):
        above, line = costs[row - 1], costs[row]
        line[0] = row * _SHIFT
        both = above[:-1] + np.where(heard == number[token], 0, _SUBSTITUTION)
        line[1:] = np.minimum(both, above[1:] + _SHIFT)
        line[:] = np.minimum.accumulate(line - shifts) + shifts
    return cast("Sequence[Sequence[int]]", costs)


def sclite_edits(reference: Sequence[str], hypothesis: Sequence[str]) -> Edits:
    """As NIST's sclite counts them: with equal or more edits than the fewest."""
    fewest = edits(reference, hypothesis)
    if fewest.substitutions < 3:
        return fewest  # an edit more costs sclite 3, a substitution less saves it 1
    matches = align(reference, hypothesis)
    deletions = sum(heard is None for _, heard in matches)
    insertions = sum(said is None for said, _ in matches)
    wrong = sum(said != heard for said, heard in matches)
    return Edits(wrong - deletions - insertions, deletions, insertions, len(reference))


def word_edits(pairs: Iterable[tuple[str, str]]) -> Edits:
    """Of all (reference, hypothesis) texts, by words."""
    return sum((edits(ref.split(), hyp.split()) for ref, hyp in pairs), Edits())


def character_edits(pairs: Iterable[tuple[str, str]]) -> Edits:
    """Of all (reference, hypothesis) texts, by characters, spaces between words among them."""
    return sum((edits(ref, hyp) for ref, hyp in pairs), Edits())
