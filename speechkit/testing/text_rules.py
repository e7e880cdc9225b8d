"""What a rule for texts must hold."""

import time
import unicodedata
from typing import Any

from speechkit.testing import imports
from speechkit.testing.checks import Checks, Unmet
from speechkit.testing.globals import leaves_generators, seeds_nothing
from speechkit.testing.subject import Subject

CHECKS = Checks("text_rule")

_TEXTS = (
    *("a", "The cat sat on the mat.", "it's 20 past 7", "1,234.5 km/h", "AT&T & Co.", "TÜV"),
    *("Dr. Smith's dog", "naïve café", "ёлка и ель", "Й", "¿Qué?", "İstanbul ẞ ǆ", "مرحبا", "שלום"),
    *("日本語", "한국어", "हिन्दी", "½ Ⅷ ²", "— “quoted” …", "well\u00adknown", "a\u00a0b\u2009c"),
)
_ODD = (
    *("😀", "👩\u200d👩\u200d👧", "🇺🇦 0️⃣", "e\u0301\u0302\u0303\u0304", "\u0301", "Z̴̡̛a̷l̸g̶o̵"),
    *("\ufeffbegins", "a\x00b", "tab\tand\nline", "\u202eright to left", "\ufffd", "\u2028", "٣٤"),
    *("[" * 50, "\\1 \\g<0> $1 {0} %s", "(?<x>", "9" * 5000, "a" * 5000, "é" * 2000, "$%^&*#@!~`"),
)
_LETTERS = "".join(
    each for each in map(chr, range(0xC0, 0x500)) if unicodedata.normalize("NFD", each) != each
)
"""Letters of the Latin, Greek and Cyrillic scripts that can be written with an accent apart."""

_SENTENCE = "On 3 May 1999, Dr. Ann O'Neil paid $20.50 for a «naïve» café — “it's ok”, she said; "
_SENTENCES = (30, 120, 480, 1920)  # of texts that grow four times as long
_SLOW_SECONDS = 0.2  # what takes less needs no look at how it grows
_MOST = 9  # times as long for a text four times as long: between 4 and 16, its square


def _rule(subject: Subject) -> Any:  # noqa: ANN401 - a rule
    return subject.build()


@CHECKS.add("a settings' class or a constructor with other arguments, or a missing return")
def is_a_text_rule(subject: Subject) -> str:
    """Build it, and write a sentence anew."""
    text = "The cat sat on the mat at 7."
    written = _rule(subject)(text)
    if not isinstance(written, str):
        raise Unmet(f"it makes {written!r:.80} of {text!r}, not a str")
    return f"{text!r} becomes {written!r:.80}"


@CHECKS.add("an index or a table that other scripts, a sign without letters or a long number miss")
def every_text_can_be_written(subject: Subject) -> str:
    """Give it texts in many scripts, emoji, lone accents, control characters, very long words."""
    rule = _rule(subject)
    for text in (*_TEXTS, *_ODD):
        try:
            written = rule(text)
        except Exception as error:
            raise Unmet(f"{type(error).__name__}: {error!s:.80}, of {text[:40]!r}") from error
        if not isinstance(written, str):
            raise Unmet(f"it makes {written!r:.40} of {text[:40]!r}, not a str")
        try:
            written.encode()
        except UnicodeEncodeError as error:
            raise Unmet(f"{text[:40]!r} becomes what is no Unicode text: {error.reason}") from error
    return f"all {len(_TEXTS) + len(_ODD)} become text"


@CHECKS.add("text[0] or split()[-1] of a text without words, or a mark put around every text")
def no_words_from_nothing(subject: Subject) -> str:
    """Give it the empty text, and one of spaces: nobody said a word there."""
    rule = _rule(subject)
    for text in ("", " ", " \t\n "):
        if (written := rule(text)).strip():
            raise Unmet(f"{text!r} becomes {written!r:.80}")
    return "none"


@CHECKS.add(
    "characters compared as they are: rules come before the engine's own, so begin with "
    'unicodedata.normalize("NFC", text)'
)
def accents_may_stand_apart(subject: Subject) -> str:
    """Give it letters as one character and as two, é and e with ´, and compare in one form."""
    rule = _rule(subject)
    for text in (*_TEXTS, *_LETTERS):
        one, other = (unicodedata.normalize(form, text) for form in ("NFC", "NFD"))
        found, expected = (unicodedata.normalize("NFC", rule(each)) for each in (other, one))
        if found != expected:
            raise Unmet(f"{text!r} becomes {expected!r:.60}, but with accents apart {found!r:.60}")
    return f"the same, of {len(_TEXTS)} texts and {len(_LETTERS)} letters"


@CHECKS.add("a state that grows, such as what was seen before; or a random choice")
def it_depends_on_the_text_alone(subject: Subject) -> str:
    """Write texts in turn and backwards, by two builds, and look at the global generators."""
    first, second = _rule(subject), _rule(subject)
    texts = (*_TEXTS, *_ODD)
    found = {text: first(text) for text in texts}
    for rule in (first, second):
        for text in reversed(texts):
            if (again := rule(text)) != found[text]:
                raise Unmet(f"{text[:40]!r} becomes {found[text]!r:.60}, and later {again!r:.60}")
    for _ in range(20):
        if any(second(text) != found[text] for text in _TEXTS):
            raise Unmet("a text becomes another one now and then")
    leaves_generators(lambda: [first(text) for text in texts])
    seeds_nothing(lambda: _rule(subject)("it's 20 past 7"))
    return "always the same"


@CHECKS.add("a search from the text's beginning at each word, or a text that is put together anew")
def a_long_text_takes_its_share(subject: Subject) -> str:
    """Time texts of 30, 120, 480 and 1920 sentences: four times as long, some four times the time.

    A text that takes less than 0.2 seconds of the processor is quick enough.
    """
    rule, before = _rule(subject), 0.0
    for sentences in _SENTENCES:
        text = _SENTENCE * sentences
        took, limit = _seconds(rule, text), max(_SLOW_SECONDS, _MOST * before)
        if before and took > limit:
            took = min(took, _seconds(rule, text))  # perhaps something else was in its way
        if before and took > limit:
            raise Unmet(
                f"{sentences} sentences take {took:.2g} s, a quarter of them {before:.2g} s: "
                f"{took / before:.0f} times as much"
            )
        before = took
    return f"{_SENTENCES[-1]} sentences in {before:.2g} s"


def _seconds(rule: Any, text: str) -> float:  # noqa: ANN401 - a rule
    began = time.process_time()
    rule(text)
    return time.process_time() - began


@CHECKS.add("code at the module's top level: put it in functions")
def nothing_happens_at_import(subject: Subject) -> str:
    """Import its module in a fresh process: no file, program, output, seed, flag or weights."""
    return imports.does_nothing(subject)
