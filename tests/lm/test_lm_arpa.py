"""ARPA files: ours read back, others' with their gaps, and broken ones."""

import gzip
import math

import numpy as np
import pytest
from textbook import DATA, plain_arpa, whole_history

from speechkit import DataError
from speechkit_lm import NgramModel, arpa_reading, build, read_arpa, write_arpa

GOOD = """\
some words before it

\\data\\
ngram 1=5
ngram 2=4
ngram 3=2

\\1-grams:
-99\t<s>\t-0.3
-0.8\tкот\t-0.2
-0.9\tпёс
-0.7\t</s>
-1.5\t<unk>

\\2-grams:
-0.4\t<s> кот\t-0.1
-0.5 кот </s>
-0.6\tкот пёс\t0
-0.3\tпёс </s>

\\3-grams:
-0.2\t<s> кот пёс
-0.25\tкот пёс </s>

\\end\\
"""


def read_text(tmp_path, text, name="some.arpa"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return read_arpa(path)


@pytest.mark.parametrize("name", ["a.arpa", "a.arpa.gz"])
@pytest.mark.parametrize("order", [1, 2, 4])
def test_reading_what_was_written_gives_the_same_arrays(
    tmp_path, made_up, monkeypatch, name, order
):
    monkeypatch.setattr(arpa_reading, "BLOCK_BYTES", 777)
    monkeypatch.setattr("speechkit_lm.arpa_writing.LINES_AT_ONCE", 50)
    model = build(made_up(200), order=order)
    write_arpa(model, tmp_path / name)
    found = read_arpa(tmp_path / name)
    assert found.words == model.words
    for one, other in zip(model.arrays, found.arrays, strict=True):
        assert np.array_equal(one, other)


def test_packed_files_are_the_same_every_time(tmp_path, monkeypatch):
    model = build(["a b"], order=2)
    for now, name in enumerate(("a.arpa.gz", "b.arpa.gz")):
        monkeypatch.setattr("gzip.time.time", lambda now=now: 1e9 + 1000 * now)
        write_arpa(model, tmp_path / name)
    assert (tmp_path / "a.arpa.gz").read_bytes() == (tmp_path / "b.arpa.gz").read_bytes()
    write_arpa(model, tmp_path / "a.arpa")
    assert (
        gzip.decompress((tmp_path / "a.arpa.gz").read_bytes()) == (tmp_path / "a.arpa").read_bytes()
    )


@pytest.mark.parametrize("file", ["order1", "order3", "order4_cutoffs_0_0_1"])
def test_files_of_lmplz_are_read_as_they_say(file, russian):
    path = DATA / f"{file}.arpa"
    model, plain = read_arpa(path), plain_arpa(path)
    for sentence in [*russian, "пёс дерево кот", ""]:
        expected = whole_history(plain, sentence, model.order)
        assert model.score(sentence) == pytest.approx(expected, abs=1e-5)


def test_a_file_of_another_program_is_read(tmp_path):
    """Words in any order, weights left out, blanks for tabs, -99 for `<s>`."""
    model = read_text(tmp_path, GOOD)
    assert model.words == ["<unk>", "<s>", "</s>", "кот", "пёс"]
    assert model.counts == (5, 4, 2)
    ln10 = math.log(10)
    assert model.score("кот пёс") == pytest.approx((-0.4 - 0.2 - 0.25) * ln10)
    assert model.score("пёс") == pytest.approx((-0.3 - 0.9 - 0.3) * ln10)
    assert model.score("кот кит") == pytest.approx((-0.4 - 0.1 - 0.2 - 1.5 - 0.7) * ln10)
    crlf = read_text(tmp_path, GOOD.replace("\n", "\r\n"), "crlf.arpa")
    marked = read_text(tmp_path, "\ufeff" + GOOD[GOOD.index("\\data") :], "marked.arpa")
    for same in (crlf, marked):
        assert np.array_equal(same.arrays.log_prob, model.arrays.log_prob)


def test_what_an_n_gram_lacks_is_put_in_without_changing_a_probability(tmp_path):
    """SRILM's pruning leaves n-grams whose beginning or end is no n-gram."""
    lacking = "\n".join(
        line
        for line in GOOD.replace("ngram 2=4", "ngram 2=2").split("\n")
        if line not in {"-0.4\t<s> кот\t-0.1", "-0.3\tпёс </s>"}
    )
    model = read_text(tmp_path, lacking)
    plain = plain_arpa(tmp_path / "some.arpa")
    assert ("<s>", "кот") not in plain
    plain["кот", "</s>"] = (-0.5, 0.0)  # the line with a blank for a tab
    assert model.counts == (5, 4, 2)
    for sentence in ["кот пёс", "пёс", "кот", "пёс пёс кот", "кот кот пёс"]:
        expected = whole_history(plain, sentence, 3)
        assert model.score(sentence) == pytest.approx(expected, abs=1e-5), sentence


def test_a_file_without_unk_gives_unknown_words_next_to_nothing(tmp_path):
    text = GOOD.replace("ngram 1=5", "ngram 1=4").replace("-1.5\t<unk>\n", "")
    model = read_text(tmp_path, text)
    assert model.step(-1, 0)[0] == pytest.approx(-100 * math.log(10))
    upper = read_text(tmp_path, GOOD.replace("<unk>", "<UNK>"), "upper.arpa")
    assert upper.step(-1, 0)[0] == pytest.approx(-1.5 * math.log(10))


def cut_after(mark):
    return lambda text: text[: text.index(mark) + len(mark)]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda text: "", r"the file is empty"),
        (lambda text: "just text\n", r"no \\data\\"),
        (lambda text: text.replace("ngram 2=4", "ngram 3=4"), r":5: n-grams of order 3 after"),
        (lambda text: text.replace("ngram 2=4", "ngram two"), r":5: expected 'ngram 2=...'"),
        (lambda text: text.replace("ngram 1=5\nngram 2=4\nngram 3=2", ""), "no 1-grams"),
        (lambda text: text.replace("ngram 1=5", "ngram 1=6"), ":14: the 1-grams end after 5, .* 6"),
        (lambda text: text.replace("ngram 1=5", "ngram 1=4"), "more 1-grams than the 4 "),
        (lambda text: text.replace("ngram 3=2", "ngram 3=1"), "more 3-grams than the 1 "),
        (cut_after("-0.7\t</s>\n"), "the file ends after 4 of 5 1-grams: it is cut off"),
        (cut_after("-1.5\t<unk>\n"), r"cut off after line 13: no \\2-grams:"),
        (cut_after("пёс </s>\n\n\\3"), r":21: expected \\3-grams:, not '\\\\3'"),
        (cut_after("кот пёс </s>\n"), r"cut off after line 23: no \\end\\"),
        (lambda text: text.replace("\\2-grams:", "\\4-grams:"), r":15: expected \\2-grams:"),
        (lambda text: text.replace("-0.6\t", "-0,6\t"), r":18: not a log probability: '-0,6'"),
        (lambda text: text.replace("-0.6\t", "nan\t"), r":18: not a log probability: 'nan'"),
        (lambda text: text.replace("-0.6\t", "0.6\t"), r":18: a log probability above 0: 0.6"),
        (lambda text: text.replace("\t-0.1", "\tx"), r":16: not a back-off weight: 'x'"),
        (lambda text: text.replace("<s> кот пёс", "<s> кот"), r":22: expected 'log10 prob"),
        (lambda text: text.replace("<s> кот пёс", "<s> кот пёс 0"), r":22: expected 'log10 prob"),
        (lambda text: text.replace("<s> кот пёс", "<s> кот лев"), r":22: the word 'лев' is not"),
        (lambda text: text.replace("кот пёс\t0", "<s> кот\t0"), "n-gram '<s> кот' is there twice"),
        (lambda text: text.replace("-0.9\tпёс", "-0.9\tкот"), "1-gram 'кот' is there twice"),
        (lambda text: text.replace("</s>", "<//s>"), "</s> is not among the 1-grams"),
    ],
)
def test_a_broken_file_is_an_error_that_names_the_line(tmp_path, spoil, message):
    with pytest.raises(DataError, match=message) as caught:
        read_text(tmp_path, spoil(GOOD))
    assert "some.arpa" in str(caught.value)
    assert caught.value.hint


def test_files_that_are_something_else_are_named_for_what_they_are(tmp_path):
    binary = tmp_path / "lm.binary"
    binary.write_bytes(b"mmap lm http://kheafield.com/code format version 5\n\0" + bytes(1000))
    with pytest.raises(DataError, match=r"lm.binary: a KenLM binary") as caught:
        NgramModel.load(binary)
    assert "ARPA" in caught.value.hint
    cut = tmp_path / "cut.arpa.gz"
    cut.write_bytes(gzip.compress(GOOD.encode())[:-12])
    with pytest.raises(DataError, match=r"cut.arpa.gz"):
        read_arpa(cut)
    damaged = tmp_path / "damaged.arpa.gz"
    damaged.write_bytes(gzip.compress(GOOD.encode(), mtime=0)[:10] + b"\xff" * 20)
    with pytest.raises(DataError, match=r"damaged.arpa.gz: cannot be read: Error -3"):
        read_arpa(damaged)
    latin = tmp_path / "latin.arpa"
    latin.write_bytes(GOOD.encode("cp1251"))
    with pytest.raises(DataError, match=r"latin.arpa:10: a word that is not UTF-8") as caught:
        read_arpa(latin)
    assert "iconv" in caught.value.hint
    with pytest.raises(DataError, match="No such file"):
        read_arpa(tmp_path / "none.arpa")
