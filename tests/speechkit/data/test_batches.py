"""Batches by seconds: every utterance once, alike in length, by seed and epoch alone."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from speechkit.data.batches import epoch_batches, ordered_batches, pad

lengths = st.lists(st.floats(0.1, 30.0), min_size=1, max_size=80).map(np.array)


@given(lengths, st.floats(1.0, 200.0), st.integers(0, 9), st.integers(0, 9))
def test_every_utterance_once_and_no_batch_too_long(seconds, limit, seed, epoch):
    for batches in (
        epoch_batches(seconds, limit, seed=seed, epoch=epoch),
        ordered_batches(seconds, limit),
    ):
        assert sorted(np.concatenate(batches).tolist()) == list(range(len(seconds)))
        for batch in batches:
            assert len(batch) == 1 or seconds[batch].max() * len(batch) <= limit


def test_order_is_a_function_of_seed_and_epoch():
    seconds = np.random.default_rng(0).uniform(1, 15, 500)

    def order(seed, epoch):
        return np.concatenate(epoch_batches(seconds, 100, seed=seed, epoch=epoch)).tolist()

    assert order(1, 2) == order(1, 2)
    assert order(1, 2) != order(1, 3)
    assert order(1, 2) != order(2, 2)


def test_padding_is_under_five_percent_on_a_corpus_of_read_speech():
    seconds = np.random.default_rng(0).gamma(8, 1.6, 1200).clip(1.5, 17)
    batches = epoch_batches(seconds, 120, seed=0, epoch=0)
    padded = sum(seconds[batch].max() * len(batch) for batch in batches)
    assert 1 - seconds.sum() / padded < 0.05


def test_padding_is_zeros():
    values, found = pad([np.ones(2, np.float32), np.ones(3, np.float32)])
    assert values.tolist() == [[1, 1, 0], [1, 1, 1]]
    assert found.tolist() == [2, 3]
