"""What is odd in one part: in its texts, and in its sound."""

import random
from collections import Counter

import numpy as np
import pytest

from speechkit.audit.parts import odd
from speechkit.data.look import look
from speechkit.interfaces import Vocabulary
from speechkit.settings import TextSettings

ALPHABET = "abcdefghijklmnopqrstuvwxyz"


class Letters:
    vocabulary = Vocabulary(("", *ALPHABET, " "))

    def encode(self, text: str) -> list[int]:
        return [self.vocabulary.labels.index(each) for each in text]


def found(speech):
    seen = look(
        speech.store,
        TextSettings(alphabet=ALPHABET),
        Letters(),
        name="train",
        corpus="toy",
        frame_shift_seconds=1e-4,  # so that the labels of these short recordings fit
    )
    words = Counter(word for text in speech.texts for word in text.split())
    return {each.kind: each for each in odd("train", speech, seen, words)}


def sentences(count, words=8, seed=0):
    """Texts of words that occur often, none of which begins another."""
    choose = random.Random(seed)
    letters = [(a, b, c) for a in "abcde" for b in "fghij" for c in "klmno"]
    lexicon = ["".join(each) + "word" * choose.randint(0, 2) + each[0] for each in letters]
    return [" ".join(choose.choices(lexicon, k=choose.randint(3, words))) for _ in range(count)]


def test_nothing_is_odd(part):
    assert found(part(sentences(300), speakers=["anna"] * 300)) == {}


def test_no_speaker_is_named(part):
    unknown = found(part(["a", "b"], speakers=["anna", ""]))
    assert unknown.keys() == {"unknown-speakers"}
    assert (unknown["unknown-speakers"].severity, unknown["unknown-speakers"].count) == ("note", 1)


def test_characters_that_are_lost(part):
    speech = part(["café 7", "naïve", "straße café", "b"], speakers=["a"] * 4)
    lost = found(speech)["lost-characters"]
    assert (lost.severity, lost.count, lost.total) == ("error", 3, 4)
    assert lost.what == "5 characters outside the alphabet are lost: é 2×, 7 1×, ß 1×, ï 1×"
    assert (lost.examples[0].id, lost.examples[0].note) == ("0-0", "é (U+00E9)")


def test_labels_that_do_not_fit(part):
    texts = ["a", "b", "far too much", "c"]
    over = found(part(texts, seconds=[1, 1, 0.0005, 1]))["labels-over-frames"]
    assert (over.severity, over.count, over.examples[0].id) == ("error", 1, "0-2")


def test_what_could_not_be_read(part):
    found_ = found(part(["a"], skipped=(("x", "x: is empty"),)))["unreadable"]
    assert (found_.severity, found_.count, found_.total) == ("error", 1, 2)
    assert found_.examples[0].note == "x: is empty"


def test_silence_and_clipping(part):
    loud = np.full(160, 100, np.int16)
    loud[5:9] = [32767, -32768, 32767, 32767]
    once = np.full(160, 200, np.int16)
    once[3] = 32767
    quiet = np.arange(160, dtype=np.int16)
    heard = {0: loud, 1: once, 2: quiet, 3: np.zeros(160, np.int16)}
    odd_ = found(part(list("abcde"), speakers=["s"] * 5, heard=heard))
    assert odd_.keys() == {"silent", "clipped"}
    assert [each.id for each in odd_["silent"].examples] == ["0-2", "0-3"]
    assert [each.note for each in odd_["silent"].examples] == ["at most -46 dB", "digital silence"]
    assert odd_["clipped"].examples[0].note == "4 samples at full scale"
    assert (odd_["clipped"].count, odd_["clipped"].severity) == (1, "warning")


def test_one_recording_several_times(part):
    same = np.arange(1000, 1160, dtype=np.int16)
    heard = {0: same, 2: same, 3: same}
    texts = ["One.", "two", "one", "other", *sentences(40)]
    odd_ = found(part(texts, speakers=["s"] * 44, heard=heard))
    assert odd_.keys() == {"repeated-audio", "contradictory-texts"}
    assert (odd_["repeated-audio"].severity, odd_["repeated-audio"].count) == ("warning", 1)
    assert odd_["repeated-audio"].examples[0].note == "the same as 0-0"
    contradictory = odd_["contradictory-texts"]
    assert (contradictory.severity, contradictory.examples[0].id) == ("error", "0-3")
    assert contradictory.examples[0].note == "the recording of 0-0: One."


def test_prompts_that_many_read(part):
    texts = ["a prompt"] * 3 + ["another"] * 2 + ["once"]
    repeated = found(part(texts))["repeated-texts"]
    assert (repeated.severity, repeated.count) == ("note", 5)
    assert repeated.what == "others have the same text; there are 3 different texts"
    assert [each.note for each in repeated.examples] == ["3 times", "2 times"]


@pytest.mark.parametrize("limit", [50, 70])
def test_texts_cut_at_a_number_of_characters(part, limit):
    texts = [text[:limit].strip() for text in sentences(300)]
    odd_ = found(part(texts, speakers=["s"] * 300))
    assert odd_["cut-lengths"].severity == "error"
    assert odd_["cut-lengths"].count == sum(len(text) == limit for text in texts)
    assert f"exactly {limit} characters" in odd_["cut-lengths"].what


def test_texts_that_end_in_the_middle_of_a_word(part):
    texts = sentences(300)
    for place in range(0, 300, 10):
        texts[place] = texts[place][:-2]
    cut = found(part(texts, speakers=["s"] * 300))["cut-words"]
    assert cut.severity == "error"
    assert 15 <= cut.count <= 30  # two that are cut alike are not told from a word
    assert cut.examples[0].note == f"ends in “{texts[0].split()[-1]}”"


def test_rare_words_are_not_taken_for_parts(part):
    texts = sentences(300)
    rare = [f"{a}rare{b}" for a in "pqrst" for b in "uvwxyz"]
    for place, word in enumerate(rare):  # everywhere in a text, and each begins a longer word
        words = texts[10 * place].split()
        words[place % len(words)] = word
        texts[10 * place] = " ".join(words)
        texts[10 * place + 1] += f" {word}s"
    for place in range(5, 300, 10):  # a word that is one, though others begin with it
        texts[place] = f"sofa {texts[place]} so"
    assert found(part(texts, speakers=["s"] * 300)) == {}
