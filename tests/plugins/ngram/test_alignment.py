from itertools import product

import numpy as np
import pytest

from speechkit import Vocabulary
from speechkit_ngram.alignment import Aligner

from .conftest import LETTERS, noise

PIECES = Vocabulary(("", "▁", "▁a", "b", "▁b", "ab"), word_boundary="▁")


@pytest.mark.parametrize("vocabulary", [LETTERS, PIECES], ids=["letters", "pieces"])
@pytest.mark.parametrize("seed", range(4))
def test_it_is_the_best_of_all_paths_that_write_the_text(vocabulary: Vocabulary, seed: int) -> None:
    log_probs = noise(6, seed, vocabulary).double().numpy()
    best: dict[str, tuple[float, tuple[int, ...]]] = {}
    for labels in product(range(len(vocabulary)), repeat=len(log_probs)):
        merged = [each for i, each in enumerate(labels) if i == 0 or labels[i - 1] != each]
        text = vocabulary.text(each for each in merged if each)
        score = log_probs[np.arange(len(labels)), labels].sum()
        best[text] = max(best.get(text, (-np.inf, labels)), (score, labels))
    aligner = Aligner(vocabulary)
    for text, (_, labels) in best.items():
        words = text.split()
        found = aligner(words, log_probs)
        assert found is not None
        assert len(found) == len(words)
        spoken = [frame for word in found for frame in range(word.first, word.end)]
        assert spoken == sorted(set(spoken))
        letters = {
            frame
            for frame, label in enumerate(labels)
            if vocabulary.labels[label].strip(vocabulary.word_boundary)
        }
        assert letters <= set(spoken)
        assert {word.first for word in found} | {word.end - 1 for word in found} <= letters
        agreement = [log_probs[frame, labels[frame]] for frame in sorted(letters)]
        own = [
            np.log(word.confidence) * len(letters & set(range(word.first, word.end)))
            for word in found
        ]
        assert sum(own) == pytest.approx(sum(agreement))


def test_what_the_frames_cannot_write_is_not_aligned() -> None:
    aligner = Aligner(LETTERS)
    log_probs = noise(2, 0).double().numpy()
    assert aligner(["abc"], log_probs) is None
    assert aligner(["bb"], log_probs) is None  # a blank must part them
    assert aligner(["ax"], log_probs) is None
    assert aligner(["a"], log_probs[:0]) is None
    assert aligner([], log_probs) == []
