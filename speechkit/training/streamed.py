"""Training data that are read while they are learnt from, for corpora larger than the disk.

Each process reads shards of its own, in an order that is a function of seed and pass. What comes of
them is cut into windows of `train.window_minutes`; a window is mixed, bucketed by length, cut into
batches and learnt from, while the next one is read. Nothing else is held in memory.

Where a process is, is where its window began and the steps it has taken of it: one who goes on
reads from the beginning of the shards that were open there, passes over what was learnt from, and
takes the steps that one who was never stopped would have taken.
"""

from collections import Counter, defaultdict
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speechkit.data.audio import from_int16
from speechkit.data.batches import Batch, shuffled_batches
from speechkit.data.stream import Cursor, Row, Shards, shard_rows
from speechkit.data.text import TextRules
from speechkit.errors import DataError, RunError
from speechkit.interfaces import Speech
from speechkit.recogniser import Recogniser
from speechkit.reporter import Reporter
from speechkit.settings import TrainSettings
from speechkit.training.ahead import ahead_of
from speechkit.training.examples import Examples, unlearnable
from speechkit.training.processes import Processes
from speechkit.training.step import Step

_SHOWN = 8  # unreadable utterances that are named one by one, and characters
_NAMED = 3  # utterances named beside a count
_BAD_SHARE, _BAD_LEAST = 0.05, 20  # of what is read, from so many on: too many are unreadable
_OF_SHARDS, _OF_WINDOWS = 2, 3  # tell these random numbers from each other, and from others


@dataclass(frozen=True)
class Place:
    """Where a process is in its stream.

    pass_   over the shards, from 0
    window  of the pass, from 0
    cursor  where that window begins
    steps   that were taken of it
    """

    pass_: int
    window: int
    cursor: Cursor
    steps: int = 0

    def stored(self) -> dict[str, Any]:
        """As JSON takes it."""
        return {**vars(self), "cursor": self.cursor.stored()}

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> "Place":
        """From what `stored` gave."""
        return cls(**{**stored, "cursor": Cursor.read(stored["cursor"])})


@dataclass(frozen=True)
class _Heard:
    """Utterances that were read, as batches are made of them."""

    rows: Sequence[Row]

    @property
    def ids(self) -> list[str]:
        return [each.id for each in self.rows]

    @cached_property
    def seconds(self) -> NDArray[np.float64]:
        return np.array([each.seconds for each in self.rows])

    def row(self, index: int) -> NDArray[np.float32]:
        samples = self.rows[index].samples
        assert samples is not None  # those that cannot be read are left out
        return from_int16(samples)


@dataclass(frozen=True)
class _Window:
    """What is mixed at a time: where it begins, what is in it and what is not, what follows."""

    place: Place
    examples: Examples
    left_out: "_LeftOut"
    after: Place


@dataclass(frozen=True)
class _Own:
    """A process' share of a step, and where it is after it.

    left_out  of the window it is the last of
    """

    batches: Sequence[Batch]
    pass_: int
    seconds: float
    padded: float
    rows: float
    after: Place
    left_out: "_LeftOut | None" = None


@dataclass
class _LeftOut:
    """What was read, and what was left out of it, by the reason; of each some ids."""

    read: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    ids: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    characters: Counter[str] = field(default_factory=Counter)

    def add(self, reason: str, ids: Sequence[str]) -> None:
        if ids:
            self.counts[reason] += len(ids)
            self.ids[reason] += ids[: max(0, _NAMED - len(self.ids[reason]))]

    def add_all(self, other: "_LeftOut") -> None:
        self.read += other.read
        self.characters += other.characters
        for reason, count in other.counts.items():
            self.add(reason, other.ids[reason])
            self.counts[reason] += count - len(other.ids[reason])

    def told(self) -> Iterator[str]:
        for reason, count in self.counts.items():
            named = ", ".join(self.ids[reason])
            yield f"{count:,} of {self.read:,} utterances read were left out: {reason} ({named})"
        if self.characters:
            most = self.characters.most_common(_SHOWN)
            shown = ", ".join(f"{each!r} {count} times" for each, count in most)
            yield f"characters outside the alphabet were taken out: {shown}"


class Streamed:
    """A corpus to learn from that is a stream.

    longest  seconds, of the utterances that were read
    """

    def __init__(
        self,
        speech: Speech,
        recogniser: Recogniser,
        rules: TextRules,
        settings: TrainSettings,
        *,
        seed: int,
        workers: int,
        skip_bad: bool,
        processes: Processes,
        reporter: Reporter,
    ) -> None:
        self.shards = int(speech.num_shards)
        if self.shards < processes.count:
            raise DataError(
                f"corpus train has {self.shards} shards, too few for {processes.count} processes",
                hint="each process reads shards of its own: start fewer, or cut the corpus into "
                "more files",
            )
        self._speech = speech
        self._recogniser = recogniser
        self._rules = rules
        self._settings = settings
        self._seed = seed
        self._workers = workers
        self._skip_bad = skip_bad
        self._processes = processes
        self._reporter = reporter
        self._place = Place(0, 0, Cursor.start(len(self._order(0))))
        self._next: _Own | None = None  # made, and not given yet
        self._pass_rows = 0.0  # of all shards, about; exact once a pass is done
        self._steps, self._rows, self._seconds = 0, 0.0, 0.0  # of this epoch, in all processes
        self._left_out = _LeftOut()  # of the windows that were learnt from in this epoch
        self._noted = _LeftOut()  # of the window that is being read
        self._read, self._bad = 0, 0  # by this process since it began
        self.longest = 0.0

    @cached_property
    def sample(self) -> Examples:
        """The first window from where it is: what is checked and measured before training.

        Raises:
            DataError: as `steps` does.
        """
        return self._first[0].examples

    def told(self) -> str:
        """What it is, for people."""
        hours = self._settings.epoch_hours
        epoch = "a pass" if hours is None else f"{hours:g} h"
        return (
            f"a stream of {self.shards} shards, an epoch {epoch}, in windows of "
            f"{self._settings.window_minutes:g} minutes"
        )

    def measure(self) -> None:
        """Estimate the rows of a pass from those of a shard; each process calls it, once."""
        if self._settings.epoch_hours is None:
            rows = 0.0
            if self._processes.is_first:
                rows = float(sum(1 for _ in shard_rows(self._speech, self._order(0)[0])))
            self._pass_rows = self._processes.of_the_first(rows) * self.shards

    def steps(self, epoch: int) -> Iterator[Step]:
        """The steps of an epoch that are left; as many in each process.

        One whose shards are over before those of others takes steps without batches.

        Raises:
            DataError: a shard cannot be read, utterances cannot and may not be left out, too many
                cannot, or a pass holds none to learn from.
        """
        every = self._settings.accumulate
        while self._done < 1 or self._settings.epoch_hours is None:
            own = self._upcoming
            if self._settings.epoch_hours is None and own.pass_ > epoch:
                mine = _Own((), epoch, 0.0, 0.0, 0.0, self._place)
            else:
                mine, self._next = own, None
            taking, seconds, padded, rows = self._processes.total(
                mine is own, mine.seconds, mine.padded, mine.rows
            )
            if not taking:
                return
            begins, number = self._done, self._steps
            self._place = mine.after
            if mine.left_out:
                self._left_out.add_all(mine.left_out)
            self._steps, self._rows = number + 1, self._rows + rows
            self._seconds += seconds
            total = round((number + 1) / max(self._done, 1e-9))
            if self._settings.epoch_hours is None and epoch == 0:
                total = max(total, number + 2)  # a guess: it says of no step that it is the last
            yield Step(
                mine.batches,
                pass_=mine.pass_,
                begins=begins,
                number=number,
                total=total,
                after=every * (number + 1),
                seconds=seconds,
                padded=padded,
            )

    def end_epoch(self) -> None:
        """Count anew; tell what was left out of the epoch. Each process calls it."""
        if self._settings.epoch_hours is None:
            self._pass_rows = self._rows
        self._steps, self._rows, self._seconds = 0, 0.0, 0.0
        everyones = _LeftOut()
        for each in self._processes.gathered(self._left_out):
            everyones.add_all(each)
        self._left_out = _LeftOut()
        for line in everyones.told():
            self._reporter.warn(f"train: {line}")

    def close(self) -> None:
        """End the processes that read."""
        if "_reading" in vars(self):
            self._reading.close()
        if "_arriving" in vars(self):
            self._arriving.close()

    # ---- for checkpoints

    def stored(self) -> dict[str, Any]:
        """What a checkpoint keeps; each process calls it."""
        return {
            "shards": self.shards,
            "places": [each.stored() for each in self._processes.gathered(self._place)],
            "pass_rows": self._pass_rows,
            "epoch": [self._steps, self._rows, self._seconds],
        }

    def put_back(self, stored: Mapping[str, Any]) -> str:
        """Become what `stored` was taken from; gives what is read again, for people.

        Raises:
            RunError: the corpus has other shards now, or there are more or fewer processes.
        """
        before = len(stored["places"])
        if stored["shards"] != self.shards:
            raise RunError(
                f"corpus train has {self.shards} shards, and had {stored['shards']} when its "
                "training began: where that was in them is not known",
                hint="read the same files; a run of a new name starts afresh (model.start_from "
                "takes weights along)",
            )
        if before != self._processes.count:
            raise RunError(
                f"{before} processes train this run, not {self._processes.count}: each is at a "
                "place of its own in the stream",
                hint=f"start {before}, or give the run another name",
            )
        places = [Place.read(each) for each in stored["places"]]
        self._place = places[self._processes.number]
        self._pass_rows = stored["pass_rows"]
        self._steps, self._rows, self._seconds = stored["epoch"]
        shards = sum(len(each.cursor.opened) for each in places)
        rows = sum(each.cursor.rows_again for each in places)
        steps = max(each.steps for each in places)
        after = f"{steps} step{'s' * (steps != 1)}"
        return (
            f"the stream is read again from the beginning of {shards} of its {self.shards} shards, "
            f"which were open: {rows:,} utterances, and {after} after them, are passed over; "
            "none is learnt from twice"
        )

    # ---- one process' share

    def _order(self, pass_: int) -> list[int]:
        """This process' shards, in the order of a pass."""
        random = np.random.default_rng([self._seed, pass_, _OF_SHARDS])
        order: list[int] = random.permutation(self.shards).tolist()
        return order[self._processes.number :: self._processes.count]

    @property
    def _done(self) -> float:
        """Share of the epoch that is done, as far as it is known."""
        if self._settings.epoch_hours is not None:
            return min(1.0, self._seconds / (3600 * self._settings.epoch_hours))
        return min(1.0, self._rows / max(1.0, self._pass_rows))

    @property
    def _upcoming(self) -> _Own:
        """This process' next step, of whatever pass."""
        if self._next is None:
            self._next = next(self._arriving)
        return self._next

    @cached_property
    def _arriving(self) -> Generator[_Own, None, None]:
        return ahead_of(self._own())

    @cached_property
    def _reading(self) -> Shards:
        rate = self._recogniser.sample_rate
        return Shards(self._speech, sample_rate=rate, workers=self._workers)

    @cached_property
    def _first(self) -> tuple[_Window, Iterator[_Window]]:
        """The first window, and those after it."""
        windows = ahead_of(self._windows(self._place))
        return next(windows), windows

    def _own(self) -> Iterator[_Own]:
        first, others = self._first
        del self._first  # which memory need not hold any longer
        yield from self._of_window(first)
        del first
        for window in others:
            yield from self._of_window(window)

    def _of_window(self, window: _Window) -> Iterator[_Own]:
        """The steps of a window that are left."""
        settings, examples, place = self._settings, window.examples, window.place
        number = self._processes.number
        random = np.random.default_rng([self._seed, place.pass_, number, place.window, _OF_WINDOWS])
        batches = shuffled_batches(
            examples.seconds,
            settings.batch_seconds / self._processes.count,
            random,
            utterances=settings.batch_utterances,
        )
        every = settings.accumulate
        steps = [batches[start : start + every] for start in range(0, len(batches), every)]
        for taken, places in enumerate(steps[place.steps :], place.steps + 1):
            is_last = taken == len(steps)
            yield _Own(
                [examples.batch(each) for each in places],
                place.pass_,
                float(sum(examples.seconds[each].sum() for each in places)),
                sum(map(examples.padded_seconds, places)),
                window.left_out.read / len(steps),
                window.after if is_last else replace(place, steps=taken),
                window.left_out if is_last else None,
            )

    def _windows(self, place: Place) -> Iterator[_Window]:
        """What is read from `place` on, pass after pass, without end."""
        while True:
            order, found = self._order(place.pass_), place.window > 0
            for window in self._of_pass(order, place):
                found = True
                yield window
            if not found:
                raise DataError(
                    f"corpus train: a pass over its {len(order)} shards holds no utterance to "
                    "learn from: " + "; ".join(self._noted.told()),
                    hint="look at text.alphabet, train.min_seconds, train.max_seconds",
                )
            place = self._start(place.pass_ + 1)

    def _start(self, pass_: int) -> Place:
        return Place(pass_, 0, Cursor.start(len(self._order(pass_))))

    def _of_pass(self, order: Sequence[int], place: Place) -> Iterator[_Window]:
        rows: list[Row] = []
        texts: list[str] = []
        labels: list[list[int]] = []
        seconds = 0.0
        for chunk, cursor in self._reading.chunks(order, place.cursor):
            for row, text, label in self._learnable(chunk):
                rows.append(row)
                texts.append(text)
                labels.append(label)
                seconds += row.seconds
            is_last = not cursor.opened
            if not rows or not (is_last or seconds >= 60 * self._settings.window_minutes):
                continue
            after = self._start(place.pass_ + 1)
            if not is_last:
                after = Place(place.pass_, place.window + 1, cursor)
            examples = Examples(_Heard(rows), texts, labels, np.arange(len(rows)))
            self._noted.characters, self._rules.removed = self._rules.removed, Counter()
            left_out, self._noted = self._noted, _LeftOut()
            yield _Window(place, examples, left_out, after)
            place, rows, texts, labels, seconds = after, [], [], [], 0.0

    def _learnable(self, chunk: Sequence[Row]) -> Iterator[tuple[Row, str, list[int]]]:
        """Rows to learn from, with text and labels; the others are counted."""
        self._read += len(chunk)
        self._noted.read += len(chunk)
        for row in chunk:
            if row.samples is None:
                self._unreadable(row)
        rows = [row for row in chunk if row.samples is not None]
        texts = [self._rules.normalize(row.text) for row in rows]
        labels = [self._recogniser.units.encode(text) for text in texts]
        reasons = unlearnable(
            labels,
            np.array([row.seconds for row in rows]),
            frame_shift_seconds=self._recogniser.frame_shift_seconds,
            settings=self._settings,
        )
        left_out = np.zeros(len(rows), bool)
        for reason, bad in reasons.items():
            self._noted.add(reason, [rows[place].id for place in np.flatnonzero(bad)])
            left_out |= bad
        for row, text, label, is_out in zip(rows, texts, labels, left_out, strict=True):
            if not is_out:
                self.longest = max(self.longest, row.seconds)
                yield row, text, label

    def _unreadable(self, row: Row) -> None:
        """Count a row that cannot be read.

        Raises:
            DataError: it may not be left out, or there are too many of them.
        """
        goes_on = "the same command goes on from the last checkpoint"
        if not self._skip_bad:
            raise DataError(
                f"corpus train: an utterance cannot be used: {row.why}",
                hint=f'mend it, or leave it out with [data] bad_utterances = "skip"; {goes_on}',
            )
        self._noted.add("cannot be read", [row.id])
        self._bad += 1
        if self._bad <= _SHOWN:
            self._reporter.warn(f"train: left out: {row.why}")
        if self._bad >= _BAD_LEAST and self._bad > _BAD_SHARE * self._read:
            raise DataError(
                f"corpus train: {self._bad} of {self._read} utterances read cannot be used, more "
                f"than {_BAD_SHARE:.0%}; the last: {row.why}",
                hint=f"mend the corpus: something is wrong with all of it; {goes_on}",
            )
