import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from speechkit import Vocabulary
from speechkit_ngram.cutting import parts_of

from .conftest import LETTERS, noise, path

PIECES = Vocabulary(("", "▁a", "b"), word_boundary="▁")


def cut(labels: str, longest: int, certainty: float = 0.999) -> list[str]:
    log_probs = path(labels, certainty=certainty).double().numpy()
    parts = parts_of(log_probs, LETTERS, longest=longest, token_threshold=-5.0)
    return [labels[first:end] for first, end in parts]


def test_it_cuts_at_the_space_of_the_longest_pause() -> None:
    assert cut("ab cab_ __ba ab_", 12) == ["ab cab_", " __ba ab_"]


def test_what_is_short_enough_is_whole() -> None:
    assert cut("ab cab ba", 9) == ["ab cab ba"]
    assert cut("ab cab ba", 0) == ["ab cab ba"]
    assert cut("", 5) == [""]


def test_without_a_place_near_it_cuts_at_the_next() -> None:
    assert cut("a bcabcabcabcabcabc aba_b", 6) == ["a bcabcabcabcabcabc", " aba_b"]
    assert cut("abcabcabcabcabc", 6) == ["abcabcabcabcabc"]


def test_an_unsure_space_is_no_place_to_cut() -> None:
    assert cut("abc abc abc abc", 6, certainty=0.9) == ["abc abc abc abc"]


def test_a_piece_is_not_cut_in_two() -> None:
    probs = torch.nn.functional.one_hot(torch.tensor([1, 2, 2, 1, 1, 1, 2, 2]), 3) * 0.999 + 0.0003
    parts = parts_of(probs.log().double().numpy(), PIECES, longest=6, token_threshold=-5.0)
    assert parts == [(0, 3), (3, 8)]
    parts = parts_of(probs.log().double().numpy(), PIECES, longest=4, token_threshold=-5.0)
    assert parts == [(0, 3), (3, 8)]


@given(st.integers(0, 60), st.integers(1, 70), st.integers(0, 99))
def test_parts_make_the_whole(frames: int, longest: int, seed: int) -> None:
    log_probs = noise(frames, seed, spread=9.0).double().numpy()
    parts = parts_of(log_probs, LETTERS, longest=longest, token_threshold=-5.0)
    assert np.concatenate([np.arange(*part) for part in parts]).tolist() == list(range(frames))
    for first, _ in parts[1:]:
        others = np.delete(log_probs[first], 4)
        assert (others < -5).all()
