"""Interpolation of models."""

import numpy as np
import pytest
from textbook import plain_arpa

from speechkit import DataError
from speechkit_lm import build, build_mixed, mix, read_arpa, tune_weights, write_arpa
from speechkit_lm.text import blocks_of_lines


@pytest.fixture
def pair(made_up):
    """Two models of different orders that share some of their words."""
    one = build([*made_up(150), "только тут"], order=3)
    other = build([*made_up(80, words=40, seed=3), "только там"], order=2, cutoffs=[0, 1])
    return one, other


def probability(model, words, missing):
    """P(last | others) of words, those a model lacks sharing what `<unk>` has."""
    state = -1
    for word in words[:-1]:
        if word == "<s>":
            state = model.start()
        else:
            _, state = model.step(state, model.word_ids.get(word, 0))
    last = words[-1]
    log_prob, _ = model.step(state, model.word_ids.get(last, 0))
    share = missing + 1 if last not in model.word_ids or last == "<unk>" else 1
    return np.exp(log_prob) / share


def test_n_grams_have_the_weighted_mean_of_the_models(tmp_path, pair):
    mixed = mix(pair, [3, 1])
    write_arpa(mixed, tmp_path / "mixed.arpa")
    plain = plain_arpa(tmp_path / "mixed.arpa")
    assert set(mixed.words) == set(pair[0].words) | set(pair[1].words)
    missing = [len(mixed.words) - len(each.words) for each in pair]
    for ngram, (log_prob, _) in plain.items():
        if ngram == ("<s>",):
            continue
        expected = 0.75 * probability(pair[0], ngram, missing[0]) + 0.25 * probability(
            pair[1], ngram, missing[1]
        )
        assert 10**log_prob == pytest.approx(expected, rel=1e-4), ngram


def test_a_mixture_has_the_n_grams_of_all_and_sums_to_one(pair):
    mixed = mix(pair, [0.5, 0.5])
    assert mixed.order == 3
    words = [word for word in range(len(mixed.words)) if word != 1]
    for state in range(-1, len(mixed.arrays.backoff), 11):
        total = sum(np.exp(mixed.step(state, word)[0]) for word in words)
        assert total == pytest.approx(1.0, abs=2e-6)
    assert [each.ngram_length for each in mixed.read("только тут")][:2] == [2, 3]


def test_a_sentence_start_is_certain_whatever_a_file_says_of_it(tmp_path, made_up):
    model = build(made_up(50), order=2)
    write_arpa(model, tmp_path / "a.arpa")
    text = (tmp_path / "a.arpa").read_text(encoding="utf-8").replace("\n0\t<s>", "\n-99\t<s>")
    (tmp_path / "b.arpa").write_text(text, encoding="utf-8")
    other = read_arpa(tmp_path / "b.arpa")
    assert other.arrays.log_prob[1] < -200
    assert mix([model, other], [1, 1]).arrays.log_prob[1] == 0


def test_one_model_mixed_is_itself(made_up):
    model = build(made_up(100), order=3)
    mixed = mix([model], [7.0])
    assert mixed.words == model.words
    assert np.array_equal(mixed.arrays.word, model.arrays.word)
    assert np.allclose(mixed.arrays.log_prob, model.arrays.log_prob, atol=1e-6)
    assert np.allclose(mixed.arrays.backoff, model.arrays.backoff, atol=1e-5)


def test_tuned_weights_are_the_best_of_all(pair, made_up):
    text = [*made_up(60, seed=9), *made_up(20, words=40, seed=10), "нигде только"]
    tuned = tune_weights(pair, blocks_of_lines(text))
    assert sum(tuned.weights) == pytest.approx(1)
    assert tuned.perplexity <= min(tuned.perplexities)
    missing = [len(mix(pair, [1, 1]).words) - len(each.words) for each in pair]

    def perplexity(share):
        total, count = 0.0, 0
        for line in text:
            words = ["<s>", *line.split(), "</s>"]
            for end in range(2, len(words) + 1):
                if all(words[end - 1] not in each.word_ids for each in pair):
                    continue
                total += np.log(
                    share * probability(pair[0], words[:end], missing[0])
                    + (1 - share) * probability(pair[1], words[:end], missing[1])
                )
                count += 1
        return np.exp(-total / count)

    assert perplexity(tuned.weights[0]) == pytest.approx(tuned.perplexity, rel=1e-5)
    for share in (tuned.weights[0] - 0.05, tuned.weights[0] + 0.05):
        assert perplexity(share) > tuned.perplexity


def test_a_text_with_none_of_the_words_cannot_tune(pair):
    with pytest.raises(DataError, match="no word of the text to tune on"):
        tune_weights(pair, blocks_of_lines(["ничего общего"]))


def test_texts_are_weighted_by_mixing_their_models(made_up):
    texts = [made_up(100), made_up(50, seed=2)]
    together = build_mixed(texts, [0.9, 0.1], order=2)
    apart = mix([build(each, order=2) for each in texts], [0.9, 0.1])
    assert np.array_equal(together.arrays.log_prob, apart.arrays.log_prob)


@pytest.mark.parametrize("weights", [[1.0], [1, 0], [1, -1], [1, float("nan")]])
def test_weights_that_do_not_fit_are_refused(pair, weights):
    with pytest.raises(ValueError, match="weights"):
        mix(pair, weights)
