"""What a score protocol must hold."""

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import isclose, isfinite
from numbers import Real

from speechkit.component import NAME
from speechkit.testing import imports
from speechkit.testing.checks import Checks, NotApplicable, Unmet
from speechkit.testing.globals import leaves_generators, seeds_nothing
from speechkit.testing.subject import Subject

CHECKS = Checks("score_protocol")

Pairs = Sequence[tuple[str, str]]

_REFERENCES = (
    *("the cat sat on the mat", "a dog", "she sells sea shells by the sea shore", "yes"),
    *(
        "no one knows it",
        "yes",
        "ёлка и ель",
        "it's a naïve café",
        "one two three four",
        "so it is",
    ),
)
_ODD: Pairs = (
    *(("", ""), ("", "some words"), ("some words", ""), ("a", "a b c d e f g h"), ("a b c", "c")),
    *(("e\u0301", "\u00e9"), ("😀 ok", "ok 😀"), ("日本語", "日本"), ("' '", "'"), ("a a a", "a")),
    ("the cat sat " * 70, "a cat sits " * 66),
)
_SWAPPED = str.maketrans("aeiouаеиоу", "eioauеиоуа")
_NEAR = 1e-9  # sums in another order differ by less, as a share


def _alike(one: float, other: float) -> bool:
    return isclose(one, other, rel_tol=_NEAR, abs_tol=_NEAR)


def _misheard(text: str) -> str:
    """Each word of a text is another one of its length; none is right."""
    return " ".join(each.translate(_SWAPPED)[::-1] + "x" for each in text.split())


def _pairs(wrong: int = 0) -> list[tuple[str, str]]:
    """(reference, hypothesis), of which the first `wrong` are misheard."""
    return [
        (text, _misheard(text) if number < wrong else text)
        for number, text in enumerate(_REFERENCES)
    ]


def _measures(subject: Subject, pairs: Pairs) -> dict[str, float]:
    """What a protocol that is built anew makes of pairs.

    Raises:
        Unmet: it is no mapping of names to finite numbers.
    """
    given = subject.build()(list(pairs))
    if not isinstance(given, Mapping) or not given:
        raise Unmet(f"it gives {given!r:.80}, not measures by name")
    for name, value in given.items():
        if not isinstance(name, str) or not re.fullmatch(NAME, name):
            raise Unmet(f"a measure is called {name!r}: lower-case letters, digits and _ are names")
        if not isinstance(value, Real) or not isfinite(value):
            raise Unmet(f"its measure `{name}` is {value!r}, not a finite number")
    return {name: float(value) for name, value in given.items()}


def _unlike(found: Mapping[str, float], expected: Mapping[str, float], when: str) -> None:
    """Compare measures.

    Raises:
        Unmet: they differ.
    """
    if found.keys() != expected.keys():
        raise Unmet(f"its measures are {sorted(found)} {when}, not {sorted(expected)}")
    for name, value in expected.items():
        if not _alike(found[name], value):
            raise Unmet(f"its measure `{name}` is {found[name]!r} {when}, not {value!r}")


@CHECKS.add("a settings' class or a constructor with other arguments, or a number without a name")
def is_a_score_protocol(subject: Subject) -> str:
    """Build it, and score ten utterances, of which three are misheard."""
    found = _measures(subject, _pairs(3))
    return ", ".join(f"{name} = {value:.4g}" for name, value in found.items())


@CHECKS.add("a division by the words of one utterance, which may have none, or max() of no words")
def every_pair_has_its_numbers(subject: Subject) -> str:
    """Score odd pairs, each alone and all together: texts without words, emoji, 200 words."""
    names = _measures(subject, _pairs(3)).keys()
    for pairs in (*((each,) for each in _ODD), _ODD):
        said = "all together" if pairs is _ODD else f"of {pairs[0]!r:.60}"
        try:
            found = _measures(subject, pairs)
        except Unmet as unmet:
            raise Unmet(f"{unmet}, {said}") from None
        except Exception as error:
            raise Unmet(f"{type(error).__name__}: {error!s:.80}, {said}") from error
        if found.keys() != names:
            raise Unmet(f"its measures are {sorted(found)} {said}, and else {sorted(names)}")
    return f"all {len(_ODD)} have finite numbers by the same names"


@CHECKS.add(
    "a reference scored against itself, or a guard against division by 0 that gives too much"
)
def what_is_right_is_best(subject: Subject) -> str:
    """Score tests with 0, 3, 6 and all 10 utterances misheard: each measure goes one way."""
    tests = [_measures(subject, _pairs(wrong)) for wrong in (0, 3, 6, len(_REFERENCES))]
    ways = []
    for name in tests[0]:
        values = [each[name] for each in tests]
        shown = ", ".join(f"{each:.4g}" for each in values)
        rises = all(one <= other or _alike(one, other) for one, other in pairwise(values))
        falls = all(one >= other or _alike(one, other) for one, other in pairwise(values))
        if not (rises or falls):
            raise Unmet(f"its measure `{name}` goes up and down with the errors: {shown}")
        if not (rises and falls):
            ways.append(f"{name}: {shown}")
    if not ways:
        raise Unmet("no measure of it tells right from wrong: all are the same with every error")
    return "; ".join(ways)


@CHECKS.add("one error too many, as of a space at the end, or of case; or a floor under the rate")
def without_errors_there_are_none(subject: Subject) -> str:
    """Score hypotheses that are the references: what goes up with the errors is 0 then."""
    right, wrong = _measures(subject, _pairs()), _measures(subject, _pairs(len(_REFERENCES)))
    errors = [name for name in right if right[name] < wrong[name]]
    if not errors:
        raise NotApplicable("no measure of it goes up with the errors")
    for name in errors:
        if not _alike(right[name], 0.0):
            raise Unmet(f"its measure `{name}` is {right[name]!r} where every word is right")
    return f"{', '.join(errors)}: 0"


@CHECKS.add(
    "a loop that ends early, or a running mean; where the order is meant to matter, skip it"
)
def the_order_of_pairs_is_no_matter(subject: Subject) -> str:
    """Score the same utterances in their order, backwards, and the last five first."""
    pairs = _pairs(3)
    expected = _measures(subject, pairs)
    _unlike(_measures(subject, pairs[::-1]), expected, "with the pairs backwards")
    _unlike(_measures(subject, [*pairs[5:], *pairs[:5]]), expected, "with the last five first")
    return "the same"


@CHECKS.add("counts that are kept in the protocol from one test set to the next")
def the_same_every_time(subject: Subject) -> str:
    """Score a test, another one and the first again, with one protocol and with two."""
    one, other = subject.build(), subject.build()
    pairs = _pairs(3)
    expected = dict(one(list(pairs)))
    one([("another test", "another rest")])
    for protocol, when in ((one, "after another test"), (other, "of a second build")):
        if dict(protocol(list(pairs))) != expected:
            _unlike(protocol(list(pairs)), expected, when)
            raise Unmet(f"its measures differ a little {when}")
    return "the same"


@CHECKS.add("pairs.sort() or pairs.pop() on what it is given: copy it first")
def the_pairs_stay_as_they_are(subject: Subject) -> str:
    """Look at the pairs after they are scored, and give them as a tuple, too."""
    pairs = _pairs(3)
    expected = subject.build()(pairs)
    if pairs != _pairs(3):
        raise Unmet("its input `pairs` is changed in place")
    _unlike(subject.build()(tuple(pairs)), expected, "with the pairs as a tuple")
    return "they do"


@CHECKS.add("random draws, as for an interval, from a global generator: make one, with a seed")
def no_random_numbers(subject: Subject) -> str:
    """Score a test, and look at the global generators."""
    leaves_generators(lambda: subject.build()(_pairs(3)))
    seeds_nothing(lambda: subject.build()(_pairs(3)))
    return "none of a global generator"


@CHECKS.add("code at the module's top level: put it in functions")
def nothing_happens_at_import(subject: Subject) -> str:
    """Import its module in a fresh process: no file, program, output, seed, flag or weights."""
    return imports.does_nothing(subject)
