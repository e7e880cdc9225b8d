"""`use = "voxforge"`: sessions of VoxForge as unpacked, in any language.

The tree, a folder for each session that someone sent in, named NAME-YYYYMMDD-xyz:

    SESSION/wav/ru_0024.wav       or flac/ru_0024.flac
            etc/PROMPTS           a line each: SESSION/mfc/ru_0024 TEXT IN CAPITALS
            etc/prompts-original  a line each: ru_0024 Text, as it was shown.

Years of volunteers left sessions without prompts or recordings, and either without the other: all
that cannot be used is left out, and told in one warning.

Encodings: prompts are UTF-8. A file that is not is read as the older one that it must be, and that
is told. Where most letters are not ASCII, as in Russian, that is cp1251 or KOI8-R, whichever gives
more of the commonest Russian letters; else cp1252, which is latin-1 with quotation marks. A prompt
with a letter that was lost (U+FFFD) is left out.
"""

import fnmatch
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal, TypeAlias

from speechkit import DataError, Field, Speech
from speechkit_corpora.share import in_share
from speechkit_corpora.trees import (
    TreeConfig,
    Utterance,
    contents,
    existing_folder,
    listed,
    packed_name,
    recordings,
    subfolders,
    to_speech,
    told_as_data_errors,
    warn,
    warn_left_out,
)

REVISION = 2  # goes up when the same tree gives other rows

_EXPECTED = (
    "give the folder of the unpacked sessions: each holds etc/PROMPTS or etc/prompts-original, "
    "and wav/*.wav or flac/*.flac"
)
_DATED = re.compile(r"(.+)-\d{8}")
_SUFFIX = re.compile(r"\.(wav|flac|mfc)$", re.IGNORECASE)
_LOST = "\ufffd"

Told: TypeAlias = defaultdict[str, list[str]]
"""Kind of what is left out, or an encoding -> names."""


class VoxForgeConfig(TreeConfig):
    """The folder of unpacked VoxForge sessions.

    Rows are by session and recording; ids are SESSION/RECORDING. A speaker is the part of the
    session's name before the date, in lower case; each session of `anonymous` is one of its own.
    `share` counts speakers.
    """

    sessions: list[str] | None = Field(
        None, min_length=1, description="names or patterns such as *-2011*; default: all"
    )
    speakers: list[str] | None = Field(
        None, min_length=1, description="names or patterns; default: all"
    )
    prompts: Literal["auto", "PROMPTS", "prompts-original"] = Field(
        "auto", description="which file; auto: prompts-original, and PROMPTS for what it lacks"
    )


def build_voxforge(config: VoxForgeConfig) -> Speech:
    """The utterances of the sessions that can be used.

    Raises:
        DataError: a folder that is not there or holds no sessions, a selection that takes none,
            no session that can be used.
    """
    with told_as_data_errors():
        root = existing_folder(config.path)
        folders = {each.name: each for each in subfolders(root)}
        if not any(map(_is_session, folders.values())):
            raise _no_sessions(root, folders)
        packed = {packed_name(each.name): each.name for each in root.iterdir()}
        names = _selected(sorted({*folders, *filter(None, packed)}), config)
        left_out: Told = defaultdict(list)
        foreign: Told = defaultdict(list)
        utterances: list[Utterance] = []
        for name in names:
            if name in folders:
                utterances += _read(folders[name], config.prompts, left_out, foreign)
            else:
                left_out["sessions that are still packed"].append(packed[name])
        warn_left_out(root, left_out)
        for encoding, files in foreign.items():
            warn(root, f"prompts not in UTF-8, read as {encoding}: {len(files)} ({listed(files)})")
        if not utterances:
            raise DataError(f"{root}: none of {len(names)} sessions can be used", hint=_EXPECTED)
        return to_speech(utterances, root, config.limit, revision=f"voxforge {REVISION}")


def speaker_of(session: str) -> str:
    """Who speaks in a session, by its name.

    >>> speaker_of("MaratNazarov-20090917-ygg"), speaker_of("anonymous-20110505-ibv")
    ('maratnazarov', 'anonymous-20110505-ibv')
    """
    dated = _DATED.match(session)
    name = (dated[1] if dated else session).lower()
    return session if name == "anonymous" else name


def parse_prompt(line: str) -> tuple[str, str]:
    """The recording and the text of a line that is not blank; the text can be missing.

    >>> parse_prompt("anna-20110507-jum/mfc/ru_0024 НА МАРС")
    ('ru_0024', 'НА МАРС')
    >>> parse_prompt("ru_0024 На Марс.")
    ('ru_0024', 'На Марс.')
    """
    # Names of sessions can hold spaces; what comes before /mfc/ is one, or stands for it: `*`.
    _, marked, rest = line.partition("/mfc/")
    name, text = [*(rest if marked else line).split(maxsplit=1), "", ""][:2]
    return _SUFFIX.sub("", name.rsplit("/", 1)[-1]), text.strip()


_COMMON = "оеаинт"  # every second letter of Russian text


def decode(content: bytes) -> tuple[str, str]:
    """A file's text, and the encoding that was taken.

    >>> decode("ru_0024 На Марс".encode("cp1251"))
    ('ru_0024 На Марс', 'cp1251')
    """
    try:
        return content.decode("utf-8-sig"), "UTF-8"
    except UnicodeDecodeError:
        text = content.decode("utf-8-sig", errors="replace")
    # UTF-8 with a few damaged letters, if many letters are whole: other encodings give hardly any.
    if sum(letter > "\x7f" for letter in text.replace(_LOST, "")) > text.count(_LOST):
        return text, "UTF-8"
    spoken = b"".join(rest for line in content.splitlines() for rest in line.split(maxsplit=1)[1:])
    letters = sum(byte < 0x80 for byte in spoken if chr(byte).isalpha())
    foreign = sum(byte >= 0x80 for byte in spoken) > letters
    choices = ("cp1251", "koi8-r") if foreign else ("cp1252",)
    texts = {encoding: content.decode(encoding, errors="replace") for encoding in choices}
    found = max(texts, key=lambda each: sum(map(texts[each].lower().count, _COMMON)))
    return texts[found], found


def _is_session(folder: Path) -> bool:
    return any((folder / each).is_dir() for each in ("etc", "wav", "flac"))


def _no_sessions(root: Path, folders: Mapping[str, Path]) -> DataError:
    """What was found instead of sessions."""
    if _is_session(root):
        return DataError(
            f"{root}: one session, not a folder of them",
            hint=f"give {root.parent}; to take this session only: sessions = [{root.name!r}]",
        )
    packed = sorted(each.name for each in root.iterdir() if packed_name(each.name))
    if packed:
        return DataError(
            f"{root}: {len(packed)} sessions are packed, none is unpacked ({listed(packed)})",
            hint='unpack them there: for each in *.tgz; do tar xf "$each"; done',
        )
    below = [each for each in folders.values() if any(map(_is_session, subfolders(each)))]
    hint = f"is {below[0]} the one meant?" if below else _EXPECTED
    return DataError(f"{root}: no sessions in it; {contents(root)}", hint=hint)


def _selected(names: Iterable[str], config: VoxForgeConfig) -> list[str]:
    """The sessions asked for."""
    speakers = {name: speaker_of(name) for name in names}
    for setting, value_of in (("sessions", str), ("speakers", speaker_of)):
        patterns: list[str] | None = getattr(config, setting)
        if patterns is None:
            continue
        fitting: set[str] = set()
        for pattern in patterns:
            fits = {name for name in speakers if _fits(value_of(name), pattern)}
            if not fits:
                there = sorted({value_of(name) for name in speakers})
                raise DataError(
                    f"{config.path}: {setting}: {pattern!r} fits none; there are {listed(there)}",
                    hint="patterns have *, ? and [abc]; case does not matter",
                )
            fitting |= fits
        speakers = {name: speaker for name, speaker in speakers.items() if name in fitting}
    return in_share(speakers, config.share, what="speakers", where=config.path)


def _fits(name: str, pattern: str) -> bool:
    return fnmatch.fnmatchcase(name.lower(), pattern.lower())


def _read(folder: Path, prompts: str, left_out: Told, foreign: Told) -> list[Utterance]:
    """A session's utterances; the rest of it is added to what is left out, by the reason."""
    session = folder.name
    heard = _recordings(folder)
    if not heard:
        left_out["sessions without recordings in wav/ or flac/"].append(session)
        return []
    texts = _texts(folder, prompts, heard, foreign)
    if not texts:
        files = "etc/PROMPTS or etc/prompts-original" if prompts == "auto" else f"etc/{prompts}"
        left_out[f"sessions without prompts in {files}"].append(session)
        return []
    left_out["prompts without a recording"] += [
        f"{session}/{each}" for each in texts if each not in heard
    ]
    utterances = []
    for name, path in heard.items():
        named = f"{session}/{name}"
        given = texts.get(name, set())
        if path.stat().st_size == 0:
            left_out["empty recordings"].append(named)
        elif not given:
            left_out["recordings without a prompt"].append(named)
        elif len(given) > 1:
            left_out["recordings with two prompts that differ"].append(named)
        elif _LOST in (text := next(iter(given))):
            left_out["prompts with lost letters"].append(named)
        else:
            audio = path.relative_to(folder.parent).as_posix()
            utterances.append(Utterance(named, audio, text, speaker_of(session)))
    return utterances


def _recordings(folder: Path) -> dict[str, Path]:
    """Name -> file, by name; where there are both kinds, the WAV file."""
    found: dict[str, Path] = {}
    for kind in ("flac", "wav"):
        if (folder / kind).is_dir():
            found |= recordings(folder / kind, f".{kind}")
    return dict(sorted(found.items()))


def _texts(folder: Path, prompts: str, heard: Iterable[str], foreign: Told) -> dict[str, set[str]]:
    """Recording -> its different texts; a prompt that has none is as good as no prompt."""
    if not (folder / "etc").is_dir():
        return {}
    files = {each.name.lower(): each for each in (folder / "etc").iterdir() if each.is_file()}
    texts: dict[str, set[str]] = {}
    for name in ["prompts-original", "PROMPTS"] if prompts == "auto" else [prompts]:
        file = files.get(name.lower())
        if file is None or texts.keys() >= set(heard):
            continue
        content, encoding = decode(file.read_bytes())
        if encoding != "UTF-8":
            foreign[encoding].append(f"{folder.name}/etc/{file.name}")
        more: dict[str, set[str]] = defaultdict(set)
        for line in filter(str.strip, content.splitlines()):
            utterance, text = parse_prompt(line)
            if text:
                more[utterance].add(text)
        texts = more | texts
    return texts
