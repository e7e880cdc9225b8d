"""Edits between reference and hypothesis, and error rates from them.

A rate over a corpus is all edits over all the reference's tokens, as NIST's sclite has it; not
the mean of the utterances' rates, in which a short utterance counts as much as a long one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rapidfuzz.distance import Levenshtein


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
    """Fewest edits between two sequences of tokens.

    >>> edits("the cat sat".split(), "the cat sat down".split())
    Edits(substitutions=0, deletions=0, insertions=1, reference_length=3)
    """
    counts = {"replace": 0, "delete": 0, "insert": 0}
    for operation in Levenshtein.editops(reference, hypothesis):
        counts[operation.tag] += 1
    return Edits(counts["replace"], counts["delete"], counts["insert"], len(reference))


def word_edits(pairs: Iterable[tuple[str, str]]) -> Edits:
    """Of all (reference, hypothesis) texts, by words."""
    return sum((edits(ref.split(), hyp.split()) for ref, hyp in pairs), Edits())


def character_edits(pairs: Iterable[tuple[str, str]]) -> Edits:
    """Of all (reference, hypothesis) texts, by characters, spaces between words among them."""
    return sum((edits(ref, hyp) for ref, hyp in pairs), Edits())
