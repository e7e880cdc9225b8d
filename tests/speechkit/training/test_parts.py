"""Schedule, averaging, augmentation chain and checkpoints."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import SafetensorError
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn

from speechkit import RunError
from speechkit.data.files import telling_of_full_disks
from speechkit.training.augment import Chain
from speechkit.training.average import RunningAverage
from speechkit.training.checkpoint import load_checkpoint, save_checkpoint
from speechkit.training.loop import Training
from speechkit.training.metrics import Metrics
from speechkit.training.position import Position
from speechkit.training.schedule import learning_rate_factor
from speechkit.training.step import Step


@given(st.sampled_from(["cosine", "one_cycle", "constant"]), st.floats(0, 1), st.floats(0, 0.9))
def test_learning_rate_is_a_share_of_the_highest(schedule, done, warmup):
    assert 0 <= learning_rate_factor(schedule, done, warmup) <= 1 + 1e-9


@pytest.mark.parametrize("schedule", ["cosine", "one_cycle", "constant"])
def test_learning_rate_rises_in_warmup_and_does_not_after(schedule):
    factors = [learning_rate_factor(schedule, each / 100, 0.2) for each in range(101)]
    assert all(np.diff(factors[:21]) > 0)
    assert all(np.diff(factors[21:]) <= 0)
    assert factors[20] == pytest.approx(1)


def test_the_average_follows_and_the_module_is_given_back():
    module = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(module.weight)
    average = RunningAverage(module, 0.5)
    nn.init.ones_(module.weight)
    average.update()  # the first counts long: (1 + 1) / (10 + 1) of the old stays
    with average.applied():
        assert module.weight.item() == pytest.approx(9 / 11)
    assert module.weight.item() == 1


class Noise:
    """Adds one random number to each row."""

    stage = "waveform"

    def __call__(self, values, lengths, draws):
        added = torch.tensor([each.standard_normal() for each in draws], dtype=values.dtype)
        return values + added[:, None], lengths, torch.arange(len(lengths))


class Copy:
    """Every row twice."""

    stage = "waveform"

    def __call__(self, values, lengths, draws):
        twice = torch.arange(len(lengths)).repeat_interleave(2)
        return values[twice], lengths[twice], twice


def changed(ids, epoch=0, seed=0, chain=None):
    values, lengths = torch.zeros(len(ids), 4), torch.full((len(ids),), 4)
    found, _, rows = Chain(chain or (Noise(),), seed=seed).apply(
        "waveform", values, lengths, ids, epoch=epoch
    )
    return found[:, 0].tolist(), rows.tolist()


def test_random_numbers_are_of_seed_epoch_and_utterance_alone():
    assert changed(["a", "b", "c"])[0][1] == changed(["b"])[0][0]
    assert changed(["a"])[0] != changed(["b"])[0]
    assert changed(["a"])[0] != changed(["a"], epoch=1)[0]
    assert changed(["a"])[0] != changed(["a"], seed=1)[0]
    assert changed(["a"], chain=(Noise(), Noise()))[0][0] != 2 * changed(["a"])[0][0]


def test_copies_know_their_source_and_differ():
    values, rows = changed(["a", "b"], chain=(Copy(), Noise()))
    assert rows == [0, 0, 1, 1]
    assert len(set(values)) == 4


def test_other_stages_are_left_alone():
    values, lengths = torch.zeros(1, 4), torch.tensor([4])
    found, *_ = Chain((Noise(),), seed=0).apply("features", values, lengths, ["a"], epoch=0)
    assert found.equal(values)


def test_checkpoints_newest_first_and_torn_ones_passed_over(tmp_path):
    for step in (1, 2, 3, 4):
        save_checkpoint(tmp_path, step, {"w": torch.tensor([step])}, {"position": step}, keep=3)
    assert sorted(each.name for each in tmp_path.iterdir()) == [
        f"step-0000000{step}" for step in (2, 3, 4)
    ]
    file = tmp_path / "step-00000004" / "tensors.safetensors"
    file.write_bytes(file.read_bytes()[:-1])
    (tmp_path / "step-00000003" / "state.json").write_text("{")
    tensors, state, torn = load_checkpoint(tmp_path)
    assert (int(tensors["w"]), state["position"]) == (2, 2)
    assert torn == ["step-00000004", "step-00000003"]


def saved(folder, step, keep=1):
    save_checkpoint(folder, step, {"w": torch.tensor([step])}, {"position": step}, keep=keep)


def test_the_last_checkpoint_stays_until_another_of_its_step_is_whole(tmp_path, monkeypatch):
    saved(tmp_path, 1)
    with monkeypatch.context() as patch:

        def full(*_):
            raise SafetensorError("I/O error: No space left on device (os error 28)")

        patch.setattr("speechkit.training.checkpoint.save_file", full)
        with pytest.raises(RunError, match="the disk is full"):
            saved(tmp_path, 1)
    assert load_checkpoint(tmp_path)
    for _ in range(11):
        newest = max(each.stat().st_ino for each in tmp_path.iterdir())
        saved(tmp_path, 1)
        (left,) = tmp_path.iterdir()
        assert left.stat().st_ino != newest
        assert load_checkpoint(tmp_path)


def test_damaged_checkpoints_of_later_steps_push_none_out(tmp_path):
    for step in (1, 8, 9):
        saved(tmp_path, step, keep=3)
    for step in (8, 9):
        (tmp_path / f"step-0000000{step}/tensors.safetensors").write_bytes(b"")
    saved(tmp_path, 2, keep=2)
    _, state, torn = load_checkpoint(tmp_path)
    assert (state["step"], torn) == (2, [])
    assert sorted(each.name for each in tmp_path.iterdir()) == ["step-00000001", "step-00000002"]


@pytest.mark.parametrize("state", ["", "[1]", "{}"])
def test_checkpoints_of_which_none_is_whole_are_told(tmp_path, state):
    saved(tmp_path, 7)
    (tmp_path / "step-00000007/state.json").write_text(state)
    with pytest.raises(RunError, match="all are damaged: step-00000007"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize("damage", [b"\0\0\0\n", b"\xff\n", b"[1]\n", b"{}\n", b'{"step": null}\n'])
def test_metrics_end_where_they_cannot_be_read(tmp_path, damage):
    whole = b'{"kind": "train", "step": 1}\n'
    file = tmp_path / "metrics.jsonl"
    file.write_bytes(whole + damage + whole)
    with Metrics(tmp_path, Position(step=2)):
        pass
    assert file.read_bytes() == whole


def test_a_curve_goes_on_where_training_does(tmp_path):
    with Metrics(tmp_path, Position()) as metrics:
        for step in range(1, 6):
            metrics.log("train", step, {"loss": step})
    with Metrics(tmp_path, Position(step=3)) as metrics:
        for step in range(4, 7):
            metrics.log("train", step, {"loss": 10 * step})
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    points = [(each.step, each.value) for each in events.Scalars("train/loss")]
    assert points == [(1, 1), (2, 2), (3, 3), (4, 40), (5, 50), (6, 60)]
    lines = map(json.loads, (tmp_path / "metrics.jsonl").read_text().splitlines())
    assert [(each["step"], each["loss"]) for each in lines] == points


@pytest.mark.parametrize("number", [27, 28, 122])  # of a file's limit, the disk, a user's quota
def test_safetensors_tells_of_a_full_disk_in_words(tmp_path, number):
    error = SafetensorError(f"Error while serializing: I/O error: ... (os error {number})")
    with pytest.raises(RunError, match="the disk is full"), telling_of_full_disks(tmp_path):
        raise error
    with pytest.raises(SafetensorError), telling_of_full_disks(tmp_path):
        raise SafetensorError("I/O error: ... (os error 5)")


def test_no_checkpoint(tmp_path):
    assert load_checkpoint(tmp_path / "none") is None


def test_what_an_epoch_took_adds_up_over_its_steps():
    batches = [SimpleNamespace(padding=0.1), SimpleNamespace(padding=0.3)]
    step = Step(batches, pass_=0, begins=0.5, number=4, total=8, after=10, seconds=7.0, padded=9.0)
    before = Position(
        epoch=2,
        batch=8,
        step=20,
        seconds=4.0,
        waiting=1.0,
        speech_seconds=30.0,
        padding_sum=1.0,
        made=8,
    )
    at = Training._after(SimpleNamespace(position=before), step, took=2.5, waited=0.5)
    assert (at.batch, at.seconds, at.waiting, at.speech_seconds) == (10, 6.5, 1.5, 37.0)
    assert (at.padding_sum, at.made) == (pytest.approx(1.4), 10)
    assert at.next_epoch() == Position(epoch=3, step=20)
