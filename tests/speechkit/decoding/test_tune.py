"""The weights that give the fewest errors are found, and an optimum at an edge is told."""

from dataclasses import asdict

import pytest
import torch

from speechkit import Emissions, Hypothesis, RunError
from speechkit.decoding.emissions import StoredEmissions, load_emissions, save_emissions
from speechkit.decoding.tune import Tunable, told, tune
from speechkit.settings import TuneSettings


class Toy:
    """Makes more errors the farther its weights are from the best ones."""

    device = "cpu"

    def __init__(self, best, tunable, weights=None):
        self.best, self.tunable, self.weights = best, tunable, weights or {}
        self.seen = []

    def retuned(self, **settings):
        made = Toy(self.best, self.tunable, settings)
        made.seen = self.seen
        return made

    def __call__(self, emissions: Emissions):
        self.seen.append(len(emissions.lengths))
        distance = sum(abs(self.weights[name] - each) for name, each in self.best.items())
        wrong = min(20, round(distance * 8))
        text = " ".join(["x"] * wrong + ["a"] * (20 - wrong))
        return [[Hypothesis(text, 0.0)] for _ in emissions.lengths]


def stored(count: int) -> StoredEmissions:
    lengths = torch.full((count,), 3)
    ids = tuple(map(str, range(count)))
    return StoredEmissions(ids, torch.zeros(3 * count, 2), lengths, 0.04, None)


def found(best, tunable, count=5, decoder=Toy, start=None, **asked):
    toy = decoder(best, tunable)
    assert isinstance(toy, Tunable)
    references = [" ".join(["a"] * 20)] * count
    settings = TuneSettings(**asked)
    tuning = tune(stored(count), references, toy, settings, start=start, advance=lambda *_: None)
    return tuning, toy


def test_the_best_is_found_and_what_was_before_is_kept():
    ranges = {"a": (0.0, 1.5), "b": (-2.0, 4.0)}
    tuning, _ = found({"a": 0.62, "b": 1.4}, ranges, start={"a": 1.0, "b": 0.0})
    assert abs(tuning.best.settings["a"] - 0.62) <= 0.1
    assert abs(tuning.best.settings["b"] - 1.4) <= 0.2
    assert tuning.before.settings == {"a": 1.0, "b": 0.0}
    assert tuning.before == tuning.points[0]
    assert tuning.best.wer < tuning.before.wer
    assert (
        tuning.best.word_errors
        == round(tuning.best.wer * tuning.words)
        == 5 * round(20 * tuning.best.wer)
    )
    assert tuning.best.cer == pytest.approx(tuning.best.wer * 20 / 39)  # a letter of each word
    assert len(tuning.points) <= 60
    assert not tuning.edges
    assert not tuning.hurried


class Bounded(Toy):
    """Takes no weight below 0."""

    def retuned(self, **settings):
        if min(settings.values()) < 0:
            raise ValueError("a weight below 0")
        made = Bounded(self.best, self.tunable, settings)
        made.seen = self.seen
        return made


def test_what_the_decoder_does_not_take_is_left_out_and_told():
    tuning, _ = found({"a": -0.55}, {"a": (0.0, 1.0)}, decoder=Bounded)
    assert tuning.best.settings == {"a": 0.0}
    assert tuning.edges == {"a": "lowest"}
    lines = list(told({"decoder": "toy", "part": "validation", **asdict(tuning)}))
    assert "a: 0 is the lowest tried: the best may lie beyond" in lines


def test_as_many_utterances_as_asked_are_decoded():
    tuning, toy = found({"a": 0.5}, {"a": (0.0, 1.0)}, count=50, utterances=40)
    assert (tuning.utterances, tuning.available) == (40, 50)
    timed = 1 + 8
    assert sum(toy.seen) == timed + 40 * len(tuning.points)


class Slow(Toy):
    """Takes 0.1 s for an utterance, by a clock that it moves itself."""

    clock = 0.0

    def retuned(self, **settings):
        made = Slow(self.best, self.tunable, settings)
        made.seen = self.seen
        return made

    def __call__(self, emissions):
        Slow.clock += 0.1 * len(emissions.lengths)
        return super().__call__(emissions)


@pytest.mark.parametrize(
    ("minutes", "settings", "utterances"), [(60, 60, 200), (5, 25, 120), (2, 24, 50), (0.1, 10, 50)]
)
def test_a_slow_decoder_tries_less(monkeypatch, minutes, settings, utterances):
    Slow.clock = 0.0
    monkeypatch.setattr("speechkit.decoding.tune.time.perf_counter", lambda: Slow.clock)
    tuning, _ = found(
        {"a": 0.5, "b": 0.5},
        {"a": (0.0, 1.0), "b": (0.0, 1.0)},
        count=200,
        decoder=Slow,
        minutes=float(minutes),
    )
    assert len(tuning.points) <= settings
    assert tuning.utterances == utterances
    assert tuning.hurried == (minutes < 60)
    if minutes > 1:
        assert tuning.seconds <= 60 * minutes + 2
    lines = list(told({"decoder": "toy", "part": "validation", **asdict(tuning)}))
    assert any("toy takes 1" in line and "[tune] minutes" in line for line in lines) == (
        minutes < 60
    )


def test_a_decoder_that_does_not_answer_is_told():
    class Mute(Toy):
        def retuned(self, **settings):
            return lambda emissions: [[] for _ in emissions.lengths]

    with pytest.raises(RunError, match="gives 0 lists of hypotheses for 1 utterances"):
        found({"a": 0.5}, {"a": (0.0, 1.0)}, decoder=Mute)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (None, "NoneType in place of a list with a list for each utterance"),
        (["a"], "str in place of an utterance's list of hypotheses"),
        ([["a"]], "str in place of a Hypothesis"),
        ([[Hypothesis(5, 0.0)]], "a hypothesis whose text is int"),
        ([[Hypothesis("a", float("nan"))]], "a hypothesis whose score is no number"),
    ],
)
def test_an_answer_of_another_type_is_told_as_the_decoders(answer, told):
    class Odd(Toy):
        def retuned(self, **settings):
            return lambda _: answer

    with pytest.raises(RunError, match=told) as caught:
        found({"a": 0.5}, {"a": (0.0, 1.0)}, decoder=Odd)
    assert "the decoder's plugin" in caught.value.hint


def test_stored_emissions_come_back_in_the_corpus_order(tmp_path):
    rows = [torch.randn(length, 3).log_softmax(-1) for length in (4, 0, 2, 5)]
    made = []
    for places in ([2, 0], [3, 1]):
        padded = torch.nn.utils.rnn.pad_sequence([rows[each] for each in places], batch_first=True)
        lengths = torch.tensor([len(rows[each]) for each in places])
        made.append((places, Emissions(padded, lengths, 0.04)))
    save_emissions(tmp_path / "e.safetensors", made, ("a", "b", "c", "d"))
    back = load_emissions(tmp_path / "e.safetensors")
    assert back.ids == ("a", "b", "c", "d")
    assert back.lengths.tolist() == [4, 0, 2, 5]
    found = [
        batch.log_probs[row, : batch.lengths[row]]
        for batch in back.batches(3)
        for row in range(len(batch.lengths))
    ]
    assert all(one.equal(other) for one, other in zip(found, rows, strict=True))
    chosen = back.select([3, 0])
    assert chosen.ids == ("d", "a")
    assert chosen.log_probs.equal(torch.cat([rows[3], rows[0]]))
