"""Learning from a stream: windows, epochs, processes, going on, and what cannot be learnt from."""

import io
import json
import threading
import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console
from shards import without_processes, write_shards

from speechkit import DataError, RunError
from speechkit.data import stream as stream_module
from speechkit.data.text import TextRules
from speechkit.reporter import Reporter
from speechkit.settings import TextSettings, TrainSettings
from speechkit.training.streamed import Streamed
from speechkit_corpora import HubConfig, build_hub

SIZES = [50, 33, 7, 48, 20, 41, 12, 26, 30, 9, 14, 25]
MINUTES = 0.5  # of a window: about a fifth of the corpus


class Recogniser:
    """What a stream needs of one."""

    sample_rate, frame_shift_seconds = 16_000, 0.01
    units = SimpleNamespace(encode=lambda text: ["abc ".index(letter) + 1 for letter in text])


class Alone:
    number, count, is_first = 0, 1, True

    def total(self, *values):
        return list(map(float, values))

    def gathered(self, value):
        return [value]

    def of_the_first(self, value):
        return value


class Together:
    """One of several processes, which here are threads."""

    def __init__(self, number, count, meeting, table):
        self.number, self.count, self.is_first = number, count, number == 0
        self._meeting, self._table = meeting, table

    def gathered(self, value):
        self._table[self.number] = value
        self._meeting.wait(20)
        found = [self._table[number] for number in range(self.count)]
        self._meeting.wait(20)
        return found

    def total(self, *values):
        return [float(sum(each)) for each in zip(*self.gathered(values), strict=True)]

    def of_the_first(self, value):
        return self.gathered(value)[0]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stream")
    return folder, write_shards(folder, SIZES)


@pytest.fixture(autouse=True)
def threads(monkeypatch):
    without_processes(monkeypatch)


def streamed(folder, processes=None, *, skip_bad=False, console=None, seed=7, **settings):
    corpus = json.dumps({"path": str(folder), "streaming": True})
    given = {"window_minutes": MINUTES, "batch_seconds": 5, **settings}
    return Streamed(
        build_hub(HubConfig.model_validate_json(corpus)),
        Recogniser(),
        TextRules(TextSettings(alphabet="abc")),
        TrainSettings(streaming=True, **given),
        seed=seed,
        workers=1,
        skip_bad=skip_bad,
        processes=processes or Alone(),
        reporter=Reporter(console or Console(quiet=True)),
    )


def epochs(stream, count, begin=None):
    """The steps of some epochs."""
    if begin is None:
        stream.measure()
    try:
        for epoch in range(begin or 0, (begin or 0) + count):
            yield list(stream.steps(epoch))
            stream.end_epoch()
    finally:
        stream.close()


def ids(steps):
    return [each for step in steps for batch in step.batches for each in batch.ids]


def learnt(steps):
    """All that is learnt from, to the bit."""
    return [
        (step.pass_, *(part for batch in step.batches for part in (
            batch.ids, batch.values.numpy().tobytes(), batch.labels.numpy().tobytes()
        )))
        for step in steps
    ]  # fmt: skip


def test_an_epoch_is_a_pass_and_each_has_an_order_of_its_own(corpus):
    folder, all_ids = corpus
    first, second = epochs(streamed(folder), 2)
    assert sorted(ids(first)) == sorted(ids(second)) == sorted(all_ids)
    assert ids(first) != ids(second)
    assert {step.pass_ for step in first} == {0}
    assert {step.pass_ for step in second} == {1}
    begins = [step.begins for step in second]
    assert begins[0] == 0
    assert begins == sorted(begins)
    assert begins[-1] == pytest.approx(1 - 1 / len(second), abs=0.03)  # a pass is known by then
    assert second[-1].total == second[-1].number + 1 == len(second)


def test_the_order_is_that_of_seed_and_pass_alone(corpus):
    folder, _ = corpus
    (one,), (again,) = (list(epochs(streamed(folder), 1)) for _ in range(2))
    (other,) = epochs(streamed(folder, seed=8), 1)
    assert learnt(one) == learnt(again)
    assert ids(one) != ids(other)


def test_batches_are_alike_in_length_within_a_window(corpus):
    folder, _ = corpus
    padding = {}
    for minutes in (0.1, 2):
        (steps,) = epochs(streamed(folder, window_minutes=minutes), 1)
        padding[minutes] = 1 - sum(each.seconds for each in steps) / sum(
            each.padded for each in steps
        )
    assert padding[2] < 0.05 < padding[0.1]
    assert all(each.padded <= 5 for each in steps)


@pytest.mark.parametrize(("hours", "after"), [(None, 1), (None, 9), (None, 40), (0.03, 20)])
def test_one_who_goes_on_learns_what_was_left(corpus, hours, after):
    folder, _ = corpus
    settings = {"epoch_hours": hours, "accumulate": 2}
    whole = list(epochs(streamed(folder, **settings), 2))
    stopped = streamed(folder, **settings)
    stopped.measure()
    made, kept, epoch = [], None, 0
    while kept is None:
        for step in stopped.steps(epoch):
            made.append(step)
            if len(made) == after:
                kept = json.loads(json.dumps(stopped.stored()))
                break
        else:
            stopped.end_epoch()
            epoch += 1
    stopped.close()
    going_on = streamed(folder, **settings)
    told = going_on.put_back(kept)
    rest = [step for each in epochs(going_on, 2 - epoch, epoch) for step in each]
    assert learnt(made) + learnt(rest) == learnt([step for each in whole for step in each])
    every = [step.begins for each in whole for step in each]
    assert [step.begins for step in (*made, *rest)] == every
    assert "of its 12 shards" in told
    assert "none is learnt from twice" in told


def test_an_epoch_of_hours_ends_anywhere_and_the_next_goes_on(corpus):
    folder, all_ids = corpus
    stream = streamed(folder, epoch_hours=0.03)  # 108 s, of about 250
    found = list(epochs(stream, 6))
    for steps in found:
        seconds = [step.seconds for step in steps]
        assert sum(seconds[:-1]) < 108 <= sum(seconds)
    drawn = [(each, step.pass_) for steps in found for step in steps for each in ids([step])]
    assert len(set(drawn)) == len(drawn) > 2 * len(all_ids), "augmented anew in each pass"
    given = ids([step for steps in found for step in steps])
    assert sorted(given[: len(all_ids)]) == sorted(all_ids)


def together(folder, count, passes=1, **settings):
    """What each of several processes does."""
    meeting, table, found = threading.Barrier(count), {}, {}

    def work(number):
        stream = streamed(folder, Together(number, count, meeting, table), **settings)
        found[number] = list(epochs(stream, passes))

    workers = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for each in workers:
        each.start()
    for each in workers:
        each.join()
    return [found[number] for number in range(count)]


def test_processes_take_as_many_steps_though_their_shards_are_uneven(tmp_path):
    all_ids = write_shards(tmp_path, [90, 2, 3])
    first, second = together(tmp_path, 2, passes=2, seed=1)
    for mine, others in zip(first, second, strict=True):
        assert len(mine) == len(others)
        assert not set(ids(mine)) & set(ids(others))
        assert sorted(ids(mine) + ids(others)) == sorted(all_ids)
        assert any(not step.batches for step in (*mine, *others))  # one had nothing left
        assert [step.begins for step in mine] == [step.begins for step in others]
        assert [step.seconds for step in mine] == [step.seconds for step in others]


def test_more_processes_than_shards_are_refused(tmp_path):
    write_shards(tmp_path, [2, 2])
    with pytest.raises(DataError, match="has 2 shards, too few for 3 processes"):
        streamed(tmp_path, Together(0, 3, None, {}))


def told_by(console) -> str:
    return console.export_text()


def recording():
    return Console(record=True, file=io.StringIO(), width=300)


def test_what_cannot_be_read_is_left_out_named_and_counted(tmp_path):
    bad = {"0-3", "1-5"}
    all_ids = write_shards(tmp_path, [30, 20], bad=bad)
    console = recording()
    (steps,) = epochs(streamed(tmp_path, skip_bad=True, console=console, max_seconds=1.0), 1)
    said = told_by(console)
    assert "left out: 0-3: cannot be read as audio" in said
    assert "2 of 50 utterances read were left out: cannot be read (" in said
    assert "utterances read were left out: longer than 1 s (" in said
    assert set(ids(steps)) < set(all_ids) - bad
    with pytest.raises(DataError, match=r"cannot be used: .*cannot be read as audio") as caught:
        list(epochs(streamed(tmp_path), 1))
    assert 'bad_utterances = "skip"' in caught.value.hint


def test_too_many_that_cannot_be_read_end_the_training(tmp_path):
    write_shards(tmp_path, [60, 60], bad={f"1-{number}" for number in range(0, 60, 2)})
    with pytest.raises(DataError, match=r"20 of \d+ utterances read cannot be used, more than 5%"):
        list(epochs(streamed(tmp_path, skip_bad=True), 1))


def test_a_corpus_without_anything_to_learn_is_told(tmp_path):
    write_shards(tmp_path, [5, 5])
    with pytest.raises(DataError, match=r"no utterance to learn from: 10 of 10 .* longer than"):
        list(epochs(streamed(tmp_path, max_seconds=0.2), 1))


def test_another_corpus_or_number_of_processes_does_not_go_on(corpus, tmp_path):
    folder, _ = corpus
    kept = streamed(folder).stored()
    write_shards(tmp_path, [2, 2])
    with pytest.raises(RunError, match="has 2 shards, and had 12 when"):
        streamed(tmp_path).put_back(kept)
    with pytest.raises(RunError, match="1 processes train this run, not 2"):
        streamed(folder, Together(0, 2, None, {})).put_back(kept)


def test_memory_holds_windows_not_the_corpus(tmp_path, monkeypatch):
    monkeypatch.setattr(stream_module, "OPEN", 2)  # what workers hold is here held by this process
    monkeypatch.setattr(stream_module, "_ROWS", 4)

    def hum(random):
        return 0.1 * random.standard_normal(4 * 16_000)

    write_shards(tmp_path, [25] * 20, sound=hum)  # 2,000 s: 64 MB, in 16 windows of 4 MB
    stream = streamed(tmp_path, window_minutes=2, batch_seconds=30)
    stream._reading  # noqa: B018 - what is read from here on
    tracemalloc.start()
    steps = sum(1 for _ in stream.steps(0))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    stream.close()
    assert steps >= 2_000 / 30
    assert most < 30e6


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"minutes": 5}, "streaming = true and minutes"),
        ({"same_text": 2}, "streaming = true and same_text"),
        ({"curriculum": [{"epochs": 1, "max_labels": 9}]}, "streaming = true and curriculum"),
        ({"order": "fixed"}, "streaming = true and order"),
        ({"window_minutes": 1, "batch_seconds": 90}, "holds less than one step of 90 s"),
        ({"streaming": False, "epoch_hours": 3}, "epoch_hours is of a stream"),
    ],
)
def test_what_a_stream_cannot_do_is_refused(given, why):
    with pytest.raises(ValueError, match=why):
        TrainSettings.model_validate({"streaming": True, **given})


def test_windows_mix_shards(corpus):
    folder, _ = corpus
    (steps,) = epochs(streamed(folder), 1)
    first = ids(steps[: len(steps) // 6])
    assert len({each.split("-")[0] for each in first}) >= 5
    assert np.mean([each.padded for each in steps]) > 3
