"""Writing ARPA files: the text form of back-off n-gram models that every toolkit reads."""

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from speechkit_lm.model import LN_10, NgramModel
from speechkit_lm.progress import Progress, silent
from speechkit_lm.storage import written_whole

Ints = npt.NDArray[Any]

LINES_AT_ONCE = 1 << 18


def write_arpa(model: NgramModel, path: Path | str, *, progress: Progress = silent) -> None:
    """Write a model to an ARPA file, packed if its name ends in .gz. Whole or not at all.

    Numbers have nine digits: reading them gives the same arrays, to the bit.
    """
    path = Path(path)
    arrays, contexts = model.arrays, len(model.arrays.backoff)
    words = pa.array(model.words, pa.large_string())
    tab, space, newline, nothing = (
        pa.scalar(each, pa.large_string()) for each in ("\t", " ", "\n", "")
    )
    with written_whole(path) as partial, _open(partial, packed=path.suffix == ".gz") as file:
        file.write(b"\\data\\\n")
        for order, count in enumerate(model.counts, 1):
            file.write(b"ngram %d=%d\n" % (order, count))
        for order, begin in enumerate(model.offsets[:-1], 1):
            file.write(b"\n\\%d-grams:\n" % order)
            end = model.offsets[order]
            for low in range(begin, end, LINES_AT_ONCE):
                nodes = np.arange(low, min(low + LINES_AT_ONCE, end))
                parts: list[Any] = [_decimals(arrays.log_prob[nodes])]
                between = tab
                for column in _words_of(model, order, nodes):
                    parts += [between, words.take(pa.array(column))]
                    between = space
                if begin < contexts:
                    parts += [tab, _decimals(arrays.backoff[nodes])]
                lines = pc.binary_join_element_wise(*parts, newline, nothing)
                _write_text(file, lines)
                progress("writing ARPA", (low + len(nodes)) / model.offsets[-1])
        file.write(b"\n\\end\\\n")


@contextmanager
def _open(path: Path, *, packed: bool) -> Iterator[IO[bytes]]:
    with path.open("wb") as file:
        if packed:
            # No name and no time inside: the same model gives the same bytes.
            with gzip.GzipFile("", "wb", compresslevel=6, fileobj=file, mtime=0) as packing:
                yield cast(IO[bytes], packing)
        else:
            yield file


def _words_of(model: NgramModel, order: int, nodes: Ints) -> list[npt.NDArray[np.int32]]:
    """Word ids of n-grams of one order, a column per place."""
    columns = []
    for _ in range(order - 1):
        columns.append(model.arrays.word[nodes])
        nodes = np.searchsorted(model.arrays.first_child, nodes, side="right") - 1
    columns.append(nodes.astype(np.int32))
    return columns[::-1]


def _decimals(natural: npt.NDArray[np.float32]) -> pa.Array:
    """Natural logarithms, written as common ones with nine digits."""
    common = natural.astype(np.float64) / LN_10
    with np.errstate(divide="ignore"):
        magnitude = np.floor(np.log10(np.abs(common)))
    magnitude[common == 0] = 0
    scale = 10.0 ** (8 - magnitude)
    return pc.cast(pa.array(np.rint(common * scale) / scale + 0.0), pa.large_string())


def _write_text(file: IO[bytes], lines: pa.Array) -> None:
    """The strings of an array, which lie side by side in memory."""
    bounds = np.frombuffer(lines.buffers()[1], np.int64)[
        lines.offset : lines.offset + len(lines) + 1
    ]
    file.write(memoryview(lines.buffers()[2])[bounds[0] : bounds[-1]])
