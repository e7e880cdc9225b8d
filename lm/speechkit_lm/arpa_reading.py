"""Reading ARPA files, from whatever program they are.

Arrow takes the lines apart, so that a million n-grams take about a second; Python reads the
few lines between them, and finds the line to name when something is wrong.
"""

import gzip
import math
import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from speechkit import DataError
from speechkit_lm.arrays import assemble
from speechkit_lm.model import LN_10, NgramModel
from speechkit_lm.progress import Progress, silent
from speechkit_lm.rows import RepeatedNgramError, Rows, sort_rows
from speechkit_lm.text import END, NEWLINE, START, UNKNOWN, separators

Ints = npt.NDArray[Any]

BLOCK_BYTES = 1 << 24
NEVER = -99.0  # what ARPA files say for log10 of 0
UNKNOWN_LOG10 = -100.0  # of <unk> where a file has none, as kenlm has it
_ABOVE_ZERO = 1e-4  # log probabilities that far above 0 are rounding of other programs
KENLM_BINARY = b"mmap lm http://kheafield.com/code"
_REMEDY = "write the file again, or build the model with `speechkit lm build`"


def read_arpa(path: Path | str, *, progress: Progress = silent) -> NgramModel:
    """Read an ARPA file, plain or packed with gzip.

    Raises:
        DataError: the file is cut off, its numbers are none, it does not hold what it says it
            does; the message names the line.
    """
    path = Path(path)
    with _opened(path) as file:
        return _read(_Lines(file, str(path)), path, progress)


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    try:
        with path.open("rb") as raw:
            if raw.peek(2)[:2] == b"\x1f\x8b":
                with gzip.open(raw) as unpacked:
                    yield cast(IO[bytes], unpacked)
            else:
                yield raw
    except (OSError, EOFError, zlib.error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise DataError(f"{path}: cannot be read: {reason}", hint=_REMEDY) from error


@dataclass
class _Lines:
    """Lines of a file, one by one or many at once."""

    file: IO[bytes]
    name: str
    number: int = 0  # of the last line read
    buffer: bytes = b""
    at: int = 0

    def one(self) -> bytes | None:
        """The next line without its end; None at the end of the file."""
        end = self.buffer.find(b"\n", self.at)
        if end < 0:
            self.refill()
            end = self.buffer.find(b"\n", self.at)
        if end < 0:
            return None
        line = self.buffer[self.at : end]
        self.at = end + 1
        self.number += 1
        return line.strip()

    def filled(self) -> bytes | None:
        """The next line that is not blank."""
        while (line := self.one()) == b"":
            pass
        return line

    def many(self, most: int) -> tuple[bytes, int]:
        """Up to `most` lines, and how many they are; none at the end of the file."""
        if self.at == len(self.buffer):
            self.refill()
        octets = np.frombuffer(self.buffer, np.uint8)[self.at :]
        ends = np.flatnonzero(octets == NEWLINE)[:most]
        if not len(ends):
            return b"", 0
        lines = self.buffer[self.at : self.at + ends[-1] + 1]
        self.at += len(lines)
        self.number += len(ends)
        return lines, len(ends)

    def refill(self) -> None:
        """Read on to the end of a line; one that has none is given it."""
        rest = self.buffer[self.at :]
        new = self.file.read(BLOCK_BYTES)
        if not new.endswith(b"\n"):
            new += self.file.readline(BLOCK_BYTES)
        self.buffer, self.at = rest + new, 0
        if self.buffer and not self.buffer.endswith(b"\n"):
            self.buffer += b"\n"

    def error(self, what: str, *, line: int | None = None, hint: str = _REMEDY) -> DataError:
        """An error at a line, by default the last one read."""
        return DataError(f"{self.name}:{self.number if line is None else line}: {what}", hint=hint)


@dataclass
class _Words:
    """The id of every word of the file; the special ones come first."""

    ids: dict[bytes, int] = field(
        default_factory=lambda: {b"<unk>": 0, b"<UNK>": 0, b"<s>": 1, b"</s>": 2}
    )
    written: list[str] = field(default_factory=lambda: [UNKNOWN, START, END])

    def add(self, word: bytes) -> int:
        """A word of the file's list, new or special."""
        known = self.ids.get(word)
        if known is None:
            self.ids[word] = known = len(self.written)
            self.written.append(word.decode())
        return known


def _read(lines: _Lines, path: Path, progress: Progress) -> NgramModel:
    counts = _header(lines)
    words = _Words()
    rows: list[Rows] = []
    for order in range(1, len(counts) + 1):
        title = lines.filled()
        if title != b"\\%d-grams:" % order:
            raise _unexpected(lines, title, f"\\{order}-grams:", counts, order)
        rows.append(_section(lines, order, counts, words))
        progress("reading ARPA", order / len(counts))
    ending = lines.filled()
    if ending != b"\\end\\":
        raise _unexpected(lines, ending, "\\end\\", counts, len(counts) + 1)
    try:
        levels = sort_rows(rows)
    except RepeatedNgramError as error:
        ngram = " ".join(words.written[each] for each in error.words)
        raise DataError(f"{path}: the n-gram {ngram!r} is there twice", hint=_REMEDY) from error
    return NgramModel(words.written, [len(level) for level in levels], assemble(levels), path=path)


def _header(lines: _Lines) -> list[int]:
    """Read up to the first section: how many n-grams of each order there shall be."""
    lines.refill()
    lines.buffer = lines.buffer.removeprefix(b"\xef\xbb\xbf")  # the mark some editors put first
    if lines.buffer.startswith(KENLM_BINARY):
        raise DataError(
            f"{lines.name}: a KenLM binary, which only KenLM reads",
            hint="give the ARPA file it was made from; the decoders kenlm and flashlight take it",
        )
    while (line := lines.one()) != b"\\data\\":
        if line is None:
            what = "the file is empty" if lines.number == 0 else "there is no \\data\\ in it"
            raise DataError(f"{lines.name}: not an ARPA file: {what}", hint=_REMEDY)
    counts: list[int] = []
    while line := lines.one():
        found = re.fullmatch(rb"ngram\s+(\d+)\s*=\s*(\d+)", line)
        if not found:
            raise lines.error(f"expected 'ngram {len(counts) + 1}=...', not {_shown(line)}")
        if int(found[1]) != len(counts) + 1:
            raise lines.error(f"n-grams of order {int(found[1])} after those of {len(counts)}")
        counts.append(int(found[2]))
    if not counts or not counts[0]:
        raise lines.error("the file says that it has no 1-grams")
    return counts


def _unexpected(
    lines: _Lines, line: bytes | None, wanted: str, counts: Sequence[int], order: int
) -> DataError:
    if line is None:
        return DataError(
            f"{lines.name}: the file is cut off after line {lines.number}: no {wanted}",
            hint="copy or build it again",
        )
    if order > 1 and not line.startswith(b"\\"):
        return lines.error(
            f"more {order - 1}-grams than the {counts[order - 2]:,} the file's head says"
        )
    return lines.error(f"expected {wanted}, not {_shown(line)}")


def _section(lines: _Lines, order: int, counts: Sequence[int], words: _Words) -> Rows:
    """The n-grams of one order, as many as the head of the file says."""
    highest = order == len(counts)
    columns: list[list[Ints]] = []
    log_probs, backoffs = [], []
    done = 0
    while done < counts[order - 1]:
        first_line = lines.number + 1
        data, count = lines.many(counts[order - 1] - done)
        if not count:
            raise DataError(
                f"{lines.name}: the file ends after {done:,} of {counts[order - 1]:,} "
                f"{order}-grams: it is cut off",
                hint="copy or build it again",
            )
        part = _Part(
            lines, data, count, first_line, order, highest=highest, done=done, counts=counts
        )
        ids, log_prob, backoff = part.read(words)
        columns.append(ids)
        log_probs.append(log_prob)
        backoffs.append(backoff)
        done += count
    if not columns:
        return Rows([np.zeros(0, np.int32)] * order, np.zeros(0), np.zeros(0))
    joined = [np.concatenate(each) for each in zip(*columns, strict=True)]
    log_prob, backoff = np.concatenate(log_probs), np.concatenate(backoffs)
    if order == 1:
        return _unigrams(lines, joined[0], log_prob, backoff, words)
    return Rows(joined, log_prob, backoff)


def _unigrams(lines: _Lines, ids: Ints, log_prob: Ints, backoff: Ints, words: _Words) -> Rows:
    """In the order of their ids, special words included."""
    size = len(words.written)
    times = np.bincount(ids, minlength=size)
    for word in (1, 2):
        if not times[word]:
            raise DataError(
                f"{lines.name}: {words.written[word]} is not among the 1-grams",
                hint="build the model from lines of text, with sentence starts and ends",
            )
    if (times > 1).any():
        twice = words.written[int(np.argmax(times > 1))]
        raise DataError(f"{lines.name}: the 1-gram {twice!r} is there twice", hint=_REMEDY)
    by_id = np.full(size, UNKNOWN_LOG10 * LN_10)
    by_id[ids] = log_prob
    weights = np.zeros(size)
    if len(backoff):
        weights[ids] = backoff
    return Rows([np.arange(size, dtype=np.int32)], by_id, weights)


@dataclass
class _Part:
    """Some lines of a section."""

    lines: _Lines
    data: bytes
    count: int
    first_line: int
    order: int
    highest: bool
    done: int
    counts: Sequence[int]

    def read(self, words: _Words) -> tuple[list[Ints], Ints, Ints]:
        """Columns of word ids, log probabilities and back-off weights."""
        tokens, per_line = self._tokens()
        wanted = self.order + 1
        wrong = (per_line != wanted) & ((per_line != wanted + 1) | self.highest)
        if wrong.any():
            raise self._wrong_line(int(np.argmax(wrong)))
        first = np.cumsum(per_line) - per_line
        log_prob = self._numbers(tokens, first, np.arange(self.count), "log probability")
        above = log_prob > _ABOVE_ZERO
        if above.any():
            line = int(np.argmax(above))
            raise self.lines.error(
                f"a log probability above 0: {log_prob[line]:g}", line=self.first_line + line
            )
        weighted = np.flatnonzero(per_line == wanted + 1)
        backoff = np.zeros(0 if self.highest else self.count)
        if len(weighted):
            backoff[weighted] = self._numbers(
                tokens, first[weighted] + wanted, weighted, "back-off weight"
            )
        places = (first[:, None] + np.arange(1, wanted)).reshape(-1)
        ids = self._word_ids(tokens.take(pa.array(places)), words).reshape(-1, self.order)
        return (
            list(np.ascontiguousarray(ids.T)),
            np.minimum(log_prob, 0.0) * LN_10,
            backoff * LN_10,
        )

    def _tokens(self) -> tuple[Any, Ints]:
        """What stands between separators, each with the separator after it; how many a line has."""
        octets = np.frombuffer(self.data, np.uint8)
        ends = np.flatnonzero(separators(octets))
        bounds = np.append(0, ends + 1)
        tokens = pa.LargeBinaryArray.from_buffers(
            pa.large_binary(), len(ends), [None, pa.py_buffer(bounds), pa.py_buffer(self.data)]
        )
        filled = np.diff(bounds) > 1
        ends_line = octets[ends] == NEWLINE
        line = np.cumsum(ends_line) - ends_line
        per_line = np.bincount(line[filled], minlength=self.count)
        return (tokens if filled.all() else tokens.filter(pa.array(filled))), per_line

    def _numbers(self, tokens: Any, places: Ints, line: Ints, what: str) -> Ints:  # noqa: ANN401
        """Numbers of tokens; minus infinity counts as the number ARPA files write for it."""
        chosen = tokens.take(pa.array(places))
        try:
            trimmed = pc.ascii_trim_whitespace(chosen.cast(pa.large_string()))
            numbers = trimmed.cast(pa.float64()).to_numpy(zero_copy_only=False)
        except pa.ArrowInvalid:
            numbers = np.fromiter(map(_number, chosen.to_pylist()), np.float64, len(chosen))
        numbers = np.where(numbers == -np.inf, NEVER, numbers)
        bad = ~np.isfinite(numbers)
        if bad.any():
            at = int(np.argmax(bad))
            raise self.lines.error(
                f"not a {what}: {_shown(chosen[at].as_py().strip())}",
                line=self.first_line + int(line[at]),
            )
        return numbers

    def _word_ids(self, tokens: Any, words: _Words) -> Ints:  # noqa: ANN401 - an Arrow array
        encoded = tokens.dictionary_encode()
        codes, distinct = encoded.indices.to_numpy(), encoded.dictionary.to_pylist()
        try:
            if self.order == 1:
                ids = [words.add(each[:-1]) for each in distinct]
            else:
                ids = [words.ids.get(each[:-1], -1) for each in distinct]
        except UnicodeDecodeError as error:
            raise self.lines.error(
                "a word that is not UTF-8",
                line=self._line_of(error.object),
                hint="convert the file, for instance with iconv --to-code=UTF-8",
            ) from error
        ids_of_codes = np.array(ids, np.int32)
        if (ids_of_codes < 0).any():
            word = distinct[int(np.argmin(ids_of_codes))][:-1]
            raise self.lines.error(
                f"the word {_shown(word)} is not among the 1-grams", line=self._line_of(word)
            )
        found: Ints = ids_of_codes[codes]
        return found

    def _line_of(self, word: bytes) -> int:
        for line, text in enumerate(self.data.split(b"\n"), self.first_line):
            if word in text.split():
                return line
        return self.first_line

    def _wrong_line(self, line: int) -> DataError:
        text = self.data.split(b"\n")[line].strip()
        number = self.first_line + line
        if not text or text.startswith(b"\\"):
            return self.lines.error(
                f"the {self.order}-grams end after {self.done + line:,}, the file's head says "
                f"{self.counts[self.order - 1]:,}",
                line=number,
            )
        form = "log10 probability, " + " ".join(f"word{i}" for i in range(1, self.order + 1))
        if not self.highest:
            form += ", back-off weight"
        return self.lines.error(f"expected '{form}', not {_shown(text)}", line=number)


def _number(token: bytes) -> float:
    try:
        return float(token)
    except ValueError:
        return math.nan


def _shown(text: bytes | None) -> str:
    return repr((text or b"")[:60].decode(errors="replace"))
