import gzip
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from speechkit import DataError, SpeechkitError
from speechkit_lm import NgramModel
from speechkit_ngram.settings import KenlmConfig
from speechkit_ngram.source import Source, open_kenlm, source_of

# What build_binary of KenLM (format 5) makes of an ARPA file with the words <s>, </s> and hi.
BINARY = bytes.fromhex(
    "6d6d6170206c6d20687474703a2f2f6b6865616669656c642e636f6d2f636f646520666f726d617420766572"
    "73696f6e20350a0000000000000000000000803f000000bf01000000ffffffff000000000100000000000000"
    "020000000000c03f0000000001000000000000000400000000000000020000000000000000000000000000000"
    "4000000707e21bd3986750001000000000000000000000000000000000000000000000000000000033ca8a754"
    "9891bb030000000a6cf7f17d73e06b02000000000000000000000000000000000080bf000000800000c6c29a9"
    "999be0000803f000000800000003fcdcc4cbe00000000000000000000000000000000000000008172edf07d7b"
    "7c85cdcc4cbe16cf4af3ae7c6a189a9999be3c756e6b3e003c733e003c2f733e00686900"
)
here = pytest.mark.skipif(
    sys.byteorder != "little" or sys.maxsize < 2**32, reason="the binary is of another machine"
)


@pytest.fixture
def binary(tmp_path: Path) -> Path:
    file = tmp_path / "tiny.bin"
    file.write_bytes(BINARY)
    return file


def source(handle=None, **given) -> Source:
    found = source_of(KenlmConfig(**given), handle)
    assert found is not None
    return found


def test_words_are_those_of_the_model_however_it_comes(lm: NgramModel, tmp_path: Path) -> None:
    packed = tmp_path / "packed.gz"
    packed.write_bytes(gzip.compress(lm.arpa_path().read_bytes()))
    sources = [
        source(lm),
        source(SimpleNamespace(kenlm_path=lm.arpa_path)),
        source(lm_file=lm.arpa_path()),
        source(lm_file=packed),
        source(lm_file=lm.folder),
        source(lm_file=lm.folder / "lm.safetensors"),
    ]
    for each in sources:
        assert sorted(each.words) == ["a", "ab", "b", "ba", "c", "cab"]
        assert each.path is not None
        assert "cab" in open_kenlm(each.path)


def test_a_file_of_the_settings_goes_before_the_recipes_model(lm: NgramModel, binary: Path) -> None:
    assert source(lm, lm_file=binary) == Source(binary, ["hi"], binary)


def test_a_binary_that_does_not_hold_its_words_tells_none(binary: Path) -> None:
    without = bytearray(BINARY[: BINARY.rindex(b"<unk>")])
    without[100] = False  # of the head: whether it has them
    binary.write_bytes(without)
    assert source(lm_file=binary) == Source(binary, None, binary)
    binary.write_bytes(BINARY.replace(b"hi\0", b""))  # or not all of them
    assert source(lm_file=binary) == Source(binary, None, binary)


@here
def test_a_binary_is_opened_and_its_words_can_be_listed(binary: Path, tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_text("hi there\nhi\n")
    assert source(lm_file=binary, words_file=words) == Source(binary, ["hi", "there"], words)
    assert "hi" in open_kenlm(binary)


def test_nothing_given_is_nothing() -> None:
    assert source_of(KenlmConfig(), None) is None


ARPA = (
    "\\data\\\nngram 1=4\nngram 2=2\n\n\\1-grams:\n-1\t<unk>\n-99\t<s>\t-0.3\n-1\t</s>\n"
    "-0.5\thi\t-0.2\n\n\\2-grams:\n-0.2\t<s> hi\n-0.3\thi </s>\n\n\\end\\\n"
)


UNIGRAMS = "\\data\\\nngram 1=4\n\n\\1-grams:\n-1\t<unk>\n-99\t<s>\n-1\t</s>\n-0.5\thi\n\n\\end\\\n"


@pytest.mark.parametrize(
    ("contents", "says"),
    [
        (b"", "the file is empty"),
        (ARPA[:-20].encode(), "cut off"),
        (ARPA[:110].encode(), ":13: expected"),
        (b"hello world\n", "no .data. in it"),
        (bytes(range(128, 256)) * 9, "not an ARPA file"),
        (ARPA.replace("-0.5\thi", "0.5\thi").encode(), "0.5"),
        (BINARY.replace(b"version 5", b"version 4"), "version 4 but"),
        (BINARY[:57] + bytes(len(BINARY) - 57), "test values don't match"),
        (BINARY[:200], "binary"),
        (gzip.compress(ARPA.encode(), mtime=0)[:60], "cannot|cut off"),
        (gzip.compress(ARPA.encode(), mtime=0)[:10] + b"\xff" * 20, "cannot be read"),
        (ARPA.replace("1=4", "1=-4").encode(), ":2: expected 'ngram 1="),
        (ARPA.replace("2=2", "2=-2").encode(), ":3: expected 'ngram 2="),
        (UNIGRAMS.encode(), "order 1, KenLM reads orders 2 to 6"),
    ],
)
def test_a_bad_file_is_told_with_a_remedy(tmp_path: Path, contents: bytes, says: str) -> None:
    file = tmp_path / "bad.lm"
    file.write_bytes(contents)
    with pytest.raises(DataError, match=says) as caught:
        open_kenlm(source(lm_file=file).path)
    assert "bad.lm" in str(caught.value)
    assert caught.value.hint


def test_an_absent_file_is_told(tmp_path: Path) -> None:
    for given in ({"lm_file": tmp_path / "no"}, {"words_file": tmp_path / "no"}):
        with pytest.raises(DataError, match="/no: ") as caught:
            source(**given)
        assert caught.value.hint


def test_an_empty_list_of_words_is_told(tmp_path: Path) -> None:
    (tmp_path / "words").write_text("\n")
    with pytest.raises(DataError, match="no word"):
        source(words_file=tmp_path / "words")


def test_a_model_of_another_kind_is_told() -> None:
    with pytest.raises(SpeechkitError, match="SimpleNamespace") as caught:
        source(SimpleNamespace(order=3, folder=Path()))
    assert "lm_file" in caught.value.hint
