"""The weights that give the fewest errors are found, and an optimum at an edge is told."""

import torch

from speechkit import Emissions, Hypothesis
from speechkit.decoding.emissions import StoredEmissions, load_emissions, save_emissions
from speechkit.decoding.tune import Tunable, tune


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


def found(best, tunable, count=5, utterances=200):
    toy = Toy(best, tunable)
    assert isinstance(toy, Tunable)
    references = [" ".join(["a"] * 20)] * count
    tuning = tune(stored(count), references, toy, utterances=utterances, advance=lambda *_: None)
    return tuning, toy


def test_the_best_is_found_to_a_quarter_of_the_coarse_step():
    tuning, _ = found({"a": 0.62, "b": 1.4}, {"a": (0.0, 1.5), "b": (-2.0, 4.0)})
    assert abs(tuning.best.settings["a"] - 0.62) <= 0.13
    assert abs(tuning.best.settings["b"] - 1.4) <= 0.5
    assert tuning.best.wer == min(point.wer for point in tuning.points)
    assert not tuning.edges


def test_an_optimum_outside_is_at_the_edge():
    tuning, _ = found({"a": 9.0, "b": 1.0}, {"a": (0.0, 8.7), "b": (0.0, 2.0)})
    assert tuning.edges == ("a",)


def test_no_more_utterances_than_asked_are_decoded():
    tuning, toy = found({"a": 0.5}, {"a": (0.0, 1.0)}, count=50, utterances=12)
    assert tuning.utterances <= 12
    assert sum(toy.seen) == tuning.utterances * len(tuning.points)


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
