"""Sentences for a synthesiser to speak: drawn from a grammar or a text file, the parts apart.

Which part of a corpus a sentence belongs to is a property of the sentence, whatever the seed and
the rest of the settings: no sentence of one part is ever one of another.
"""

import hashlib
import random
import re
import tomllib
from collections.abc import Iterator, Sequence
from functools import cache
from importlib import resources
from typing import Literal, TypeAlias

Part: TypeAlias = Literal["train", "validation", "test"]

_TENTHS: dict[int, Part] = {8: "validation", 9: "test"}  # the other eight are for training
_TIRED = 5_000  # draws without a new sentence, after which all count as drawn


def part_of(sentence: str) -> Part:
    """The part that a sentence belongs to; case and punctuation do not count.

    >>> part_of("Where is the key?") == part_of("where is the key")
    True
    """
    words = re.sub(r"[\W_]+", " ", sentence.lower()).strip()
    tenth = int.from_bytes(hashlib.sha256(words.encode()).digest()[:8], "big") % 10
    return _TENTHS.get(tenth, "train")


@cache
def grammars() -> dict[str, dict[str, tuple[str, ...]]]:
    """Language -> name -> alternatives."""
    file = resources.files("speechkit_corpora.synthetic") / "sentences.toml"
    written = tomllib.loads(file.read_text(encoding="utf-8"))
    return {
        language: {
            name: tuple(
                each.strip() for each in (given.split("|") if isinstance(given, str) else given)
            )
            for name, given in names.items()
        }
        for language, names in written.items()
    }


def from_grammar(
    language: str, part: Part, words: tuple[int, int], draw: random.Random
) -> Iterator[str]:
    """Sentences of a part, of `words[0]` to `words[1]` words, without end.

    One comes again only when no other has been drawn for long. Ends where there are none.
    """
    grammar = grammars()[language]

    def expand(name: str) -> str:
        alternatives = grammar[name]
        # `random()` is the one method whose results Python promises to keep.
        chosen = alternatives[int(draw.random() * len(alternatives))]
        return re.sub(r"\{(\w+)\}", lambda found: expand(found[1]), chosen)

    seen: set[str] = set()
    in_vain = 0
    while seen or in_vain < _TIRED:
        sentence = expand("sentence")
        if sentence not in seen and fits(sentence, part, words):
            seen.add(sentence)
            in_vain = 0
            yield sentence
        else:
            in_vain += 1
            if seen and in_vain == _TIRED:
                seen.clear()
                in_vain = 0


def from_lines(
    lines: Sequence[str], part: Part, words: tuple[int, int], draw: random.Random
) -> Iterator[str]:
    """Lines of a part, of `words[0]` to `words[1]` words, without end: in random order.

    All of them come before one comes again. Ends where there are none.
    """
    mine = [line for line in lines if fits(line, part, words)]
    while mine:
        yield from sorted(mine, key=lambda _: draw.random())


def fits(sentence: str, part: Part, words: tuple[int, int]) -> bool:
    """Whether a sentence is of `part` and has `words[0]` to `words[1]` words."""
    return words[0] <= len(sentence.split()) <= words[1] and part_of(sentence) == part
