"""What a corpus holds is counted as the recipe's rules see it."""

import numpy as np
import pytest

from speechkit.data.look import Histogram, histogram, look
from speechkit.data.store import Meta, Store
from speechkit.interfaces import Vocabulary
from speechkit.settings import TextSettings, TrainSettings


class Letters:
    vocabulary = Vocabulary(("", *"abcё' "))

    def encode(self, text: str) -> list[int]:
        return [self.vocabulary.labels.index(each) for each in text]


def store(texts, seconds, speakers=None, skipped=()) -> Store:
    lengths = np.round(np.array(seconds) * 100).astype(np.int64)
    return Store(
        folder=None,
        meta=Meta("features", "float32", 0, 13, 0.01, "", skipped),
        ids=[f"u{place}" for place in range(len(texts))],
        texts=texts,
        speakers=speakers or [""] * len(texts),
        lengths=lengths,
        offsets=np.concatenate([[0], np.cumsum(lengths)]),
        values=np.zeros((0, 13)),
    )


def seen(texts, seconds=None, *, train=None, speakers=None, skipped=(), **rules):
    return look(
        store(texts, seconds or [1.0] * len(texts), speakers, skipped),
        TextSettings(**({"alphabet": "abcё'"} | rules)),
        Letters(),
        name="train",
        corpus="toy",
        frame_shift_seconds=0.04,
        train=train,
    )


def odd(found) -> dict[str, tuple[int, list[str]]]:
    return {each.what: (each.count, [one.id for one in each.examples]) for each in found.oddities}


def test_counts():
    found = seen(
        ["A, b!", "a  BC", "c"], [1, 3, 1.5], speakers=["s", "s", ""], skipped=(("x", "y"),)
    )
    assert (found.utterances, found.seconds, found.speakers, found.skipped) == (3, 5.5, 1, 1)
    assert (found.words, found.distinct_words) == (5, 4)
    assert found.characters == {" ": 2, "a": 2, "b": 2, "c": 2}
    assert found.unused == ("ё", "'")
    assert found.punctuation == {",": 1, "!": 1}
    assert found.outside == ()
    assert (found.shortest.id, found.median_seconds, found.longest.id) == ("u0", 1.5, "u1")
    assert found.longest.text == "a  BC"


@pytest.mark.parametrize("outside", ["remove", "space", "error"])
def test_characters_outside_the_alphabet_have_a_place(outside):
    long = "b " * 30 + "É" + " c" * 30
    found = seen(["a1 b1", long, "1", "e\u0308 е\u0308"], outside=outside)
    one, e, diaeresis = found.outside
    assert (one.character, one.count, one.utterances, one.id) == ("1", 3, 2, "u0")
    assert one.excerpt == "a1 b1"
    assert (e.character, e.count, e.utterances, e.id) == ("é", 1, 1, "u1")
    assert "É" in e.excerpt
    assert e.excerpt[0] == e.excerpt[-1] == "…"
    assert len(e.excerpt) < 50
    assert diaeresis.character == "ë"  # the Latin one; the Cyrillic one is in the alphabet
    assert found.characters["ё"] == 1


def test_replaced_characters_are_neither_outside_nor_punctuation():
    found = seen(["a&b", "a~b"], replace={"&": " c ", "~": ""})
    assert (found.outside, found.punctuation) == ((), {"~": 1})
    assert found.words == 4


def test_what_training_would_leave_out_is_told():
    train = TrainSettings(min_seconds=0.5, max_seconds=10)
    # 25 frames a second: `abab ` * 6 is 29 labels; of `aa` a label is repeated.
    texts, seconds = ["abab " * 6, "aa", "aa", "12 !", "a", "a", "a"], [1, 0.08, 0.12, 1, 11, 12, 1]
    found = odd(seen(texts, seconds, train=train))
    assert found == {
        "no text is left under the text rules": (1, ["u3"]),
        "more labels than frames": (2, ["u0", "u1"]),
        "shorter than train.min_seconds = 0.5": (2, ["u1", "u2"]),
        "longer than train.max_seconds = 10": (2, ["u5", "u4"]),
    }
    assert set(odd(seen(texts, seconds))) == {
        "no text is left under the text rules",
        "more labels than frames",
    }


def test_unusual_lengths_and_rates():
    texts, seconds = ["abc abc"] * 50, [2 + place / 50 for place in range(50)]
    assert odd(seen(texts, seconds)) == {}
    seconds[3], seconds[5] = 0.5, 20
    texts[7], texts[9] = "a", "abc abc abc " * 3
    assert odd(seen(texts, seconds)) == {
        "spoken unusually fast for their text": (2, ["u9", "u3"]),
        "spoken unusually slowly for their text": (2, ["u5", "u7"]),
        "unusually short": (1, ["u3"]),
        "unusually long": (1, ["u5"]),
    }
    assert odd(seen(texts[:10], seconds[:10])) == {}  # of ten nothing is unusual


@pytest.mark.parametrize(
    ("seconds", "first", "width", "counts"),
    [
        ([1.0], 1.0, 0.01, (1,)),
        ([0.0, 9.99], 0.0, 1.0, (1, 0, 0, 0, 0, 0, 0, 0, 0, 1)),
        ([12.0, 14.0, 15.0, 33.0], 10.0, 5.0, (2, 1, 0, 0, 1)),
    ],
)
def test_histograms_have_round_widths(seconds, first, width, counts):
    assert histogram(np.array(seconds)) == Histogram(first, width, counts)


def test_a_histogram_counts_every_utterance():
    random = np.random.default_rng(0)
    for scale in (0.01, 0.3, 7, 1_000):
        seconds = random.exponential(scale, 500) + 0.01
        found = histogram(seconds)
        assert sum(found.counts) == 500
        assert len(found.counts) <= 10
        inside = (seconds >= found.first) & (seconds < found.first + found.width)
        assert found.counts[0] == inside.sum()
