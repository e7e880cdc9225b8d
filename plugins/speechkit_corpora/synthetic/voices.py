"""The voices of the espeak-ng that the `espeakng-loader` package brings.

A voice is a language and, after a `+`, a variant: another speaker of it.
"""

import difflib
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import espeakng_loader

from speechkit import DataError


def data_folder() -> Path:
    """Where the voices lie."""
    return Path(espeakng_loader.get_data_path())


@cache
def languages() -> dict[str, str]:
    """The languages that can be spoken, as their tags (en, en-us, ru), and the file of each.

    Several files can claim a tag; that of its name comes first, then that which names it first.
    """
    claims: dict[str, list[tuple[int, str]]] = {}
    folder = data_folder() / "lang"
    for file in folder.rglob("*"):
        if not file.is_file():
            continue
        text = file.read_text(encoding="utf-8", errors="replace")
        tags = [tag.lower() for tag in re.findall(r"^\s*language\s+(\S+)", text, re.MULTILINE)]
        named = re.search(r"^\s*dictionary\s+(\w+)", text, re.MULTILINE)
        dictionary = named[1] if named else tags[0].split("-")[0]
        if not (data_folder() / f"{dictionary}_dict").is_file():
            continue  # a few are left out of the package; without one words are spelt out
        tags = [file.name.lower(), *tags]
        for place, tag in enumerate(tags):
            claims.setdefault(tag, []).append((place, file.relative_to(folder).as_posix()))
    return {tag: min(files)[1] for tag, files in claims.items()}


@cache
def variants() -> frozenset[str]:
    """All variants there are, the odd ones too."""
    return frozenset(file.name for file in (data_folder() / "voices" / "!v").iterdir())


def voice_file(voice: str) -> str:
    """A voice as espeak-ng finds it fastest: by its file, gmw/en-US+m1 for en-us+m1.

    By any other name it opens the files of all voices first, for every sentence. It speaks an
    unknown variant with its ordinary voice, and without a word.

    Raises:
        DataError: there is no such language, or no such variant.
    """
    language, plus, variant = voice.partition("+")
    if language.lower() not in languages():
        hint = _near(language, languages(), "languages")
        if language in variants():
            hint = f'a variant is written after a language: "en+{language}"'
        raise DataError(f"voice {voice!r}: espeak-ng has no language {language!r}", hint=hint)
    if plus and variant not in variants():
        raise DataError(
            f"voice {voice!r}: espeak-ng has no variant {variant!r}",
            hint=_near(variant, variants(), "variants"),
        )
    return languages()[language.lower()] + plus + variant


def _near(name: str, known: Iterable[str], what: str) -> str:
    lower = {each.lower(): each for each in sorted(known)}
    near = difflib.get_close_matches(name.lower(), lower, n=3, cutoff=0.5)
    return f"{what}: " + ", ".join([lower[each] for each in near] or lower.values())
