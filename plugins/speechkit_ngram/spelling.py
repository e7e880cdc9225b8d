"""Whether a language model and a vocabulary fit: which words can be spelt with the labels."""

import logging
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from speechkit import DataError, Vocabulary

_LOG = logging.getLogger(__name__)
_EXPECTED = 0.8  # of a model's words; digits and foreign letters take a few from any
_CASES: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("lower", str.lower),
    ("upper", str.upper),
)


def letters_of(vocabulary: Vocabulary) -> frozenset[str]:
    """Characters the labels write, without the one that parts words."""
    return frozenset("".join(vocabulary.labels)) - {vocabulary.word_boundary}


def spelt(words: Sequence[str], letters: frozenset[str]) -> list[str]:
    """Those of the words that have no other letters.

    >>> spelt(["no", "NO", "on"], frozenset("on"))
    ['no', 'on']
    """
    return [word for word in words if letters.issuperset(word)]


def check_fit(path: Path, words: Sequence[str], vocabulary: Vocabulary) -> None:
    """Warn where many of a language model's words can never be found; the usual cause is the case.

    Raises:
        DataError: not one word can be spelt, or there is none.
    """
    if not words:
        raise DataError(
            f"{path}: the language model has no words", hint="build it from more text, or cut less"
        )
    letters = letters_of(vocabulary)
    known = len(spelt(words, letters))
    if known >= _EXPECTED * len(words):
        return
    foreign = next((word for word in words if not letters.issuperset(word)), "")
    shares = {
        case: len(spelt([turned(word) for word in words], letters)) for case, turned in _CASES
    }
    case = max(shares, key=lambda each: shares[each])
    helps = shares[case] > max(2 * known, known + 0.1 * len(words))
    hint = (
        f"in {case} case {shares[case] / len(words):.0%} could: build the model from text "
        "under the recipe's text rules"
        if helps
        else "build the model from text under the recipe's text rules"
    )
    if not known:
        raise DataError(
            f"{path}: not one of the language model's {len(words):,} words can be spelt with the "
            f"vocabulary's labels, such as {foreign!r}",
            hint=hint,
        )
    warn_once(
        f"{path}: only {known / len(words):.1%} of the language model's {len(words):,} words can "
        f"be spelt with the vocabulary's labels, not {foreign!r}; {hint}"
    )


def check_hotwords(hotwords: Sequence[str], vocabulary: Vocabulary) -> None:
    """Warn of hotwords that can never be found."""
    letters = letters_of(vocabulary)
    lost = [word for phrase in hotwords for word in phrase.split() if not letters.issuperset(word)]
    if lost:
        warn_once(
            "hotwords that the vocabulary's labels cannot spell are of no use: "
            f"{', '.join(map(repr, lost))}; write them under the recipe's text rules"
        )


@cache
def warn_once(message: str) -> None:
    """Warn, but not again of a decoder that is made anew with other weights."""
    _LOG.warning("%s", message)
