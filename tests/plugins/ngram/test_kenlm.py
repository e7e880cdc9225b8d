import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from speechkit import DataError, Emissions, Hypothesis, SpeechkitError, Vocabulary
from speechkit_greedy.greedy import Greedy, GreedyConfig
from speechkit_lm import NgramModel, build
from speechkit_ngram.kenlm_decoder import KenlmDecoder
from speechkit_ngram.settings import KenlmConfig

from .conftest import ENGLISH, LETTERS, added, batch, every_path, noise, path
from .test_source import BINARY, here

PIECES = Vocabulary(("", "▁", "b", "▁a", "▁b"), word_boundary="▁")
BARS = Vocabulary(("", "a", "_", "[pad]", "|", "b"), word_boundary="|")
UNPRUNED = {"beam": 100_000, "token_threshold": -1e6, "beam_threshold": 1e6, "processes": 1}


def kenlm(vocabulary: Vocabulary = LETTERS, language_model=None, **given) -> KenlmDecoder:
    config = KenlmConfig(**{"processes": 1, **given})
    return KenlmDecoder(config, vocabulary=vocabulary, language_model=language_model)


def best(decoder: KenlmDecoder, log_probs: torch.Tensor) -> Hypothesis:
    return decoder(batch(log_probs))[0][0]


@pytest.mark.parametrize("vocabulary", [LETTERS, PIECES, BARS], ids=["letters", "pieces", "bars"])
@pytest.mark.parametrize("seed", range(3))
def test_without_a_model_a_score_is_the_sum_of_all_paths(vocabulary: Vocabulary, seed: int) -> None:
    log_probs = noise(5, seed, vocabulary)
    expected = {text: added(each) for text, each in every_path(log_probs, vocabulary).items()}
    [found] = kenlm(vocabulary, nbest=10**6, **UNPRUNED)(batch(log_probs))
    assert {each.text: each.score for each in found} == pytest.approx(expected, abs=1e-5)
    assert [each.score for each in found] == sorted(expected.values(), reverse=True) or (
        np.allclose([each.score for each in found], sorted(expected.values(), reverse=True))
    )


@pytest.mark.parametrize("seed", range(3))
def test_a_score_is_of_paths_model_words_and_unknown_words(lm: NgramModel, seed: int) -> None:
    log_probs = noise(5, seed)
    expected = {}
    for text, paths in every_path(log_probs, LETTERS).items():
        unknown = [word for word in text.split() if word not in lm.word_ids]
        expected[text] = added(paths) + 0.7 * lm.score(text)
        expected[text] += 1.1 * len(text.split()) - 3.0 * len(unknown)
    decoder = kenlm(
        language_model=lm, lm_weight=0.7, word_bonus=1.1, oov_penalty=3.0, nbest=10**6, **UNPRUNED
    )
    [found] = decoder(batch(log_probs))
    assert {each.text: each.score for each in found} == pytest.approx(expected, abs=1e-4)


def test_hotwords_add_to_the_score_and_are_not_unknown(lm: NgramModel) -> None:
    log_probs = noise(5, 4)
    given = {"language_model": lm, "nbest": 10**6, **UNPRUNED}
    [without] = kenlm(**given)(batch(log_probs))
    [found] = kenlm(hotwords=["ccb ab"], hotword_weight=4.0, **given)(batch(log_probs))
    before = {each.text: each.score for each in without}
    assert any("ccb" in text for text in before)
    for each in found:
        words = each.text.split()
        gain = 14.0 * words.count("ccb") + 4.0 * words.count("ab")  # 10 is no unknown's penalty
        assert each.score == pytest.approx(before[each.text] + gain, abs=1e-5)


def test_hotwords_work_without_a_model() -> None:
    log_probs = torch.cat([path("a"), noise(1, 0), path("b", certainty=0.5)])
    plain = best(kenlm(), log_probs).text
    wanted = {"ab", "acb"} - {plain}
    for word in wanted:
        assert best(kenlm(hotwords=[word]), log_probs).text == word


def test_the_language_model_decides_between_texts_that_sound_alike(lm: NgramModel) -> None:
    unsure = path("_ca", certainty=0.9)
    last = torch.tensor([[0.02, 0.02, 0.46, 0.48, 0.02]]).log()  # "cab", or rather "cac"
    log_probs = torch.cat([unsure, last])
    assert best(kenlm(), log_probs).text == "cac"
    assert best(kenlm(language_model=lm), log_probs).text == "cab"


def test_weight_zero_is_the_search_without_model(lm: NgramModel, arpa: Path) -> None:
    emissions = batch(*(noise(30, seed) for seed in range(4)))
    plain = kenlm(nbest=3)(emissions)
    assert kenlm(language_model=lm, lm_weight=0.0, nbest=3)(emissions) == plain
    assert kenlm(lm_file=arpa, lm_weight=0.0, oov_penalty=50.0, nbest=3)(emissions) == plain
    assert kenlm(language_model=lm, nbest=3)(emissions) != plain


@settings(max_examples=25, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 25), min_size=1, max_size=4),
    seed=st.integers(0, 99),
    nbest=st.integers(1, 5),
)
def test_batched_is_one_by_one_and_hypotheses_are_whole(
    lm: NgramModel, lengths: list[int], seed: int, nbest: int
) -> None:
    decoder = kenlm(language_model=lm, nbest=nbest)
    rows = [noise(length, seed + place) for place, length in enumerate(lengths)]
    together = decoder(batch(*rows))
    assert together == [decoder(batch(row))[0] for row in rows]
    for length, found in zip(lengths, together, strict=True):
        assert 1 <= len(found) <= nbest
        scores, texts = [each.score for each in found], [each.text for each in found]
        assert scores == sorted(scores, reverse=True)
        assert len(set(texts)) == len(texts)
        for each in found:
            assert each.text == " ".join(word.text for word in each.words)
            times = [0.0]
            for word in each.words:
                assert 0 < word.confidence <= 1
                times += [word.start_seconds, word.end_seconds]
            assert [*times, 0.25 * length] == sorted([*times, 0.25 * length])


def test_words_have_the_times_and_confidence_of_the_path(lm: NgramModel) -> None:
    for decoder in (kenlm(), kenlm(language_model=lm)):
        words = best(decoder, path("__aab_  _c_ab_")).words
        assert [(word.text, word.start_seconds, word.end_seconds) for word in words] == [
            ("ab", 0.5, 1.25),
            ("cab", 2.25, 3.25),
        ]
        assert [word.confidence for word in words] == pytest.approx([0.9, 0.9])


def test_pieces_have_times_too() -> None:
    probs = torch.nn.functional.one_hot(torch.tensor([0, 3, 2, 0, 4, 1, 2]), 5) * 0.8 + 0.04
    words = best(kenlm(PIECES), probs.log()).words
    times = [(word.text, word.start_seconds, word.end_seconds) for word in words]
    assert times == [("ab", 0.25, 0.75), ("b", 1.0, 1.25), ("b", 1.5, 1.75)]


def test_where_frames_were_dropped_times_are_theirs(lm: NgramModel) -> None:
    emissions = batch(path("_ab ba"))
    times = torch.tensor([[0.0, 0.25, 0.5, 7.0, 7.2, 7.45]])
    emissions = dataclasses.replace(emissions, frame_times=times)
    words = kenlm(language_model=lm)(emissions)[0][0].words
    assert [(word.start_seconds, word.end_seconds) for word in words] == [
        (0.25, 0.75),
        (pytest.approx(7.2), pytest.approx(7.7)),
    ]


@pytest.mark.parametrize("text", ["", "_", "____", " ", "  _ "])
def test_nothing_said_is_an_empty_text(lm: NgramModel, text: str) -> None:
    for decoder in (kenlm(), kenlm(language_model=lm), kenlm(hotwords=["a"])):
        found = best(decoder, path(text, certainty=0.99))
        assert (found.text, found.words) == ("", ())
        assert np.isfinite(found.score)


def test_a_space_at_the_end_is_no_unknown_word(lm: NgramModel) -> None:
    sure = {"certainty": 0.999, "vocabulary": LETTERS}
    with_space = best(kenlm(language_model=lm), path("ab_ba ", **sure))
    without = best(kenlm(language_model=lm), path("ab_ba_", **sure))
    assert with_space.text == without.text
    assert with_space.score == pytest.approx(without.score, abs=0.1)


def test_without_noise_it_reads_what_greedy_reads() -> None:
    emissions = batch(path("it_ _was_ ss_se_ _", ENGLISH, 0.99), path("d_d'", ENGLISH, 0.99))
    greedy = Greedy(GreedyConfig(), vocabulary=ENGLISH)(emissions)
    found = kenlm(ENGLISH)(emissions)
    assert [each[0].text for each in found] == [each[0].text for each in greedy]
    assert [each[0].words for each in found] == [each[0].words for each in greedy]


def test_unknown_words_are_found_and_the_penalty_keeps_them_out(lm: NgramModel) -> None:
    log_probs = path("ccb_ _ab", certainty=0.9)
    assert best(kenlm(language_model=lm, oov_penalty=0.0), log_probs).text == "cb ab"
    found = best(kenlm(language_model=lm, oov_penalty=40.0, beam_threshold=80.0), log_probs)
    assert all(word in lm.word_ids for word in found.text.split())


def test_long_emissions_are_cut_and_read_the_same(lm: NgramModel) -> None:
    rng = np.random.default_rng(5)
    pause = path("_   _", certainty=0.9999)
    sentences = []
    for _ in range(12):
        text = " ".join(rng.choice(["ab", "ba", "cab", "a", "c"], 5))
        sentences += [path("".join(f"{letter}_" for letter in text)), pause]
    emissions = batch(torch.cat(sentences))
    seconds = 0.25 * len(sentences[0]) * 2.5
    whole = kenlm(language_model=lm, cut_seconds=0.0)(emissions)[0][0]
    parts = kenlm(language_model=lm, cut_seconds=seconds, nbest=3)(emissions)[0]
    assert (parts[0].text, parts[0].words) == (whole.text, whole.words)
    assert parts[0].score == pytest.approx(whole.score, abs=0.2)  # a new beam loses less
    assert len({each.text for each in parts}) == 3
    assert parts[0].score > parts[1].score > parts[2].score


@here
def test_a_binary_is_searched_and_one_without_its_words_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "tiny.bin"
    file.write_bytes(BINARY)
    log_probs = path("h_i", ENGLISH, 0.4)
    assert best(kenlm(ENGLISH, lm_file=file), log_probs).text == "hi"
    assert not caplog.records
    file.write_bytes(BINARY.replace(b"hi\0", b""))
    assert best(kenlm(ENGLISH, lm_file=file), log_probs).text == "hi"
    assert "words_file" in caplog.text


def test_bad_labels_are_refused() -> None:
    with pytest.raises(SpeechkitError, match="'a b'") as caught:
        kenlm(Vocabulary(("", "a", "a b", " ")))
    assert "greedy" in caught.value.hint


def test_a_word_that_the_vocabulary_cannot_spell_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    build(["AB CAB", "CAB BA"], order=2).save(tmp_path / "upper.arpa")
    with pytest.raises(SpeechkitError, match=r"upper\.arpa: not one of .* 'AB'") as caught:
        kenlm(lm_file=tmp_path / "upper.arpa")
    assert "lower case 100% could" in caught.value.hint

    build(["AB CAB", "CAB BA", "ab ba"], order=2).save(tmp_path / "mixed.arpa")
    kenlm(lm_file=tmp_path / "mixed.arpa")
    [record] = [each for each in caplog.records if each.name.startswith("speechkit_ngram")]
    assert record.levelname == "WARNING"
    assert "only 40.0% of the language model's 5 words" in record.getMessage()
    assert "lower case" in record.getMessage()

    caplog.clear()
    kenlm(hotwords=["ab", "AB"])
    assert "'AB'" in caplog.text
    assert "'ab'" not in caplog.text


def test_the_fitting_model_is_silent(
    lm: NgramModel, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    best(kenlm(language_model=lm), path("ab"))
    assert not caplog.records
    assert capfd.readouterr() == ("", "")


def test_emissions_are_left_as_they_are(lm: NgramModel) -> None:
    emissions: Emissions = batch(noise(12, 1))
    before = emissions.log_probs.clone()
    first = kenlm(language_model=lm)(emissions)
    assert torch.equal(emissions.log_probs, before)
    assert kenlm(language_model=lm)(emissions) == first


def test_emissions_that_are_none_are_told(lm: NgramModel) -> None:
    with pytest.raises(DataError, match="highest is nan"):
        kenlm(language_model=lm)(batch(torch.full((5, 5), torch.nan)))


def test_decoders_with_other_weights_do_not_warn_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    build(["AB ba", "CAB ab"], order=2).save(tmp_path)
    decoder = kenlm(language_model=NgramModel.load(tmp_path), hotwords=["ONCE"])
    caplog.clear()
    decoder.retuned(lm_weight=0.2).retuned(lm_weight=0.3)
    assert not caplog.records
