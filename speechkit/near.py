"""Near names: what a user who misspelt a word most likely meant."""

from collections.abc import Iterable
from difflib import SequenceMatcher

SHOWN = 3  # near names offered at once
LISTED = 20  # known names listed where none is near
ALIKE = 0.6  # share of the letters two near names have in common, in order


def near_names(name: str, known: Iterable[str]) -> list[str]:
    """The names in `known` most like `name`, best first; none where none is alike.

    >>> near_names("rnn_layer", ["rnn_units", "rnn_layers", "dropout"])
    ['rnn_layers']
    >>> near_names("Use", ["use"])
    ['use']
    """
    written = name.lower().replace("-", "_")
    scored = []
    for each in sorted(set(known)):
        ratio = SequenceMatcher(None, written, each.lower()).ratio()
        if ratio >= ALIKE or _one_slip(written, each.lower()):
            scored.append((-_one_slip(written, each.lower()), -ratio, each))
    slips = [each for each in scored if each[0]]  # next to these, others are far
    return [each for *_, each in sorted(slips or scored)[:SHOWN]]


def near(name: str, known: Iterable[str]) -> str:
    """A hint in words: the near names, or else all that are known.

    >>> near("n3", ["n2"])
    'did you mean `n2`?'
    >>> near("conformer", ["n2", "bilstm"])
    'known: bilstm, n2'
    """
    known = sorted(set(known))
    if close := near_names(name, known):
        return "did you mean " + " or ".join(f"`{each}`" for each in close) + "?"
    more = ", ..." if len(known) > LISTED else ""
    return f"known: {', '.join(known[:LISTED])}{more}" if known else ""


def _one_slip(one: str, other: str) -> bool:
    """Whether a letter left out, put in, changed, or two of them swapped parts the two names."""
    if abs(len(one) - len(other)) > 1:
        return False
    start = 0
    while start < min(len(one), len(other)) and one[start] == other[start]:
        start += 1
    left, right = one[start:], other[start:]
    return (
        left[1:] == right[1:]
        or left[1:] == right
        or left == right[1:]
        or (left[:2] == right[1::-1] and left[2:] == right[2:])
    )
