"""Text to numbers: lines of words in any size to one array of word ids.

Words are parted as lmplz parts them: by space, tab, carriage return and NUL; a line is a sentence.
A line without a word is no sentence (lmplz counts it as an empty one, which teaches the model
that speech is often silent: files with blank lines between paragraphs suffered from it).

The work is done on blocks of bytes: Arrow numbers the words of a block, and Python sees only the
distinct ones.
"""

import gzip
import re
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import IO, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from speechkit import DataError
from speechkit_lm.scratch import Scratch

UNKNOWN, START, END = "<unk>", "<s>", "</s>"
UNKNOWN_ID, START_ID, END_ID = 0, 1, 2
SPECIAL_IDS = 3  # how many they are
RESERVED = {b"<unk>", b"<UNK>", b"<s>", b"</s>"}  # what readers of ARPA files take for their own

BLOCK_BYTES = 1 << 24
LINES_AT_ONCE = 1 << 16
NEWLINE = ord("\n")

_PARTING = "\0\t\n\r "
_SEPARATORS = np.zeros(256, bool)
_SEPARATORS[list(_PARTING.encode())] = True


def words_of(sentence: str) -> list[str]:
    r"""Its words, parted as they are in a text a model is built from.

    >>> words_of("no\u00a0break  here")
    ['no\xa0break', 'here']
    """
    return [word for word in re.split(f"[{_PARTING}]", sentence) if word]


@dataclass(frozen=True)
class Block:
    """Whole lines of a text: their bytes, and where they are from, for messages."""

    data: bytes
    name: str
    first_line: int  # counted from 1

    def place(self, byte: int) -> str:
        """`file:line` of a byte of the block."""
        return f"{self.name}:{self.first_line + self.data.count(NEWLINE, 0, byte)}"


def blocks_of_file(path: Path | str) -> Iterator[Block]:
    """Blocks of a text file, plain or .gz; `-` is standard input.

    Raises:
        DataError: the file is not there, or is not what its suffix says.
    """
    name = str(path)
    if name == "-":
        yield from _blocks(sys.stdin.buffer, "standard input")
        return
    try:
        if name.endswith(".gz"):
            with gzip.open(path) as unpacked:
                yield from _blocks(cast(IO[bytes], unpacked), name)
        else:
            with Path(path).open("rb") as plain:
                yield from _blocks(plain, name)
    except (OSError, EOFError, zlib.error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise DataError(
            f"{name}: cannot be read: {reason}",
            hint="text for a language model is a plain or .gz text file, one sentence a line",
        ) from error


def _blocks(file: IO[bytes], name: str) -> Iterator[Block]:
    line, rest = 1, b""
    while piece := file.read(BLOCK_BYTES):
        if line == 1 and not rest:
            piece = piece.removeprefix(b"\xef\xbb\xbf")  # the mark some editors put first
        cut = piece.rfind(b"\n") + 1
        if not cut:
            rest += piece
            continue
        data = rest + piece[:cut]
        rest = piece[cut:]
        yield Block(data, name, line)
        line += data.count(b"\n")
    if rest or line == 1:  # of an empty file, its name
        yield Block(rest, name, line)


def blocks_of_lines(lines: Iterable[str], name: str = "text") -> Iterator[Block]:
    """Blocks of lines in memory."""
    lines, line = iter(lines), 1
    while some := list(islice(lines, LINES_AT_ONCE)):
        joined = "\n".join(each.replace("\n", " ") for each in some)
        yield Block(joined.encode(errors="surrogatepass"), name, line)
        line += len(some)


def blocks_of_column(path: Path | str, column: str = "text") -> Iterator[Block]:
    """Blocks of a column of texts in a Parquet file.

    Raises:
        DataError: the file is not there or no such table, or it has no such column of texts.
    """
    import pyarrow.parquet as pq  # noqa: PLC0415 - slow, and seldom needed

    try:
        with pq.ParquetFile(path) as table:
            texts = [each.name for each in table.schema_arrow if _is_text(each.type)]
            if column not in texts:
                raise DataError(
                    f"{path}: there is no column of texts called {column!r}",
                    hint=f"columns of texts: {', '.join(texts) or 'none'}; FILE.parquet:COLUMN",
                )
            rows = (
                text or ""
                for batch in table.iter_batches(LINES_AT_ONCE, columns=[column])
                for text in batch.column(0).to_pylist()
            )
            yield from blocks_of_lines(rows, f"{path}:{column}")
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(f"{path}: cannot be read: {error}", hint="give a Parquet file") from error


def _is_text(kind: pa.DataType) -> bool:
    """Whether a column's values are texts, in whichever way they are kept."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    kinds = pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view
    return any(is_one(kind) for is_one in kinds)


def normalized(blocks: Iterable[Block], normalize: Callable[[str], str]) -> Iterator[Block]:
    """Blocks with every line under text rules.

    Raises:
        DataError: bytes that are not UTF-8.
    """
    for block in blocks:
        try:
            lines = block.data.decode().split("\n")
        except UnicodeDecodeError as error:
            raise _not_utf8(block, error.start) from error
        yield Block("\n".join(map(normalize, lines)).encode(), block.name, block.first_line)


def _not_utf8(block: Block, byte: int) -> DataError:
    return DataError(
        f"{block.place(byte)}: not UTF-8: {block.data[byte : byte + 20]!r}",
        hint="convert the text, for instance with iconv --to-code=UTF-8",
    )


@dataclass
class Corpus:
    """A text as word ids: `<s> word ... </s>`, one sentence after the other.

    words  the word of each id, in the order of their first appearance after the special ones
    ids    (T,) int32, special ones included
    """

    words: list[str]
    ids: npt.NDArray[np.int32]
    sentences: int

    @property
    def tokens(self) -> int:
        """Words of the text, without sentence starts and ends."""
        return len(self.ids) - 2 * self.sentences


@dataclass
class Numbering:
    """The id of every word met so far."""

    ids: dict[bytes, int] = field(default_factory=dict)
    words: list[str] = field(default_factory=lambda: [UNKNOWN, START, END])

    def number(self, block: Block) -> npt.NDArray[np.int32]:
        """Ids of a block's words with sentence starts and ends.

        Raises:
            DataError: bytes that are not UTF-8, or a special word in the text.
        """
        data = block.data if block.data.endswith(b"\n") else block.data + b"\n"
        code, distinct = encode_tokens(data)
        ids = np.fromiter((self._id(each[:-1], block) for each in distinct), np.int32)[code]
        ends_line = np.fromiter((each[-1] == NEWLINE for each in distinct), bool)[code]
        is_word = ids >= 0
        sentence = np.cumsum(ends_line, dtype=np.int32)
        sentence -= ends_line
        ids, sentence = ids[is_word], sentence[is_word]
        if not len(ids):
            return ids
        first = np.ones(len(ids), bool)
        np.not_equal(sentence[1:], sentence[:-1], out=first[1:])
        place = np.arange(len(ids)) + 2 * np.cumsum(first) - 1
        written = np.empty(place[-1] + 2, np.int32)
        written[place] = ids
        written[place[first] - 1] = START_ID
        written[place[np.append(first[1:], True)] + 1] = END_ID
        return written

    def _id(self, word: bytes, block: Block) -> int:
        """Id of a word; -1 for the nothing between two separators."""
        known = self.ids.get(word)
        if known is not None:
            return known
        if not word:
            return -1
        if word in RESERVED:
            raise DataError(
                f"{block.place(_find(block.data, word))}: the text holds {word.decode()}, "
                "which has a meaning of its own in a language model",
                hint="remove it: sentence starts and ends are added to every line",
            )
        try:
            text = word.decode()
        except UnicodeDecodeError as error:
            raise _not_utf8(block, _find(block.data, word)) from error
        self.ids[word] = new = len(self.words)
        self.words.append(text)
        return new


def encode_tokens(data: bytes) -> tuple[npt.NDArray[np.int32], list[bytes]]:
    """Number the tokens of `data`: (tokens,) codes, and what each code stands for.

    A token is what goes up to a separator, with it: so Arrow can read the bytes where they are.
    """
    octets = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(separators(octets))
    bounds = np.empty(len(ends) + 1, np.int64)
    bounds[0] = 0
    np.add(ends, 1, out=bounds[1:])
    tokens = pa.LargeBinaryArray.from_buffers(
        pa.large_binary(), len(ends), [None, pa.py_buffer(bounds), pa.py_buffer(data)]
    ).dictionary_encode()
    return tokens.indices.to_numpy(), tokens.dictionary.to_pylist()


def separators(octets: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Which bytes part words."""
    return _SEPARATORS[octets]


def _find(data: bytes, word: bytes) -> int:
    """Where `word` stands alone in `data`."""
    at = data.find(word)
    while at >= 0:
        before, after = data[at - 1 : at], data[at + len(word) : at + len(word) + 1]
        if (at == 0 or _SEPARATORS[before[0]]) and (not after or _SEPARATORS[after[0]]):
            return at
        at = data.find(word, at + 1)
    return 0


def number_text(blocks: Iterable[Block], scratch: Scratch | None = None) -> Corpus:
    """Read a text whole.

    Raises:
        DataError: there is not a word in it, or it cannot be used.
    """
    numbering = Numbering()
    column = (scratch or Scratch()).column(np.int32)
    names: list[str] = []
    for block in blocks:
        if block.name not in names[-1:]:
            names.append(block.name)
        column.append(numbering.number(block))
    ids = column.array()
    if not len(ids):
        where = ", ".join(names) or "no file"
        raise DataError(
            f"there is not a word in the text ({where})",
            hint="give a text with one sentence a line; look at what the text rules leave of it",
        )
    sentences = sum(
        int(np.count_nonzero(ids[at : at + BLOCK_BYTES] == END_ID))
        for at in range(0, len(ids), BLOCK_BYTES)
    )
    return Corpus(numbering.words, ids, sentences)
