"""Error rates over a corpus."""

import jiwer
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speechkit.scoring.edits import Edits, character_edits, edits, word_edits

words = st.lists(st.sampled_from(["да", "нет", "a", "b", "c", "e\u0301"]), max_size=8).map(" ".join)


@given(st.lists(st.tuples(words.filter(bool), words), min_size=1, max_size=6))
def test_equal_to_jiwer_over_a_corpus(pairs):
    references, hypotheses = map(list, zip(*pairs, strict=True))
    assert word_edits(pairs).rate == pytest.approx(jiwer.wer(references, hypotheses))
    assert character_edits(pairs).rate == pytest.approx(jiwer.cer(references, hypotheses))


def test_counts_of_each_kind():
    assert edits(["a", "b", "c", "d"], ["a", "x", "c", "d", "e"]) == Edits(1, 0, 1, 4)
    assert edits(["a", "b"], []) == Edits(0, 2, 0, 2)


def test_an_empty_reference_is_no_division_by_zero():
    assert word_edits([("", "")]).rate == 0
    assert word_edits([("", "a b")]).rate == 1
    assert word_edits([("", "a"), ("b", "b")]).rate == 1  # one edit over one word


def test_a_corpus_counts_edits_not_utterances():
    assert word_edits([("a b c d e f g h i", "a b c d e f g h i"), ("a", "b")]).rate == 0.1
