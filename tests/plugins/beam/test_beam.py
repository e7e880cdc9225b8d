"""The search against one that looks at every path, and what it must hold whatever is pruned."""

import itertools
import logging
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from speechkit import DataError, Emissions, Hypothesis, Vocabulary
from speechkit_beam import Beam, BeamConfig, speechkit_decoders
from speechkit_lm import NgramModel, build

LETTERS = Vocabulary(("", "a", "b", " "))
PIECES = Vocabulary(("", "▁a", "b", "▁", "a"), word_boundary="▁")
WIDE = {"beam": 500, "beam_threshold": 80.0, "token_threshold": -80.0, "threads": 1}


@pytest.fixture(scope="module")
def lm() -> NgramModel:
    text = ["a b", "ab a", "b ab ab", "a a b", "ab", "bab a", "b a", "a b b ab"]
    return build(text, order=3)


def random_emissions(seed: int, frames: int, labels: int, sharpness: float = 2.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (sharpness * torch.randn(frames, labels, generator=generator)).log_softmax(-1)


def decode(decoder: Beam, log_probs: Tensor, **kwargs) -> list[Hypothesis]:
    [found] = decoder(Emissions(log_probs[None], torch.tensor([len(log_probs)]), 0.5, **kwargs))
    return found


def text_of(path: tuple[int, ...], vocabulary: Vocabulary) -> str:
    merged = [label for label, _ in itertools.groupby(path) if label != 0]
    return vocabulary.text(merged)


def penalised(log_probs: Tensor, penalty: float) -> Tensor:
    lower = log_probs.clone()
    lower[:, 0] -= penalty
    return lower


def texts_of(log_probs: Tensor, vocabulary: Vocabulary, combine) -> dict[str, float]:
    """Log probability of every text: of its best path, or of all of them."""
    frames, labels = log_probs.shape
    found: dict[str, list[float]] = {}
    for path in itertools.product(range(labels), repeat=frames):
        total = sum(float(log_probs[frame, label]) for frame, label in enumerate(path))
        found.setdefault(text_of(path, vocabulary), []).append(total)
    return {text: combine(scores) for text, scores in found.items()}


def log_sum(values: list[float]) -> float:
    return float(np.logaddexp.reduce(values))


def with_lm(text: str, acoustic: float, lm: NgramModel, config: BeamConfig) -> float:
    words = text.split()
    unknown = sum(word not in lm.word_ids for word in words)
    if unknown and config.vocabulary == "closed":
        return -math.inf
    score = acoustic + config.lm_weight * lm.score(text)
    return score + config.word_bonus * len(words) - config.oov_penalty * unknown


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 10_000),
    frames=st.integers(0, 5),
    weight=st.sampled_from([0.3, 1.0]),
    vocabulary=st.sampled_from(["open", "closed"]),
    look_ahead=st.sampled_from([0.0, 1.0]),
    penalty=st.sampled_from([0.0, 1.5]),
    pieces=st.booleans(),
)
def test_finds_the_best_of_all_paths(
    lm: NgramModel,
    seed: int,
    frames: int,
    weight: float,
    vocabulary,
    look_ahead,
    penalty: float,
    pieces: bool,
) -> None:
    of = PIECES if pieces else LETTERS
    log_probs = random_emissions(seed, frames, len(of))
    config = BeamConfig(
        scores="viterbi",
        lm_weight=weight,
        word_bonus=0.7,
        oov_penalty=2.0,
        blank_penalty=penalty,
        vocabulary=vocabulary,
        look_ahead=look_ahead,
        **WIDE,
    )
    best = decode(Beam(config, vocabulary=of, language_model=lm), log_probs)[0]
    every = texts_of(penalised(log_probs, penalty), of, max)
    scores = {text: with_lm(text, value, lm, config) for text, value in every.items()}
    assert best.score == pytest.approx(max(scores.values()), abs=1e-4)
    assert scores[best.text] == pytest.approx(best.score, abs=1e-4)
    assert best.text == " ".join(word.text for word in best.words)


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 10_000), frames=st.integers(0, 6))
def test_sums_all_paths_of_a_text(seed: int, frames: int) -> None:
    letters = Vocabulary(("", "a", "b"))  # no word boundary: no two texts become one hypothesis
    log_probs = random_emissions(seed, frames, 3, sharpness=1.0)
    config = BeamConfig(scores="summed", **WIDE)
    best = decode(Beam(config, vocabulary=letters), log_probs)[0]
    every = texts_of(log_probs, letters, log_sum)
    assert best.score == pytest.approx(max(every.values()), abs=1e-4)
    assert every[best.text] == pytest.approx(best.score, abs=1e-4)


@settings(deadline=None, max_examples=20)
@given(
    lengths=st.lists(st.integers(0, 60), min_size=1, max_size=4),
    seed=st.integers(0, 1000),
    beam=st.sampled_from([1, 5, 30]),
    scores=st.sampled_from(["viterbi", "summed"]),
)
def test_batched_is_one_by_one_is_piece_by_piece(
    lm: NgramModel, lengths: list[int], seed: int, beam: int, scores
) -> None:
    log_probs = torch.stack([random_emissions(seed + at, 64, 4) for at in range(len(lengths))])
    config = BeamConfig(beam=beam, scores=scores, threads=2)
    decoder = Beam(config, vocabulary=LETTERS, language_model=lm)
    poisoned = log_probs.clone()
    for row, length in enumerate(lengths):
        poisoned[row, length:] = torch.nan
    together = decoder(Emissions(poisoned, torch.tensor(lengths), 0.5))
    draw = np.random.default_rng(seed)
    for row, length in enumerate(lengths):
        assert decode(decoder, log_probs[row, :length]) == together[row]
        state, at = decoder.begin(frame_shift_seconds=0.5), 0
        while at < length:
            size = int(draw.integers(0, 9))
            decoder.step(state, log_probs[row, at : min(length, at + size)])
            decoder.end(state)  # a look at what there is so far changes nothing
            at += size
        assert decoder.end(state) == together[row]


@given(seed=st.integers(0, 1000))
@settings(deadline=None, max_examples=10)
def test_weight_0_is_the_search_without_language_model(lm: NgramModel, seed: int) -> None:
    log_probs = random_emissions(seed, 40, 4)
    config = BeamConfig(lm_weight=0.0, threads=1)
    given = Beam(config, vocabulary=LETTERS, language_model=lm)
    assert decode(given, log_probs) == decode(Beam(config, vocabulary=LETTERS), log_probs)


def path(labels: str, certainty: float = 0.9) -> Tensor:
    """(T, V) log probabilities whose best labels are those written, `_` the blank."""
    best = torch.tensor(["_ab ".index(label) for label in labels], dtype=torch.long)
    probs = torch.full((len(labels), 4), (1 - certainty) / 3)
    probs[torch.arange(len(labels)), best] = certainty
    return probs.log()


def test_words_last_from_their_first_label_to_the_end_of_their_last() -> None:
    decoder = Beam(BeamConfig(threads=1), vocabulary=LETTERS)
    best = decode(decoder, path("__aab_  _bb_", 0.98))[0]
    assert [(word.text, word.start_seconds, word.end_seconds) for word in best.words] == [
        ("ab", 1.0, 2.5),
        ("b", 4.5, 5.5),
    ]
    assert all(0.9 < word.confidence <= 1 for word in best.words)


def test_a_word_the_language_model_put_there_is_less_sure(lm: NgramModel) -> None:
    log_probs = torch.cat([path("a", 0.9), path("b", 0.4), path(" ", 0.9), path("a", 0.9)])
    config = BeamConfig(vocabulary="closed", threads=1)
    best = decode(Beam(config, vocabulary=LETTERS, language_model=lm), log_probs)[0]
    assert best.text == "ab a"
    assert best.words[0].confidence < best.words[1].confidence


def test_where_frames_were_dropped_a_word_ends_with_its_frame() -> None:
    times = torch.tensor([[0.0, 0.25, 0.5, 7.0, 7.2, 7.45]])
    log_probs = path("_ab bb", 0.98)
    decoder = Beam(BeamConfig(threads=1), vocabulary=LETTERS)
    [[best]] = decoder(Emissions(log_probs[None], torch.tensor([6]), 0.25, times))
    assert [(word.text, word.start_seconds, word.end_seconds) for word in best.words] == [
        ("ab", 0.25, 0.75),
        ("b", pytest.approx(7.2), pytest.approx(7.7)),
    ]


@pytest.mark.parametrize("frames", ["", "_", "___", "    "])
def test_silence_is_no_words(lm: NgramModel, frames: str) -> None:
    for model in (None, lm):
        decoder = Beam(BeamConfig(threads=1), vocabulary=LETTERS, language_model=model)
        found = decode(decoder, path(frames, 0.9999))
        assert [(each.text, each.words) for each in found] == [("", ())]
        assert math.isfinite(found[0].score)


def test_an_hour_takes_bounded_memory_and_time_in_proportion(lm: NgramModel) -> None:
    minute = random_emissions(5, 1500, 4, sharpness=4.0)
    decoder = Beam(BeamConfig(beam=8, threads=1), vocabulary=LETTERS, language_model=lm)
    state = decoder.begin()
    for _ in range(60):
        decoder.step(state, minute)
    [hour] = decoder.end(state)
    assert len(hour.words) > 60 * 60
    assert hour.words[-1].end_seconds <= 60 * 1500
    starts = [word.start_seconds for word in hour.words]
    assert starts == sorted(starts)
    assert len(state.trace) < 200_000  # not all that was ever tried


def test_equal_scores_come_in_the_same_order(lm: NgramModel) -> None:
    log_probs = torch.full((30, 4), math.log(0.25))
    decoder = Beam(BeamConfig(beam=7, threads=1), vocabulary=LETTERS, language_model=lm)
    first = decode(decoder, log_probs)
    assert all(decode(decoder, log_probs) == first for _ in range(3))
    again = Beam(BeamConfig(beam=7, threads=1), vocabulary=LETTERS, language_model=lm)
    assert decode(again, log_probs) == first


def test_hotwords_are_heard() -> None:
    log_probs = torch.cat([path("a", 0.9), path("b", 0.3), path(" _", 0.9), path("a", 0.9)])
    plain = Beam(BeamConfig(threads=1), vocabulary=LETTERS)
    assert decode(plain, log_probs)[0].text != "aba a"
    for hotwords in ({"aba": 9.0}, ["aba"], ["aba aba"]):
        config = BeamConfig(hotwords=hotwords, hotword_weight=9.0, word_bonus=0.0, threads=1)
        likely = torch.cat([path("ab", 0.9), path("a", 0.3), path(" _", 0.9), path("a", 0.9)])
        assert decode(Beam(config, vocabulary=LETTERS), likely)[0].text == "aba a"


def test_a_hotword_belongs_to_a_closed_vocabulary(lm: NgramModel) -> None:
    log_probs = path("bb_b_b_b", 0.9)
    closed = {"vocabulary": "closed", "threads": 1}
    without = Beam(BeamConfig(**closed), vocabulary=LETTERS, language_model=lm)
    assert decode(without, log_probs)[0].text != "bbbb"
    given = BeamConfig(hotwords={"bbbb": 3.0}, **closed)
    assert decode(Beam(given, vocabulary=LETTERS, language_model=lm), log_probs)[0].text == "bbbb"


def test_a_closed_vocabulary_has_no_other_words(lm: NgramModel) -> None:
    config = BeamConfig(vocabulary="closed", threads=1)
    decoder = Beam(config, vocabulary=LETTERS, language_model=lm)
    for seed in range(10):
        best = decode(decoder, random_emissions(seed, 30, 4))[0]
        assert {word.text for word in best.words} <= set(lm.words)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_emissions_that_are_no_log_probabilities(value: float) -> None:
    log_probs = path("ab")
    log_probs[1, 0] = value
    with pytest.raises(DataError, match="not log probabilities"):
        decode(Beam(BeamConfig(threads=1), vocabulary=LETTERS), log_probs)


def test_labels_of_probability_0_end_no_search(lm: NgramModel) -> None:
    certain = torch.full((3, 4), -math.inf)
    certain[[0, 1, 2], [1, 3, 2]] = 0.0
    for model in (None, lm):
        decoder = Beam(BeamConfig(threads=1), vocabulary=LETTERS, language_model=model)
        assert decode(decoder, certain)[0].text == "a b"


def test_emissions_of_another_vocabulary() -> None:
    with pytest.raises(DataError, match="the vocabulary has 4 labels"):
        decode(Beam(BeamConfig(threads=1), vocabulary=LETTERS), torch.zeros(2, 5))


def test_closed_without_language_model() -> None:
    with pytest.raises(DataError, match="there is none"):
        Beam(BeamConfig(vocabulary="closed"), vocabulary=LETTERS)


def test_a_language_model_without_arrays() -> None:
    class Binary:
        path, order = "model.bin", 3

    with pytest.raises(DataError, match="which this language model does not have"):
        Beam(BeamConfig(), vocabulary=LETTERS, language_model=Binary())


def test_a_language_model_of_another_alphabet(caplog: pytest.LogCaptureFixture) -> None:
    upper = build(["AB A", "B"], order=2)
    with pytest.raises(DataError, match="can spell none of the language model's 3 words"):
        Beam(BeamConfig(), vocabulary=LETTERS, language_model=upper)
    mixed = build(["AB A", "B a"], order=2)
    with caplog.at_level(logging.WARNING):
        Beam(BeamConfig(), vocabulary=LETTERS, language_model=mixed)
    assert "cannot spell" in caplog.text


def test_a_boundary_at_the_end_of_a_label() -> None:
    with pytest.raises(DataError, match="'a▁'"):
        Beam(BeamConfig(), vocabulary=Vocabulary(("", "a▁"), word_boundary="▁"))


def test_weights_can_be_tuned(lm: NgramModel) -> None:
    decoder = Beam(BeamConfig(threads=1), vocabulary=LETTERS, language_model=lm)
    assert set(decoder.tunable) == {
        "lm_weight",
        "word_bonus",
        "oov_penalty",
        "blank_penalty",
    }
    assert not Beam(BeamConfig(threads=1), vocabulary=LETTERS).tunable
    weights = {name: ends[1] for name, ends in decoder.tunable.items()}
    fresh = Beam(BeamConfig(threads=1, **weights), vocabulary=LETTERS, language_model=lm)
    log_probs = random_emissions(3, 50, 4)
    assert decode(decoder.retuned(**weights), log_probs) == decode(fresh, log_probs)
    assert decode(fresh, log_probs) != decode(decoder, log_probs)


def test_is_offered() -> None:
    [component] = speechkit_decoders()
    assert (component.name, component.config) == ("beam", BeamConfig)
    assert component.build(component.config(), vocabulary=LETTERS).device == "cpu"


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10_000), frames=st.integers(1, 5), weight=st.sampled_from([0.0, 0.5]))
def test_n_best_lists_are_in_order_and_hold_the_best(
    lm: NgramModel, seed: int, frames: int, weight: float
) -> None:
    log_probs = random_emissions(seed, frames, 4)
    common = {"scores": "viterbi", "lm_weight": weight, "word_bonus": 0.7, "oov_penalty": 2.0}
    one = Beam(BeamConfig(**common, **WIDE), vocabulary=LETTERS, language_model=lm)
    config = BeamConfig(nbest=6, **common, **WIDE)
    found = decode(Beam(config, vocabulary=LETTERS, language_model=lm), log_probs)
    assert found[0] == decode(one, log_probs)[0]
    every = texts_of(log_probs, LETTERS, max)
    if weight:  # else words have no bonus either
        every = {text: with_lm(text, value, lm, config) for text, value in every.items()}
    best = sorted(every.values(), reverse=True)[:6]
    assert len({each.text for each in found}) == len(found) == len(best)
    assert [each.score for each in found] == sorted([each.score for each in found], reverse=True)
    assert found[0].score == pytest.approx(best[0], abs=1e-4)


@pytest.mark.parametrize("pieces", [False, True])
@pytest.mark.parametrize("weight", [0.0, 0.7])
def test_n_best_scores_are_those_of_the_best_way_to_say_it(
    lm: NgramModel, weight: float, pieces: bool
) -> None:
    # Mostly: what was merged before a frame in which it would have been kept apart is not found.
    of = PIECES if pieces else LETTERS
    common = {
        "lm_weight": weight,
        "word_bonus": 0.7,
        "oov_penalty": 2.0,
        "blank_penalty": 0.4,
    }
    config = BeamConfig(nbest=6, scores="viterbi", **common, **WIDE)
    decoder = Beam(config, vocabulary=of, language_model=lm)
    short = []
    for seed in range(40):
        log_probs = random_emissions(seed, 5, len(of))
        every = texts_of(penalised(log_probs, 0.4), of, max)
        for each in decode(decoder, log_probs):
            best = every[each.text]
            if weight:  # else words have no bonus either
                best = with_lm(each.text, every[each.text], lm, config)
            short.append(best - each.score)
    assert min(short) > -1e-4
    assert np.mean(np.array(short) < 1e-4) > 0.97


def test_bonuses_too_large_to_reckon_with_are_refused() -> None:
    for settings_ in (
        {"word_bonus": 800.0},
        {"hotword_weight": -41.0},
        {"hotwords": {"ab": 200.0}},
    ):
        with pytest.raises(ValueError, match=r"equal to -?40"):
            BeamConfig(**settings_)


def test_the_largest_bonuses_give_numbers(lm: NgramModel) -> None:
    largest = {"word_bonus": 40.0, "hotwords": {"bbb": 40.0}, "threads": 1}
    found = decode(
        Beam(BeamConfig(**largest), vocabulary=LETTERS, language_model=lm),
        random_emissions(1, 20, len(LETTERS)),
    )
    assert math.isfinite(found[0].score)
    assert "bbb" in found[0].text.split()


def test_hotwords_that_cannot_be_spelled_are_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    decoder = Beam(BeamConfig(hotwords=["AB ab", "été"]), vocabulary=LETTERS)
    decoder.retuned(word_bonus=0.5)
    [said] = [each.getMessage() for each in caplog.records]
    assert "'AB', 'été'" in said
    assert "text rules" in said
