"""The language model a search reads: where its file is, which words it knows, and opening it."""

import gzip
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, cast

import kenlm

from speechkit import DataError, LanguageModel, SpeechkitError
from speechkit_ngram.kenlm_words import binary_words
from speechkit_ngram.settings import NgramDecoderConfig

_BINARY = b"mmap lm http://kheafield.com/code"
_GZIP = b"\x1f\x8b"
_COUNT = re.compile(rb"ngram\s+\d+\s*=\s*\d+")
_ORDERS = range(2, 7)  # that kenlm is compiled for
_SPECIAL = {"<unk>", "<UNK>", "<s>", "</s>"}


@dataclass(frozen=True)
class Source:
    """A language model on disk, and the words a search shall know.

    path        a file that KenLM opens; None: no language model
    words       those known, without special ones; None: nothing tells them
    words_path  where the words are from
    """

    path: Path | None
    words: Sequence[str] | None
    words_path: Path


def source_of(config: NgramDecoderConfig, language_model: LanguageModel | None) -> Source | None:
    """What settings and recipe give; None: nothing.

    Raises:
        DataError: a file cannot be used.
        SpeechkitError: the recipe's model is of a kind that KenLM does not read.
    """
    source = None
    if config.lm_file is not None:
        source = _of_file(config.lm_file)
    elif language_model is not None:
        source = _of_handle(language_model)
    if config.words_file is None:
        return source
    words = _listed(config.words_file)
    return Source(source.path if source else None, words, config.words_file)


def open_kenlm(path: Path) -> Any:  # noqa: ANN401 - kenlm has no types
    """A `kenlm.Model` of a file; a binary is mapped and shared by all that open it.

    Raises:
        DataError: KenLM cannot read it; the message says where and what to do.
    """
    try:
        changed = path.stat().st_mtime_ns
    except OSError as error:
        raise explained(path, error) from error
    return _opened(path, changed)


@lru_cache(maxsize=2)
def _opened(path: Path, _changed: int) -> Any:  # noqa: ANN401 - as above
    """Opened once: a decoder whose weights are tuned is made many times with one model."""
    settings = kenlm.Config()
    settings.show_progress = False
    settings.arpa_complain = kenlm.ARPALoadComplain.NONE
    try:
        return kenlm.Model(str(path), settings)
    # A line that is no UTF-8, quoted in kenlm's message, is a UnicodeDecodeError.
    except (OSError, RuntimeError, UnicodeDecodeError) as error:
        raise explained(path, error) from error


def explained(path: Path, error: Exception) -> DataError:
    """Why KenLM cannot open a file, in our words."""
    if not path.is_file():
        return DataError(f"{path}: there is no such file", hint="lm_file names a model's file")
    start = _first_bytes(path)
    if start.startswith(_BINARY):
        return DataError(
            f"{path}: a KenLM binary that the installed kenlm cannot open: {_reason(error)}",
            hint="build the binary again with build_binary of the same KenLM version, or give the "
            "ARPA file it was made from",
        )
    from speechkit_lm import read_arpa  # noqa: PLC0415 - only to find the line that is wrong

    try:
        order = read_arpa(path).order
    except DataError as found:
        return found
    if order not in _ORDERS:
        return DataError(
            f"{path}: a model of order {order}, KenLM reads orders {_ORDERS[0]} to {_ORDERS[-1]}",
            hint="give a model of another order ([lm] order), or use the decoder beam",
        )
    return DataError(
        f"{path}: KenLM cannot read it: {_reason(error)}",
        hint="write the ARPA file again: `speechkit lm prune --threshold 0` makes one of any model",
    )


def _reason(error: Exception) -> str:
    """KenLM's message without its source lines."""
    text = " ".join(str(error).split())
    for mark in ("Exception. ", "' . ", "'. "):
        if mark in text:
            return text.split(mark, 1)[1].removesuffix(")")
    return text


def _first_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(len(_BINARY))
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error


def _of_handle(language_model: LanguageModel) -> Source:
    path = getattr(language_model, "kenlm_path", None)
    if path is None:
        raise SpeechkitError(
            f"this decoder reads models in KenLM's forms, which a {type(language_model).__name__} "
            "does not give",
            hint='use [lm] use = "ngram", or name a file as lm_file in the decoder\'s table',
        )
    words, file = getattr(language_model, "words", None), path()
    if words is not None:
        return Source(file, _usual(words), file)
    return _of_file(file)


def _of_file(path: Path) -> Source:
    """A file somebody names: its first bytes say what it is, not its name."""
    if path.is_dir() or path.suffix == ".safetensors":
        from speechkit_lm import NgramModel  # noqa: PLC0415 - needs Arrow, others do not

        return _of_handle(NgramModel.load(path))
    if not path.is_file():
        raise DataError(f"{path}: there is no such file", hint="lm_file names a model's file")
    if _first_bytes(path).startswith(_BINARY):
        return Source(path, binary_words(path), path)
    return Source(path, _usual(_unigrams(path)), path)


def _usual(words: Iterable[str]) -> list[str]:
    return [word for word in dict.fromkeys(words) if word not in _SPECIAL]


def _unigrams(path: Path) -> Iterator[str]:
    """Words of an ARPA file; what else is wrong with it, if anything, KenLM will find.

    Raises:
        DataError: it has none, or says of n-grams that they are fewer than none.
    """
    with _unpacked(path) as file:
        for line in file:
            if line.strip() == b"\\1-grams:":
                break
            # On counts that are none KenLM dies of a signal, or never ends.
            if line.startswith(b"ngram") and not _COUNT.fullmatch(line.strip()):
                raise explained(path, ValueError(f"{line.strip()!r} is no count"))
        else:
            raise explained(path, ValueError("it has no 1-grams"))
        for line in file:
            if line.startswith(b"\\"):
                return
            columns = line.split()
            if len(columns) > 1:
                yield columns[1].decode(errors="replace")


@contextmanager
def _unpacked(path: Path) -> Iterator[IO[bytes]]:
    try:
        with path.open("rb") as raw:
            if raw.peek(2)[:2] == _GZIP:
                with gzip.open(raw) as unpacked:
                    yield cast(IO[bytes], unpacked)
            else:
                yield raw
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"{path}: cannot be read: {error}", hint="copy or build it again"
        ) from error


def _listed(path: Path) -> list[str]:
    try:
        words = path.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"{path}: cannot be read: {error}",
            hint="words_file is a text file (UTF-8) of words parted by white space",
        ) from error
    if not words:
        raise DataError(f"{path}: there is no word in it", hint="words_file lists the words known")
    return list(dict.fromkeys(words))
