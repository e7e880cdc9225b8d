import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import speechkit_greedy
from speechkit import Emissions, Hypothesis, Vocabulary
from speechkit_greedy.greedy import Greedy, GreedyConfig

LETTERS = Vocabulary(("", *"abc "))
PIECES = Vocabulary(("", "▁the", "▁c", "at", "▁", "s"), word_boundary="▁")


def greedy(vocabulary: Vocabulary = LETTERS) -> Greedy:
    return Greedy(GreedyConfig(), vocabulary=vocabulary)


def path(labels: str, certainty: float = 0.9) -> Tensor:
    """(T, V) log probabilities whose best labels are those written, `_` the blank."""
    best = torch.tensor(["_abc ".index(label) for label in labels], dtype=torch.long)
    probs = torch.full((len(labels), 5), (1 - certainty) / 4)
    probs[torch.arange(len(labels)), best] = certainty
    return probs.log()


def decode(log_probs: Tensor, vocabulary: Vocabulary = LETTERS, **kwargs) -> Hypothesis:
    lengths = torch.tensor([len(log_probs)])
    emissions = Emissions(log_probs[None], lengths, frame_shift_seconds=0.25, **kwargs)
    [[best]] = greedy(vocabulary)(emissions)
    return best


@pytest.mark.parametrize(
    ("frames", "text"),
    [("aa_a", "aa"), ("aaab", "ab"), ("___", ""), (" a  b ", "a b"), ("a_ _ b", "a b"), ("", "")],
)
def test_repeats_merge_and_blanks_part_them(frames: str, text: str) -> None:
    assert decode(path(frames)).text == text


def test_words_last_from_their_first_label_to_the_end_of_their_last() -> None:
    words = decode(path("__aab_  _cc_")).words
    assert [(word.text, word.start_seconds, word.end_seconds) for word in words] == [
        ("ab", 0.5, 1.25),
        ("c", 2.25, 2.75),
    ]


def test_the_last_word_ends_with_the_utterance() -> None:
    assert decode(path("_ab")).words[0].end_seconds == 0.75


def test_where_frames_were_dropped_a_word_ends_with_its_frame() -> None:
    times = torch.tensor([[0.0, 0.25, 0.5, 7.0, 7.2, 7.45]])
    words = decode(path("_ab aa"), frame_times=times).words
    assert [(word.text, word.start_seconds, word.end_seconds) for word in words] == [
        ("ab", 0.25, 0.75),
        ("a", pytest.approx(7.2), pytest.approx(7.7)),
    ]


def test_score_and_confidence_are_those_of_the_path() -> None:
    log_probs = torch.cat([path("a", 0.8), path("_", 0.5), path("b", 0.6), path(" c", 0.9)])
    best = decode(log_probs)
    assert best.score == pytest.approx(math.log(0.8 * 0.5 * 0.6 * 0.9 * 0.9))
    assert [word.confidence for word in best.words] == pytest.approx([math.sqrt(0.48), 0.9])


def test_with_blanks_held_back_an_unsure_model_leaves_out_less() -> None:
    unsure = torch.tensor([[0.5, 0.4, 0.1], [0.6, 0.1, 0.3], [0.3, 0.1, 0.6]]).log()[None]
    emissions = Emissions(unsure.clone(), torch.tensor([3]), frame_shift_seconds=0.25)

    [[plain]] = greedy(Vocabulary(("", *"ab")))(emissions)
    [[held_back]] = Greedy(GreedyConfig(blank_penalty=0.5), vocabulary=Vocabulary(("", *"ab")))(
        emissions
    )

    assert (plain.text, held_back.text) == ("b", "ab")
    assert held_back.score == pytest.approx(math.log(0.4 * 0.6 * 0.6) - 0.5)
    assert held_back.words[0].confidence == pytest.approx((0.4 * 0.6) ** 0.5)
    assert torch.equal(emissions.log_probs, unsure)


def test_word_pieces_begin_words() -> None:
    log_probs = torch.nn.functional.one_hot(torch.tensor([1, 2, 2, 3, 5, 4, 3]), 6).float().log()
    best = decode(log_probs, PIECES)
    assert best.text == "the cats at"
    assert [word.start_seconds for word in best.words] == [0.0, 0.25, 1.5]
    assert best.words[1].end_seconds == 1.25


def test_a_certain_word_has_confidence_one() -> None:
    assert decode(path("aab", 1.0) + 1e-6).words[0].confidence == 1.0


def by_hand(log_probs: Tensor, length: int) -> tuple[str, float, list[tuple[float, float]]]:
    """Text, score and words' times, a frame at a time."""
    text, score, before = "", 0.0, 0
    spoken: list[list[int]] = []
    for frame in range(length):
        label = int(np.argmax(log_probs[frame].numpy()))
        score += float(log_probs[frame, label])
        if label == 4:
            spoken.append([])
        elif label != 0:
            if not spoken:
                spoken.append([])
            spoken[-1].append(frame)
        if label not in {0, before}:
            text += "_abc "[label]
        before = label
    times = [(0.04 * frames[0], 0.04 * (frames[-1] + 1)) for frames in spoken if frames]
    return " ".join(text.split()), score, times


@given(st.lists(st.integers(0, 12), min_size=1, max_size=5), st.integers(0, 5), st.integers(0, 99))
def test_agrees_with_a_loop_over_frames_whatever_the_padding(
    lengths: list[int], more: int, seed: int
) -> None:
    size = max(lengths) + more
    log_probs = torch.randn(len(lengths), size, 5, generator=torch.manual_seed(seed))
    log_probs = log_probs.mul(3).log_softmax(dim=-1)
    emissions = Emissions(log_probs, torch.tensor(lengths), frame_shift_seconds=0.04)
    before = log_probs.clone()
    together = greedy()(emissions)

    assert torch.equal(log_probs, before)
    for row, length in enumerate(lengths):
        [best] = together[row]
        text, score, times = by_hand(log_probs[row], length)
        assert best.text == text == " ".join(word.text for word in best.words)
        assert best.score == pytest.approx(score, abs=1e-5)
        found = [(word.start_seconds, word.end_seconds) for word in best.words]
        assert np.allclose(found, times)
        assert all(0 < word.confidence <= 1 for word in best.words)

        # Alone, and with what is past the row's length poisoned: the very same.
        alone = Emissions(log_probs[row : row + 1, :length], torch.tensor([length]), 0.04)
        assert greedy()(alone) == [[best]]
        poisoned = log_probs[row : row + 1].clone()
        poisoned[:, length:] = torch.nan
        assert greedy()(Emissions(poisoned, torch.tensor([length]), 0.04)) == [[best]]


def test_a_language_model_is_not_read() -> None:
    [component] = speechkit_greedy.speechkit_decoders()
    given = {"vocabulary": LETTERS, "language_model": object()}
    decoder = component.build(component.config(), **given)
    emissions = Emissions(path("ab")[None], torch.tensor([2]), 0.04)
    assert (component.name, decoder.device) == ("greedy", "any")
    assert decoder(emissions) == greedy()(emissions)
