"""Text to numbers."""

import gzip
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speechkit import DataError
from speechkit_lm import text as reading
from speechkit_lm.text import (
    Numbering,
    blocks_of_column,
    blocks_of_file,
    blocks_of_lines,
    normalized,
    number_text,
)

S, E = 1, 2


def numbered(lines):
    return number_text(blocks_of_lines(lines))


def test_sentences_are_framed_and_words_numbered_as_they_appear():
    corpus = numbered(["the cat", "a cat"])
    assert corpus.words == ["<unk>", "<s>", "</s>", "the", "cat", "a"]
    assert corpus.ids.tolist() == [S, 3, 4, E, S, 5, 4, E]
    assert (corpus.sentences, corpus.tokens) == (2, 4)


def test_separators_are_those_of_lmplz_and_blank_lines_are_no_sentences():
    corpus = numbered(["", "  a\t\tb \r", "\r", "\0", "c", ""])
    assert corpus.words[3:] == ["a", "b", "c"]
    assert corpus.ids.tolist() == [S, 3, 4, E, S, 5, E]
    # Not a separator to lmplz, so not one here: the no-break space.
    assert numbered(["a\u00a0b"]).words[3:] == ["a\u00a0b"]


@given(st.lists(st.lists(st.sampled_from(["аб", "в", "где", "ёж"]), max_size=6), max_size=8))
def test_any_text_is_read_as_python_would_read_it(sentences):
    lines = [" ".join(each) for each in sentences]
    written = [each for each in lines if each]
    if not written:
        with pytest.raises(DataError, match="not a word"):
            numbered(lines)
        return
    corpus = numbered(lines)
    words = " ".join(corpus.words[id_] for id_ in corpus.ids)
    assert words == " ".join(f"<s> {each} </s>" for each in written)


@pytest.mark.parametrize("word", ["<s>", "</s>", "<unk>", "<UNK>"])
def test_special_words_in_the_text_are_an_error_that_names_the_line(word, tmp_path):
    file = tmp_path / "some.txt"
    file.write_text(f"a b\nx{word} c\n\nd {word} e\n", encoding="utf-8")
    with pytest.raises(DataError, match=rf"some.txt:4: the text holds {re.escape(word)}") as caught:
        number_text(blocks_of_file(file))
    assert "remove it" in caught.value.hint


def test_bytes_that_are_not_utf8_are_an_error_that_names_the_line(tmp_path):
    file = tmp_path / "latin1.txt"
    file.write_bytes(b"a b\nc caf\xe9 d\n")
    for blocks in (blocks_of_file(file), normalized(blocks_of_file(file), str.upper)):
        with pytest.raises(DataError, match=r"latin1.txt:2: not UTF-8") as caught:
            number_text(blocks)
        assert "iconv" in caught.value.hint


def test_files_plain_and_packed_are_read_in_blocks_of_whole_lines(tmp_path, monkeypatch):
    lines = [*["а б"] * 20, "один два три", "x" * 1000, "пять шесть"]
    plain, packed = tmp_path / "a.txt", tmp_path / "a.txt.gz"
    plain.write_text("\ufeff" + "\n".join(lines), encoding="utf-8")  # no newline at the end
    packed.write_bytes(gzip.compress("\n".join([*lines, ""]).encode()))
    whole = numbered(lines)
    monkeypatch.setattr(reading, "BLOCK_BYTES", 37)
    blocks = list(blocks_of_file(plain))
    assert len(blocks) > 2
    assert [each.first_line for each in blocks] == [
        1 + sum(each.data.count(b"\n") for each in blocks[:i]) for i in range(len(blocks))
    ]
    assert blocks[-1].first_line > 2
    for file in (plain, packed):
        corpus = number_text(blocks_of_file(file))
        assert corpus.words == whole.words
        assert np.array_equal(corpus.ids, whole.ids)


def test_what_cannot_be_read_is_an_error_with_a_remedy(tmp_path):
    with pytest.raises(DataError, match=r"nothing.txt: cannot be read: No such file"):
        list(blocks_of_file(tmp_path / "nothing.txt"))
    fake = tmp_path / "fake.gz"
    fake.write_bytes(b"not packed")
    with pytest.raises(DataError, match=r"fake.gz: cannot be read: .*gzip"):
        list(blocks_of_file(fake))
    cut = tmp_path / "cut.gz"
    cut.write_bytes(gzip.compress(b"a b c\n" * 1000)[:-20])
    with pytest.raises(DataError, match=r"cut.gz: cannot be read"):
        list(blocks_of_file(cut))
    damaged = tmp_path / "damaged.gz"
    damaged.write_bytes(gzip.compress(b"a b c\n", mtime=0)[:10] + b"\xff" * 20)
    with pytest.raises(DataError, match=r"damaged.gz: cannot be read: Error -3"):
        list(blocks_of_file(damaged))


def test_an_empty_text_is_an_error_that_names_the_files(tmp_path):
    file = tmp_path / "blank.txt"
    file.write_text("\n \n\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"not a word in the text \(.*blank.txt\)") as caught:
        number_text(blocks_of_file(file))
    assert "sentence a line" in caught.value.hint
    file.write_bytes(b"")
    with pytest.raises(DataError, match=r"not a word in the text \(.*blank.txt\)"):
        number_text(blocks_of_file(file))
    with pytest.raises(DataError, match="no file"):
        number_text([])


def test_a_very_long_line_is_one_sentence():
    words = [f"w{i % 977}" for i in range(300_000)]
    corpus = numbered([" ".join(words)])
    assert corpus.sentences == 1
    assert corpus.tokens == 300_000
    assert corpus.ids[0] == S
    assert corpus.ids[-1] == E


def test_text_rules_are_applied_line_by_line():
    blocks = normalized(blocks_of_lines(["Ёж, ёлка!", "ДОМ"]), lambda line: line.lower().strip("!"))
    assert number_text(blocks).words[3:] == ["ёж,", "ёлка", "дом"]


def test_ids_go_on_from_block_to_block():
    numbering = Numbering()
    first, second = blocks_of_lines(["a b"]), blocks_of_lines(["b c"])
    assert numbering.number(next(first)).tolist() == [S, 3, 4, E]
    assert numbering.number(next(second)).tolist() == [S, 4, 5, E]


def test_a_column_of_a_table_is_a_text(tmp_path):
    file = tmp_path / "table.parquet"
    columns = {"id": [1, 2, 3], "text": ["один два", None, "три\nчетыре"], "said": ["а", "б", "в"]}
    pq.write_table(pa.table(columns), file)
    assert number_text(blocks_of_column(file)).words[3:] == ["один", "два", "три", "четыре"]
    assert number_text(blocks_of_column(file, "said")).words[3:] == ["а", "б", "в"]
    kept_otherwise = {
        "large": pa.array(["а", "б", "в"], pa.large_string()),
        "codes": pa.array(["а", "б", "а"]).dictionary_encode(),
    }
    other = tmp_path / "other.parquet"
    pq.write_table(pa.table(kept_otherwise), other)
    assert number_text(blocks_of_column(other, "large")).words[3:] == ["а", "б", "в"]
    assert number_text(blocks_of_column(other, "codes")).words[3:] == ["а", "б"]
    for column in ("id", "nothing"):
        with pytest.raises(DataError, match=f"no column of texts called '{column}'") as caught:
            list(blocks_of_column(file, column))
        assert "text, said" in caught.value.hint
    file.write_bytes(b"not a table")
    with pytest.raises(DataError, match=r"table.parquet: cannot be read"):
        list(blocks_of_column(file))
