"""Error rates over a corpus, beside jiwer and NIST's sclite."""

import random

import jiwer
import pytest
import sctk
from hypothesis import given
from hypothesis import strategies as st

from speechkit.scoring.edits import (
    Edits,
    align,
    character_edits,
    edits,
    sclite_edits,
    word_edits,
)

words = st.lists(st.sampled_from(["да", "нет", "a", "b", "c", "e\u0301"]), max_size=8).map(" ".join)
tokens = st.lists(st.sampled_from("abc"), max_size=12)


@given(st.lists(st.tuples(words.filter(bool), words), min_size=1, max_size=6))
def test_equal_to_jiwer_over_a_corpus(pairs):
    references, hypotheses = map(list, zip(*pairs, strict=True))
    assert word_edits(pairs).rate == pytest.approx(jiwer.wer(references, hypotheses))
    assert character_edits(pairs).rate == pytest.approx(jiwer.cer(references, hypotheses))


def test_counts_of_each_kind():
    assert edits(["a", "b", "c", "d"], ["a", "x", "c", "d", "e"]) == Edits(1, 0, 1, 4)
    assert edits(["a", "b"], []) == Edits(0, 2, 0, 2)


def test_of_equally_few_edits_those_with_the_fewest_substitutions():
    assert edits(["a", "b"], ["b", "c"]) == Edits(0, 1, 1, 2)


def test_an_empty_reference_is_no_division_by_zero():
    assert word_edits([("", "")]).rate == 0
    assert word_edits([("", "a b")]).rate == 1
    assert word_edits([("", "a"), ("b", "b")]).rate == 1  # one edit over one word


def test_a_corpus_counts_edits_not_utterances():
    assert word_edits([("a b c d e f g h i", "a b c d e f g h i"), ("a", "b")]).rate == 0.1


@given(tokens, tokens)
def test_an_alignment_is_made_of_both_texts_in_order(reference, hypothesis):
    matches = align(reference, hypothesis)
    assert [said for said, _ in matches if said] == reference
    assert [heard for _, heard in matches if heard] == hypothesis
    assert (None, None) not in matches


@given(tokens, tokens)
def test_sclite_never_counts_fewer_edits_and_has_its_least_cost(reference, hypothesis):
    fewest, sclite = edits(reference, hypothesis), sclite_edits(reference, hypothesis)
    assert fewest.total <= sclite.total
    assert cost(sclite) <= cost(fewest)


def cost(counts: Edits) -> int:
    return 4 * counts.substitutions + 3 * (counts.insertions + counts.deletions)


def test_where_sclite_counts_an_error_more():
    reference = list("ndaeedeennabbnadneea")
    hypothesis = list("ebbnedabeeedb")
    assert edits(reference, hypothesis).total == 15
    assert sclite_edits(reference, hypothesis).total == 16


VOCABULARY = ["да", "нет", "ё", "е\u0301", "a", "b", "the", "Straße", "naïve", "nai\u0308ve", "q"]


def random_pairs(count: int) -> list[tuple[str, str]]:
    """Texts of few words many times over, so that there are many ways to align them."""
    draw = random.Random(4)
    pairs = []
    for number in range(count):
        known = VOCABULARY[: draw.choice([2, 3, 5, 11])]
        reference = draw.choices(known, k=draw.choice([0, 1, 2, 3, 5, 8, 13, 20, 30]))
        hypothesis = draw.choices(known, k=draw.choice([0, 1, 2, 3, 5, 8, 13, 20]))
        if number % 3:
            heard = [
                [[], [draw.choice(known)], [word], [word], [word, draw.choice(known)]]
                for word in reference
            ]
            hypothesis = [word for ways in heard for word in draw.choice(ways)]
        pairs.append((" ".join(reference), " ".join(hypothesis)))
    pairs += [("", ""), ("a b", ""), ("", "a b"), ("да да да", "да да"), ("е\u0301", "é")]
    return pairs


def test_equal_to_sclite_on_texts_of_every_kind(tmp_path):
    pairs = random_pairs(1000)
    references, hypotheses = map(list, zip(*pairs, strict=True))
    found = sctk.kinds(sctk.aligned(tmp_path, references, hypotheses))
    assert len(found) == len(pairs)
    more = 0
    for number, (reference, hypothesis) in enumerate(pairs):
        split = reference.split(), hypothesis.split()
        steps = found[number]
        counts = Edits(steps.count("S"), steps.count("D"), steps.count("I"), len(split[0]))
        assert sclite_edits(*split) == counts
        assert "".join(map(kind, align(*split))) == steps
        more += edits(*split) != counts
    assert more <= 5  # of a thousand, and these are far apart


def test_equal_to_jiwer_on_texts_of_every_kind():
    pairs = random_pairs(1000)
    for reference, hypothesis in pairs:
        words = jiwer.process_words(reference, hypothesis)
        letters = jiwer.process_characters(reference, hypothesis)
        for theirs, ours in (
            (words, edits(reference.split(), hypothesis.split())),
            (letters, edits(reference, hypothesis)),
        ):
            assert ours.total == theirs.substitutions + theirs.deletions + theirs.insertions
            assert ours.substitutions <= theirs.substitutions
            assert ours.reference_length == theirs.hits + theirs.substitutions + theirs.deletions
            assert ours.insertions - ours.deletions == theirs.insertions - theirs.deletions
    references, hypotheses = map(list, zip(*pairs, strict=True))
    assert word_edits(pairs).rate == pytest.approx(jiwer.wer(references, hypotheses), abs=1e-12)
    assert character_edits(pairs).rate == pytest.approx(
        jiwer.cer(references, hypotheses), abs=1e-12
    )


@given(tokens, tokens)
def test_long_texts_are_aligned_as_short_ones_are(reference, hypothesis):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("speechkit.scoring.edits._LONG", -1)
        as_long = align(reference, hypothesis)
    assert as_long == align(reference, hypothesis)


def test_a_recording_of_an_hour_is_aligned():
    draw = random.Random(1)
    said = [str(draw.randrange(2000)) for _ in range(9000)]
    heard = ["wrong" if place % 5 == 0 else word for place, word in enumerate(said)]
    counts = sclite_edits(said, heard)
    assert counts == edits(said, heard) == Edits(1800, 0, 0, 9000)


def kind(match: tuple[str | None, str | None]) -> str:
    said, heard = match
    if said == heard:
        return "C"
    return "I" if said is None else "D" if heard is None else "S"
