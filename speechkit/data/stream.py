"""A corpus read shard by shard while it is learnt from: nothing of it is prepared, or kept.

A shard is what a stream can begin at: a file, as a rule. A few are open at a time, and give some
rows each in turn, so that what comes is mixed though a shard holds one speaker. Each is read and
decoded by a worker process; what comes is the same, in the same order, with any number of them.

    open shards    12 │ a a a│a a a│…      rows come in chunks:  a a a  b b b  c c c  a a a  …
                    3 │ b b b│b b b│…
                    7 │ c c c│c c c│…      when one has ended, the next of the order is opened
"""

import multiprocessing
import os
import pickle
import signal
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import islice
from multiprocessing.connection import Connection
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from speechkit.data.store import read_audio_of
from speechkit.errors import DataError
from speechkit.interfaces import Speech

OPEN = 8  # shards that are read side by side, by each process that trains
_ROWS = 16  # of a chunk


@dataclass(frozen=True)
class Row:
    """An utterance as it came.

    samples  (N,) int16, as a store has them; None where it cannot be read
    why      it cannot
    """

    id: str
    text: str
    samples: NDArray[np.int16] | None
    seconds: float
    why: str = ""


@dataclass(frozen=True)
class Cursor:
    """Where reading an order of shards is, between two chunks.

    opened     shards that are open, by their place in the order, and the rows read of each; the
               next chunk is of the first
    following  the place of the shard that is opened next
    """

    opened: tuple[tuple[int, int], ...]
    following: int

    @classmethod
    def start(cls, shards: int) -> Self:
        """At the beginning of so many shards."""
        side_by_side = min(OPEN, shards)
        return cls(tuple((place, 0) for place in range(side_by_side)), side_by_side)

    @property
    def rows_again(self) -> int:
        """Rows that are read again, and passed over, by one who goes on from here."""
        return sum(rows for _, rows in self.opened)

    def stored(self) -> dict[str, Any]:
        """As JSON takes it."""
        return asdict(self)

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> Self:
        """From what `stored` gave."""
        return cls(tuple((place, rows) for place, rows in stored["opened"]), stored["following"])


def shard_rows(speech: Any, shard: int) -> Iterator[Mapping[str, Any]]:  # noqa: ANN401 - a stream
    """The rows of one shard."""
    return iter(speech.shard(num_shards=speech.num_shards, index=shard))


class Shards:
    """Worker processes that read the shards of a stream.

    Processes, not threads: parsing rows holds Python's lock, and a thread that resamples has
    OpenMP threads of its own, which the one that trains would wait for.
    """

    def __init__(self, speech: Speech, *, sample_rate: int, workers: int) -> None:
        context = multiprocessing.get_context("spawn")  # a fork of a process with threads may hang
        try:
            packed = pickle.dumps(speech)
        except Exception as error:  # whatever a plugin's part may hold
            raise _not_for_others(error) from error
        self._connections: list[Connection] = []
        self._processes = []
        for _ in range(workers):
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, args=(theirs, packed, sample_rate), daemon=True)
            process.start()
            theirs.close()
            self._connections.append(ours)
            self._processes.append(process)

    def chunks(
        self, order: Sequence[int], cursor: Cursor
    ) -> Iterator[tuple[Sequence[Row], Cursor]]:
        """The rows of the shards `order`, from `cursor` on, and where reading is after them.

        Raises:
            DataError: a shard cannot be read, or a worker process died.
        """
        following = cursor.following
        asked: deque[tuple[Connection, int, int]] = deque()

        def ask(connection: Connection, place: int, done: int) -> None:
            # A worker answers in the order it is asked, which is that of the answers' use.
            _send(connection, (order[place], done))
            asked.append((connection, place, done))

        for number, (place, done) in enumerate(cursor.opened):
            ask(self._connections[number % len(self._connections)], place, done)
        while asked:
            connection, place, before = asked.popleft()
            rows, has_ended = _answer(connection)
            if not has_ended:
                ask(connection, place, before + len(rows))
            elif following < len(order):
                following += 1
                ask(connection, following - 1, 0)
            yield rows, Cursor(tuple((each, done) for _, each, done in asked), following)

    def close(self) -> None:
        """End the worker processes, whatever they are reading."""
        for process in self._processes:
            process.kill()  # they write nothing
        for process in self._processes:
            process.join()


def _send(connection: Connection, asked: tuple[int, int]) -> None:
    try:
        connection.send(asked)
    except OSError:
        raise _died() from None


def _answer(connection: Connection) -> tuple[list[Row], bool]:
    try:
        answer = connection.recv()
    except (EOFError, OSError):
        raise _died() from None
    if isinstance(answer, DataError):
        raise answer
    rows, has_ended = answer
    return rows, has_ended


def _died() -> DataError:
    return DataError(
        "a process that reads corpus train died; out of memory?",
        hint="the same command goes on from the last checkpoint; with less memory: "
        "train.window_minutes, data.workers",
    )


def _not_for_others(error: Exception) -> DataError:
    return DataError(
        f"corpus train cannot be handed to the processes that read it: {error}",
        hint="a corpus from a file (--plugin) is not known to other processes: install it as a "
        "package",
    )


# ---- in a worker process


def _work(connection: Connection, packed: bytes, sample_rate: int) -> None:
    """Answer until the other end is closed: a shard and the rows read of it -> the next rows."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the one that trains ends this one
    os.environ["OMP_NUM_THREADS"] = "1"  # there are as many workers as cores should be busy
    reading: _Reading | DataError
    try:
        reading = _Reading(pickle.loads(packed), sample_rate)  # noqa: S301 - of the parent process
    except Exception as error:  # whatever comes of a plugin's part
        reading = _not_for_others(error)
    with suppress(EOFError, OSError):  # the one that trains is gone
        while True:
            asked = connection.recv()
            connection.send(reading if isinstance(reading, DataError) else reading.answer(*asked))


class _Reading:
    """The shards that a worker has open."""

    def __init__(self, speech: Speech, sample_rate: int) -> None:
        self._speech = speech
        self._sample_rate = sample_rate
        self._opened: dict[int, Iterator[Mapping[str, Any]]] = {}

    def answer(self, shard: int, done: int) -> tuple[list[Row], bool] | DataError:
        """The next rows of a shard of which `done` were read, and whether it ended with them."""
        try:
            return self._rows(shard, done)
        except DataError as error:
            return DataError(f"corpus train, shard {shard + 1}: {error}", hint=error.hint)
        except Exception as error:  # of `datasets`, or the network
            return DataError(
                f"corpus train, shard {shard + 1} cannot be read: {type(error).__name__}: {error}",
                hint="the same command goes on from the last checkpoint; is the file whole, and "
                "the connexion there?",
            )

    def _rows(self, shard: int, done: int) -> tuple[list[Row], bool]:
        if shard not in self._opened:
            self._opened[shard] = islice(shard_rows(self._speech, shard), done, None)
        given = list(islice(self._opened[shard], _ROWS))
        if has_ended := len(given) < _ROWS:
            del self._opened[shard]
        return [self._row(each, shard) for each in given], has_ended

    def _row(self, row: Mapping[str, Any], shard: int) -> Row:
        id_, text = str(row["id"]), "" if row["text"] is None else str(row["text"])
        try:
            samples = read_audio_of(row, sample_rate=self._sample_rate)
        except DataError as error:
            return Row(id_, text, None, 0.0, f"{error} (shard {shard + 1})")
        return Row(id_, text, samples, len(samples) / self._sample_rate)
