"""What units of text must hold."""

import pickle
from typing import Any

from speechkit.errors import SpeechkitError
from speechkit.interfaces import Vocabulary
from speechkit.testing import imports
from speechkit.testing.checks import Checks, Unmet
from speechkit.testing.globals import leaves_generators, seeds_nothing
from speechkit.testing.subject import Subject

CHECKS = Checks("units")

_ALPHABETS = ("abcdefghijklmnopqrstuvwxyz' ", " абвгдеёжзийклмнопрстуфхцчшщъыьэюя")
_TEXTS = (
    ("a", "aa", "the cat", "it's all too good", "zebra zz top", "x y z"),
    ("я", "аа", "ёлка и ель", "съешь ещё", "длинношеее животное", "а б в"),
)


def _units(subject: Subject, alphabet: str = _ALPHABETS[0]) -> Any:  # noqa: ANN401 - units
    return subject.build(alphabet=alphabet)


@CHECKS.add("a settings' class or a constructor with other arguments, or no Vocabulary")
def is_units(subject: Subject) -> str:
    """Build them for the English letters, and look at their vocabulary."""
    units = _units(subject)
    if not isinstance(getattr(units, "vocabulary", None), Vocabulary):
        raise Unmet("its `vocabulary` is no speechkit.Vocabulary")
    labels = units.encode("the cat")
    if not isinstance(labels, list) or not all(type(each) is int for each in labels):
        raise Unmet(f"encode gives {labels!r:.80}, not a list of int")
    return f"{len(units.vocabulary)} labels; 'the cat' is {labels}"


@CHECKS.add("labels that begin at 0, the blank's; a letter lost; or a word boundary not written")
def text_comes_back(subject: Subject) -> str:
    """Encode texts in two alphabets and read them back from the vocabulary."""
    for alphabet, texts in zip(_ALPHABETS, _TEXTS, strict=True):
        units = _units(subject, alphabet)
        for text in texts:
            labels = units.encode(text)
            if (back := units.vocabulary.text(labels)) != text:
                raise Unmet(f"{text!r} comes back as {back!r}, by way of {labels}")
    return f"all {sum(map(len, _TEXTS))} texts"


@CHECKS.add("labels that begin at 0: label 0 is the CTC blank")
def labels_are_of_the_vocabulary(subject: Subject) -> str:
    """Look at every label of the texts: from 1 to the vocabulary's size, without it."""
    for alphabet, texts in zip(_ALPHABETS, _TEXTS, strict=True):
        units = _units(subject, alphabet)
        for text in texts:
            for label in units.encode(text):
                if not 1 <= label < len(units.vocabulary):
                    raise Unmet(f"{text!r} has the label {label} of {len(units.vocabulary)}")
    return "all are"


@CHECKS.add("edges or marks added where there is nothing to mark")
def empty_text_has_no_labels(subject: Subject) -> str:
    """Encode the empty text."""
    if labels := _units(subject).encode(""):
        raise Unmet(f"it has the labels {labels}")
    return "none"


@CHECKS.add("a set in place of a list: its order is another in each process; or a state that grows")
def every_build_is_the_same(subject: Subject) -> str:
    """Build them twice, encode in another order, and compare vocabulary and labels."""
    first, second = _units(subject), _units(subject)
    for text in _TEXTS[0]:
        first.encode(text)
    labels = [second.encode(text) for text in reversed(_TEXTS[0])]
    if first.vocabulary != second.vocabulary:
        raise Unmet("the vocabularies differ")
    if [first.encode(text) for text in reversed(_TEXTS[0])] != labels:
        raise Unmet("the labels of a text depend on what was encoded before")
    order = list(first.vocabulary.labels)
    other = _units(subject, "".join(reversed(_ALPHABETS[0])))
    if sorted(order) != sorted(other.vocabulary.labels):
        raise Unmet("an alphabet in another order has other labels")
    return "the same"


@CHECKS.add("characters dropped in silence (`if character in ...`): raise a speechkit.DataError")
def what_is_outside_is_told(subject: Subject) -> str:
    """Encode a character that is not in the alphabet."""
    units = _units(subject)
    try:
        labels = units.encode("a☃b")
    except SpeechkitError as error:
        return f"told: {error}"
    if units.vocabulary.text(labels) == "a☃b":
        return "it has labels for it"
    raise Unmet(f"'a☃b' becomes {units.vocabulary.text(labels)!r}, and nobody is told")


@CHECKS.add("a lambda or an open file among its attributes")
def goes_to_workers(subject: Subject) -> str:
    """Pickle them, and encode with the copy."""
    units = _units(subject)
    copied = pickle.loads(pickle.dumps(units))  # noqa: S301 - our own
    if copied.encode("the cat") != units.encode("the cat"):
        raise Unmet("the copy encodes otherwise")
    return "the copy encodes alike"


@CHECKS.add(
    "a random choice between spellings, or a seed: the same text always has the same labels"
)
def no_random_numbers(subject: Subject) -> str:
    """Encode a text twenty times, and look at the global generators."""
    units = _units(subject)
    found = {tuple(units.encode("it's all too good")) for _ in range(20)}
    if len(found) > 1:
        raise Unmet(f"a text has {len(found)} different encodings")
    leaves_generators(lambda: units.encode("the cat"))
    seeds_nothing(lambda: _units(subject).encode("the cat"))
    return "always the same"


@CHECKS.add("code at the module's top level: put it in functions")
def nothing_happens_at_import(subject: Subject) -> str:
    """Import its module in a fresh process: no file, program, output, seed, flag or weights."""
    return imports.does_nothing(subject)
