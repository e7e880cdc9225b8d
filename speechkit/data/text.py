"""One set of rules for every text of a run: transcripts, LM text, references, hypotheses."""

import gzip
import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from speechkit.errors import DataError, PluginError
from speechkit.interfaces import TextRule
from speechkit.settings import TextSettings

_APOSTROPHES = "'\u2019\u02bc\u2018`\u00b4"
_HYPHENS = "-\u2010\u2011"


@dataclass(frozen=True)
class PluginRule:
    """A rule that [text] names.

    who  in messages: "the text rule `numbers` of my-rules 1.0"
    """

    who: str
    rule: TextRule

    def __call__(self, text: str) -> str:
        """What the rule makes of a text.

        Raises:
            PluginError: it fails, or makes of it what is no text.
        """
        try:
            written: object = self.rule(text)
        except Exception as error:  # whatever a plugin may raise
            said = f"{type(error).__name__}: {error}"
            raise PluginError(f"{self.who} failed on {text[:80]!r} ({said})") from error
        if not isinstance(written, str):
            raise PluginError(f"{self.who} made {written!r} of {text[:80]!r}, which is no text")
        return written


@dataclass
class TextRules:
    """Applies the rules of [text] to a text, and counts what they take away.

    own  rules that [text] names, which come before all others, in their order

    >>> rules = TextRules(TextSettings(alphabet="abcdefghijklmnopqrstuvwxyz'"))
    >>> rules.normalize("Don\u2019t stop \u2014 caf\u00e9!")
    "don't stop caf"
    >>> rules.removed
    Counter({'\u00e9': 1})
    """

    settings: TextSettings
    own: Sequence[TextRule] = ()
    removed: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._table = _Table(self.settings)
        longest_first = sorted(self.settings.replace, key=len, reverse=True)
        self._replace = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")

    @property
    def alphabet(self) -> str:
        """The characters a text may hold, the space among them."""
        return self.settings.alphabet

    def normalize(self, text: str) -> str:
        """Words of `text` in the alphabet, parted by single spaces.

        Raises:
            DataError: `outside = "error"` and a character is neither in the alphabet nor
                punctuation.
            PluginError: a rule of a plugin fails.
        """
        for rule in self.own:
            text = rule(text)
        text = self.settings.folded(text)
        if self.settings.replace:
            text = self._replace.sub(lambda found: self.settings.replace[found[0]], text)
        if strangers := self._table.outside.intersection(text) if text else set():
            self._count(text, strangers)
        written = text.translate(self._table)
        if new := self._table.new:  # seen for the first time, while translating
            self._table.new = set()
            self._count(text, new)
        return " ".join(written.split())

    def _count(self, text: str, strangers: set[str]) -> None:
        if self.settings.outside == "error":
            shown = ", ".join(f"{each!r} (U+{ord(each):04X})" for each in sorted(strangers))
            raise DataError(
                f"characters outside the alphabet: {shown} in {text[:80]!r}",
                hint="add them to text.alphabet, or say what they become in text.replace",
            )
        for each in strangers:
            self.removed[each] += text.count(each)


class _Table(dict[int, str]):
    """What each character becomes: filled as characters are met, since Unicode is large."""

    def __init__(self, settings: TextSettings) -> None:
        super().__init__()
        self.outside: set[str] = set()  # neither in the alphabet nor punctuation: to be counted
        self.new: set[str] = set()  # those of them met since this was last emptied
        self._settings = settings

    def __missing__(self, code: int) -> str:
        self[code] = becomes = self._becomes(chr(code))
        return becomes

    def _becomes(self, character: str) -> str:  # noqa: PLR0911 - a table, read from top to bottom
        alphabet = self._settings.alphabet
        if character in alphabet:
            return character
        if character.isspace():
            return " "
        for alike in (_APOSTROPHES, _HYPHENS):
            if character in alike and (known := [each for each in alike if each in alphabet]):
                return known[0]
        if character in _APOSTROPHES:
            return ""
        if unicodedata.category(character)[0] in "PSZ":
            return " " if self._settings.punctuation == "space" else ""
        if unicodedata.category(character) in {"Cc", "Cf"}:  # controls, soft hyphens, bidi marks
            return ""
        self.outside.add(character)
        self.new.add(character)
        return " " if self._settings.outside == "space" else ""


def text_file(file: Path) -> Path:
    """A file of LM text, which must be there.

    Raises:
        DataError: it is not.
    """
    if file.is_file():
        return file
    raise DataError(f"{file}: no such text file", hint="[lm] text names files, plain or .gz")


def read_lines(file: Path) -> Iterator[str]:
    """Lines of a text file in UTF-8, plain or gzipped.

    Raises:
        DataError: it cannot be read, is not UTF-8, or is a gzip file that is cut off.
    """
    try:
        with (gzip.open if file.suffix == ".gz" else open)(file, "rt", encoding="utf-8") as lines:
            yield from lines
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise DataError(
            f"{file}: cannot be read as text: {error}", hint="UTF-8, or .gz of it"
        ) from None
