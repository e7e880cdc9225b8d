"""What is taken for what, by words and by characters."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from rapidfuzz.distance import Levenshtein

from speechkit.scoring.edits import Match, align
from speechkit.scoring.scores import Lines

_CELLS = 4_000_000  # of a table of alignment: beyond, an utterance is none of speech


@dataclass(frozen=True)
class Confusions:
    """How often a token was recognised as another, left out (beside None), or put in (None first).

    left_out  utterances too long to align
    """

    words: Counter[Match]
    characters: Counter[Match]
    left_out: int


def confusions(lines: Lines) -> Confusions:
    """Count those of a decoded test set."""
    words: Counter[Match] = Counter()
    characters: Counter[Match] = Counter()
    left_out = 0
    for line in lines:
        reference, hypothesis = line["reference"], line["hypothesis"]
        if reference == hypothesis:
            continue
        if len(reference) * len(hypothesis) > _CELLS:
            left_out += 1
            continue
        matches = align(reference.split(), hypothesis.split())
        words.update(match for match in matches if match[0] != match[1])
        characters.update(_of_characters(reference, hypothesis))
    return Confusions(words, characters, left_out)


def _of_characters(reference: str, hypothesis: str) -> Iterator[Match]:
    for each in Levenshtein.editops(reference, hypothesis):
        yield (
            None if each.tag == "insert" else reference[each.src_pos],
            None if each.tag == "delete" else hypothesis[each.dest_pos],
        )
