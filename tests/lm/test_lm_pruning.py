"""Entropy pruning: against the loss worked out in full, and what it keeps."""

import numpy as np
import pytest

from speechkit_lm import build, prune
from speechkit_lm.arrays import take_apart
from speechkit_lm.pruning import perplexity_growth


def test_what_is_left_out_is_what_loses_less_than_the_threshold(made_up):
    """A sentence's start is as probable as its end; nothing else stands before it."""
    model = build(made_up(60, words=8), order=2)
    unigrams, bigrams = take_apart(model.counts, model.arrays)
    before = np.append([0.0, unigrams.log_prob[2]], unigrams.log_prob[2:])
    growth = perplexity_growth(unigrams, bigrams, before)
    start = np.median(growth[bigrams.parent == 1])
    for threshold in (start * 0.999, start * 1.001, np.median(growth)):
        result = prune(model, float(threshold))
        pruned = take_apart(result.counts, result.arrays)[1]
        kept = growth >= threshold
        assert np.array_equal(pruned.parent, bigrams.parent[kept])
        assert np.array_equal(pruned.word, bigrams.word[kept])


def test_the_loss_of_a_bigram_is_the_divergence_in_full(made_up):
    """Stolcke's definition: sum over all words of P(h) P(w|h) (log P'(w|h) - log P(w|h))."""
    model = build(made_up(60, words=8), order=2)
    levels = take_apart(model.counts, model.arrays)
    context_log_prob = levels[0].log_prob.copy()
    context_log_prob[1] = context_log_prob[2]
    growth = perplexity_growth(levels[0], levels[1], context_log_prob)
    words = [word for word in range(len(model.words)) if word != 1]
    for ngram in range(0, len(levels[1]), 5):
        context, pruned = int(levels[1].parent[ngram]), int(levels[1].word[ngram])
        before = {word: np.exp(model.step(context, word)[0]) for word in words}
        unigrams = {word: np.exp(model.step(-1, word)[0]) for word in words}
        low, high = model.arrays.first_child[context : context + 2]
        stay = {int(word) for word in model.arrays.word[low:high]} - {pruned}
        weight = (1 - sum(before[word] for word in stay)) / (
            1 - sum(unigrams[word] for word in stay)
        )
        after = {word: before[word] if word in stay else weight * unigrams[word] for word in words}
        assert sum(after.values()) == pytest.approx(1)
        divergence = sum(before[word] * np.log(before[word] / after[word]) for word in words)
        expected = np.expm1(np.exp(context_log_prob[context]) * divergence)
        assert growth[ngram] == pytest.approx(expected, rel=1e-3, abs=1e-9)


@pytest.mark.parametrize("threshold", [0.0, 1e-5, 1e-3, 1.0])
def test_a_pruned_model_sums_to_one_and_keeps_its_words(made_up, threshold):
    model = build(made_up(300), order=4)
    pruned = prune(model, threshold)
    assert pruned.words == model.words
    assert all(less <= more for less, more in zip(pruned.counts, model.counts, strict=True))
    words = [word for word in range(len(pruned.words)) if word != 1]
    for state in range(-1, len(pruned.arrays.backoff), 7):
        total = sum(np.exp(pruned.step(state, word)[0]) for word in words)
        assert total == pytest.approx(1.0, abs=2e-6)


def test_more_is_left_out_the_higher_the_threshold(made_up):
    model, text = build(made_up(400), order=3), made_up(100, seed=5)
    sizes, perplexities = [], []
    for threshold in (0.0, 1e-6, 1e-5, 1e-4, 1e-3, 10.0):
        pruned = prune(model, threshold)
        sizes.append(sum(pruned.counts))
        perplexities.append(pruned.perplexity(text).perplexity)
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] == len(model.words)  # words are all that is left
    assert perplexities[2] < perplexities[-1]
    assert model.counts == build(made_up(400), order=3).counts  # as it was


def test_what_a_longer_n_gram_stands_on_stays(made_up):
    pruned = prune(build(made_up(400), order=4), 1e-4)
    levels = take_apart(pruned.counts, pruned.arrays)
    assert len(levels[-1])
    for level in levels[1:]:
        assert (level.back >= 0).all()


def test_a_unigram_model_has_nothing_to_prune_and_thresholds_are_checked():
    model = build(["a b"], order=1)
    assert prune(model, 1.0).counts == model.counts
    with pytest.raises(ValueError, match="at least 0"):
        prune(model, -1e-9)
