"""The matched-pairs test, beside NIST's sc_stats and by hand."""

import random
import re
import subprocess

import pytest
import sctk

from speechkit.scoring.edits import align
from speechkit.scoring.mapsswe import matched_pairs, segments


def cut(reference: str, first: str, second: str) -> list[tuple[int, int]]:
    return segments(*(align(reference.split(), each.split()) for each in (first, second)))


def test_two_words_in_a_row_that_both_have_right_end_a_segment():
    assert cut("a b c d e f g h", "a x c d e y z h", "a b c d e f h") == [(1, 0), (2, 1)]


def test_one_word_that_both_have_right_does_not():
    assert cut("a b c d", "x b y d", "a b c d") == [(2, 0)]


def test_a_word_put_in_between_two_right_ones_parts_them():
    assert cut("a b c d e", "x b z c d e", "a b c d e") == [(2, 0)]


def test_words_put_in_at_the_end_count():
    assert cut("a b", "a b c c", "a b") == [(2, 0)]


def test_right_utterances_have_no_segment():
    assert cut("a b", "a b", "a b") == []
    assert cut("", "", "") == []


def test_the_statistic_by_hand():
    aligned = [
        (align(["a"], [first]), align(["a"], [second]))
        for first, second in [("x", "a"), ("x", "a"), ("x", "a"), ("a", "x")]
    ]
    found = matched_pairs(aligned)  # differences -1, -1, -1, 1: mean -1/2, deviation 1
    assert (found.segments, found.mean, found.z) == (4, -0.5, -1.0)
    assert found.p == pytest.approx(0.3173, abs=1e-4)


def test_systems_that_make_the_same_errors_are_not_told_apart():
    wrong = align(["a"], ["b"])
    assert matched_pairs([(wrong, wrong)] * 5).p == 1
    assert matched_pairs([]).p == 1


def test_equal_to_sc_stats(tmp_path):
    draw = random.Random(1)
    known = ["the", "cat", "sat", "on", "a", "mat", "and", "dog", "ran", "off"]
    references, first, second = [], [], []
    for _ in range(300):
        text = draw.choices(known, k=draw.randint(1, 25))
        references.append(text)
        for texts, share in ((first, 0.2), (second, 0.15)):
            ways = [[[], [draw.choice(known)], [word, draw.choice(known)]] for word in text]
            texts.append(
                [
                    heard
                    for word, wrong in zip(text, ways, strict=True)
                    for heard in (draw.choice(wrong) if draw.random() < share else [word])
                ]
            )
    joined = [[" ".join(text) for text in texts] for texts in (references, first, second)]
    call = [*sctk.command("sc_stats"), "-p", "-t", "mapsswe", "-v", "-n", "-"]
    told = subprocess.run(
        call, input=sctk.aligned(tmp_path, *joined), capture_output=True, text=True, check=True
    ).stdout
    pattern = r"# segs: (\d+)\).*?mean: *([-\d.]+)\) \(std dev: *[-\d.]+\) \(Z Stat: *([-\d.]+)"
    number, mean, z = re.search(pattern, told, re.DOTALL).groups()
    aligned = [
        (align(text, one), align(text, other))
        for text, one, other in zip(references, first, second, strict=True)
    ]
    found = matched_pairs(aligned)
    assert found.segments == int(number)
    assert -found.mean == pytest.approx(float(mean), abs=6e-4)  # theirs is first less second
    assert -found.z == pytest.approx(float(z), abs=6e-4)
