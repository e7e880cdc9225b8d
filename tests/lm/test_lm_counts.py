"""N-gram counts against a dictionary's."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speechkit_lm.counts import count_ngrams, distinct_rows
from speechkit_lm.scratch import Scratch
from speechkit_lm.text import blocks_of_lines, number_text

SENTENCES = st.lists(
    st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=7), min_size=1, max_size=12
)


def paths(levels):
    """The words of every n-gram, level by level, in the levels' order."""
    before = [(word,) for word in range(len(levels[0]))]
    found = [before]
    for level in levels[1:]:
        before = [
            (*before[parent], word)
            for parent, word in zip(level.parent.tolist(), level.word.tolist(), strict=True)
        ]
        found.append(before)
    return found


def by_hand(ids, order):
    sentences = " ".join(map(str, ids.tolist())).split("2")  # ids below 20 and no 2 within
    counts = [Counter() for _ in range(order)]
    for sentence in sentences[:-1]:
        words = [*map(int, sentence.split()), 2]
        for length in range(1, order + 1):
            for start in range(len(words) - length + 1):
                counts[length - 1][tuple(words[start : start + length])] += 1
    return counts


@settings(deadline=None)
@given(SENTENCES, st.integers(1, 6), st.integers(1, 40))
def test_counts_are_those_of_a_dictionary_however_the_text_is_cut(sentences, order, at_once):
    corpus = number_text(blocks_of_lines(" ".join(each) for each in sentences))
    levels = count_ngrams(
        corpus.ids,
        order=order,
        vocabulary_size=len(corpus.words),
        windows_at_once=at_once,
    )
    expected = by_hand(corpus.ids, order)
    expected[0][(0,)] = 0  # <unk> has its place
    assert len(levels) == order
    for ngrams, level, counted in zip(paths(levels), levels, expected, strict=True):
        assert ngrams == sorted(ngrams)
        assert dict(zip(ngrams, level.count.tolist(), strict=True)) == dict(counted)


@settings(deadline=None)
@given(st.data())
def test_rows_that_need_more_than_64_bits_are_sorted_all_the_same(data):
    width, bits = data.draw(st.integers(1, 6)), data.draw(st.sampled_from([3, 17, 22, 32]))
    numbers = st.integers(0, 2**bits - 1 if bits < 32 else 2**31 - 1)
    few = data.draw(st.lists(numbers, min_size=1, max_size=3))
    rows = data.draw(st.lists(st.tuples(*[st.sampled_from(few)] * width), min_size=1, max_size=30))
    weights = data.draw(st.lists(st.integers(0, 5), min_size=len(rows), max_size=len(rows)))
    columns = [np.array(each, np.int32) for each in zip(*rows, strict=True)]

    found, counts = distinct_rows(columns, bits)
    expected = sorted(Counter(rows).items())
    assert list(zip(*[each.tolist() for each in found], strict=True)) == [r for r, _ in expected]
    assert counts.tolist() == [n for _, n in expected]

    found, counts = distinct_rows(columns, bits, np.array(weights))
    sums = Counter()
    for row, weight in zip(rows, weights, strict=True):
        sums[row] += weight
    assert list(zip(*[each.tolist() for each in found], strict=True)) == sorted(sums)
    assert counts.tolist() == [sums[row] for row in sorted(sums)]


def test_arrays_past_the_limit_are_in_files_and_hold_the_same(tmp_path, made_up):
    corpus = number_text(blocks_of_lines(made_up(300)))
    settings_ = {"order": 4, "vocabulary_size": len(corpus.words)}
    kept = count_ngrams(corpus.ids, **settings_)
    spilled = count_ngrams(
        corpus.ids, **settings_, windows_at_once=100, scratch=Scratch(tmp_path, 64)
    )
    assert list(tmp_path.iterdir())
    for one, other in zip(kept, spilled, strict=True):
        for name in ("word", "parent", "count"):
            assert np.array_equal(getattr(one, name), getattr(other, name))


def test_progress_goes_from_part_to_whole(made_up):
    corpus = number_text(blocks_of_lines(made_up(50)))
    told = []
    count_ngrams(
        corpus.ids,
        order=2,
        vocabulary_size=len(corpus.words),
        windows_at_once=60,
        progress=lambda stage, share: told.append(share),
    )
    assert len(told) > 2
    assert told == sorted(told)
    assert told[-1] == pytest.approx(1.0)
