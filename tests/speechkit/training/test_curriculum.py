"""Which utterances an epoch learns from."""

from itertools import chain

import numpy as np
import pytest
from pydantic import ValidationError

from speechkit.settings import TrainSettings
from speechkit.training.curriculum import batches_of

LABELS = np.random.default_rng(0).permutation(np.arange(10, 110))
SECONDS = LABELS / 14
TEXTS = np.repeat(np.arange(4), [60, 30, 9, 1])[np.random.default_rng(2).permutation(100)]
SHORT = {"epochs": 2, "max_labels": 40, "batch_seconds": 6.0}
LONGER = {"epochs": 1, "max_labels": 80}


def taken(epoch: int, **settings: object) -> list[list[int]]:
    """Indices of the batches of an epoch."""
    train = TrainSettings(epochs=9, batch_seconds=30.0, **settings)
    return [each.tolist() for each in batches_of(epoch, train, SECONDS, LABELS, TEXTS, seed=1)]


def all_of(batches: list[list[int]]) -> set[int]:
    """The indices; none twice."""
    flat = list(chain.from_iterable(batches))
    assert len(flat) == len(set(flat))
    return set(flat)


@pytest.mark.parametrize(
    ("epoch", "longest", "seconds"),
    [(0, 40, 6), (1, 40, 6), (2, 80, 30), (3, 109, 30), (8, 109, 30)],
)
def test_the_first_epochs_take_short_transcripts_in_their_own_batches(epoch, longest, seconds):
    batches = taken(epoch, curriculum=[SHORT, LONGER])
    assert all_of(batches) == set(np.flatnonzero(longest >= LABELS))
    fullest = max(SECONDS[each].max() * len(each) for each in batches)
    assert seconds / 2 < fullest <= seconds


def test_a_batch_has_no_more_utterances_than_it_may():
    batches = taken(0, batch_utterances=3)
    assert all_of(batches) == set(range(100))
    assert {len(each) for each in batches} <= {1, 2, 3}
    assert len(batches) < len(taken(0, batch_utterances=2))


def test_of_each_text_an_epoch_takes_so_many_other_ones_each_time():
    epochs = [all_of(taken(epoch, same_text=5)) for epoch in range(150)]
    for each in epochs:
        assert np.bincount(TEXTS[list(each)]).tolist() == [5, 5, 5, 1]
    assert set.union(*epochs) == set(range(100))
    assert all_of(taken(3, same_text=60)) == set(range(100))
    assert taken(3, same_text=5) == taken(3, same_text=5)
    fixed = list(chain.from_iterable(taken(0, same_text=5, order="fixed")))
    assert fixed == sorted(epochs[0])
    short = taken(0, same_text=5, curriculum=[SHORT])
    assert LABELS[list(all_of(short))].max() <= 40
    assert np.bincount(TEXTS[list(all_of(short))]).max() == 5


def test_a_fixed_order_is_that_of_the_corpus_every_epoch():
    first = taken(0, order="fixed", batch_utterances=2)
    assert list(chain.from_iterable(first)) == list(range(100))
    assert max(map(len, first)) == 2
    assert taken(5, order="fixed", batch_utterances=2) == first
    assert list(chain.from_iterable(taken(5))) != list(range(100))


def test_a_curriculum_leaves_epochs_for_all_of_the_data():
    with pytest.raises(ValidationError, match="takes 9 of 9 epochs"):
        TrainSettings(epochs=9, curriculum=[{"epochs": 9, "max_labels": 5}])
