"""Kneser-Ney: against numbers worked by hand, against lmplz, and against its own promises."""

import logging

import numpy as np
import pytest
from textbook import DATA, plain_arpa

from speechkit import DataError
from speechkit_lm import build, write_arpa
from speechkit_lm.building import full_cutoffs
from speechkit_lm.kneser_ney import estimate_discounts


def built(tmp_path, lines, **settings):
    """A model as a dictionary, by way of its ARPA file."""
    model = build(lines, **settings)
    write_arpa(model, tmp_path / "built.arpa")
    return model, plain_arpa(tmp_path / "built.arpa")


def test_two_sentences_by_hand(tmp_path):
    # Counts of counts are too few: discounts are 0.5 of 1, 1 of 2 (1.5 of more).
    # Adjusted counts (distinct words before): a 1, b 1, c 1, </s> 2; of 5 in all are taken
    # 0.5 + 0.5 + 0.5 + 1 = 2.5, which <unk>, </s>, a, b, c share: 0.1 each.
    # a: (1 - 0.5) / 5 + 0.1 = 0.2. After "<s>": "a" twice; (2 - 1) / 2 + 0.5 * 0.2 = 0.6.
    _, found = built(tmp_path, ["a b", "a c"], order=2)
    expected = {
        ("<unk>",): (0.1, 1.0),
        ("<s>",): (1.0, 0.5),
        ("</s>",): (0.3, 1.0),
        ("a",): (0.2, 0.5),
        ("b",): (0.2, 0.5),
        ("c",): (0.2, 0.5),
        ("<s>", "a"): (0.6, 1.0),
        ("a", "b"): (0.35, 1.0),
        ("a", "c"): (0.35, 1.0),
        ("b", "</s>"): (0.65, 1.0),
        ("c", "</s>"): (0.65, 1.0),
    }
    assert found.keys() == expected.keys()
    for ngram, (log_prob, weight) in found.items():
        assert (10**log_prob, 10**weight) == pytest.approx(expected[ngram], rel=1e-6)


@pytest.mark.parametrize(
    ("file", "settings"),
    [
        ("order1", {"order": 1, "fallback_discounts": (0.4, 0.8, 1.2)}),
        ("order3", {"order": 3}),
        ("order4_cutoffs_0_0_1", {"order": 4, "cutoffs": [0, 0, 1]}),
        (
            "order2_vocabulary",
            {"order": 2, "vocabulary": ["кот", "лес", "и", "дом", "дерево"]},
        ),
    ],
)
def test_the_model_is_that_of_lmplz(tmp_path, russian, file, settings):
    """The files are lmplz' (kenlm 0.3.0), with --discount_fallback and the like settings.

    The text is one where lmplz' count of the last n-gram changes probabilities by a half.
    """
    _, found = built(tmp_path, russian, **settings)
    expected = plain_arpa(DATA / f"{file}.arpa")
    assert found.keys() == expected.keys()
    for ngram, numbers in found.items():
        assert numbers == pytest.approx(expected[ngram], abs=1e-6), ngram


@pytest.mark.parametrize("order", [1, 2, 3, 6])
@pytest.mark.parametrize("cutoffs", [[], [0, 1], [1, 2]])
@pytest.mark.parametrize("limit", [None, 10])
def test_what_may_follow_a_context_has_a_probability_of_one_in_all(made_up, order, cutoffs, limit):
    model = build(made_up(200), order=order, cutoffs=cutoffs[:order], vocabulary_limit=limit)
    words = [word for word in range(len(model.words)) if word != 1]
    states = {-1, *range(len(model.arrays.backoff))}
    for state in list(states)[:: max(1, len(states) // 200)]:
        total = sum(np.exp(model.step(state, word)[0]) for word in words)
        assert total == pytest.approx(1.0, abs=2e-6)


def test_a_unigram_model_in_one_formula(made_up):
    lines = made_up(500)
    model = build(lines, order=1)
    words = " ".join(lines).split()
    counts = {word: words.count(word) for word in set(words)} | {"</s>": len(lines)}
    tally = [sum(1 for n in counts.values() if n == k) for k in (1, 2, 3, 4)]
    taken = estimate_discounts(tally, 1, (0.5, 1.0, 1.5)).amounts
    total = sum(counts.values())
    share = sum(taken[min(n, 3) - 1] for n in counts.values()) / total / (len(counts) + 1)
    for word, count in counts.items():
        expected = (count - taken[min(count, 3) - 1]) / total + share
        assert np.exp(model.step(-1, model.word_ids[word])[0]) == pytest.approx(expected, rel=1e-5)


def test_discounts_fall_back_or_fail(caplog):
    with caplog.at_level(logging.WARNING):
        model = build(["a a a"] * 10, order=2)
    assert "order 1, 2" in caplog.text
    assert model.facts["discounts"].count("fallback") == 2
    with pytest.raises(DataError, match="too small or too regular for 1-grams") as caught:
        build(["a a a"] * 10, order=2, fallback_discounts=None)
    assert "fallback" in caught.value.hint
    # Counts of counts may exist and still give nonsense: here 2 - 3 Y n3/n2 is below 0.
    assert estimate_discounts([10, 1, 50, 1], 2, (0.5, 1.0, 1.5)).fallback
    assert not estimate_discounts([10, 4, 2, 0], 2, None).fallback


@pytest.mark.parametrize(
    "lines",
    [
        ["слово"],
        ["a"] * 1000,
        ["a a a a a a a a a a"],
        ["a b c d e f g h"],
        ["ж " * 5000],
        [f"w{i}" for i in range(300)],
    ],
    ids=["one word", "one line repeated", "one type", "one line", "long line", "all different"],
)
@pytest.mark.parametrize("order", [1, 3, 6])
def test_degenerate_texts_give_models_that_sum_to_one(lines, order):
    model = build(lines, order=order)
    words = [word for word in range(len(model.words)) if word != 1]
    for state in [-1, model.start(), len(model.arrays.backoff) - 1]:
        total = sum(np.exp(model.step(state, word)[0]) for word in words)
        assert total == pytest.approx(1.0, abs=1e-5)
    assert np.isfinite(model.score("a b неведомый"))


def test_discounts_of_nothing_give_numbers_all_the_same():
    model = build(["a b", "b a"], order=3, fallback_discounts=(0.0, 0.0, 0.0))
    assert all(np.isfinite(each).all() for each in (model.arrays.log_prob, model.arrays.backoff))
    assert np.exp(model.score("z")) < 1e-99


def test_a_word_that_was_never_seen_has_the_share_of_unk():
    model = build(["a b", "a c"], order=2)
    assert model.score("z") == pytest.approx(np.log(0.5 * 0.1 * 0.3))


def test_the_most_frequent_words_stay_and_ties_go_to_the_first(made_up):
    model = build(["a b c", "a b c", "d b"], order=2, vocabulary_limit=2)
    assert model.words == ["<unk>", "<s>", "</s>", "a", "b"]  # a, c twice: a came first
    everything = build(["a b c", "a b c", "d b"], order=2)
    all_ = build(["a b c", "a b c", "d b"], order=2, vocabulary_limit=100)
    assert all_.words == everything.words
    with pytest.raises(DataError, match="no word of the vocabulary") as caught:
        build(["a b c"], order=2, vocabulary=["A", "B"])
    assert "case" in caught.value.hint


def test_cutoffs_leave_out_what_occurs_that_often_or_less(made_up):
    lines = made_up(300)
    model = build(lines, order=3, cutoffs=[0, 0, 2])
    text = [f" <s> {line} </s> " for line in lines]
    left = model.words
    arrays, (_, second, third, end) = model.arrays, model.offsets
    for node in range(third, end):
        parent = int(np.searchsorted(arrays.first_child, node, side="right")) - 1
        before = int(np.searchsorted(arrays.first_child, parent, side="right")) - 1
        ngram = " ".join(left[each] for each in (before, arrays.word[parent], arrays.word[node]))
        assert sum(line.count(f" {ngram} ") for line in text) > 2
    assert second < third < end


def test_settings_out_of_range_are_refused():
    with pytest.raises(ValueError, match="order must be from 1 to 6, not 7"):
        build(["a"], order=7)
    with pytest.raises(ValueError, match="must not fall"):
        build(["a"], order=3, cutoffs=[0, 2, 1])
    with pytest.raises(ValueError, match="3 cutoffs for a model of order 2"):
        build(["a"], order=2, cutoffs=[0, 0, 0])
    with pytest.raises(ValueError, match="memory_gigabytes"):
        build(["a"], memory_gigabytes=0)
    assert full_cutoffs([0, 1], 4) == [0, 1, 1, 1]


def test_little_memory_gives_the_same_model(tmp_path, made_up, monkeypatch):
    lines = made_up(3000, words=200)
    roomy = build(lines, order=4, cutoffs=[0, 0, 1])
    monkeypatch.setattr("speechkit_lm.kneser_ney.NGRAMS_AT_ONCE", 50)
    monkeypatch.setattr("speechkit_lm.trie.NGRAMS_AT_ONCE", 50)
    monkeypatch.setattr("speechkit_lm.building.LEAST_WINDOWS", 500)
    tight = build(lines, order=4, cutoffs=[0, 0, 1], memory_gigabytes=1e-6, temporary=tmp_path)
    assert tight.words == roomy.words
    for one, other in zip(roomy.arrays, tight.arrays, strict=True):
        assert np.array_equal(one, other)
    assert not list(tmp_path.iterdir())
