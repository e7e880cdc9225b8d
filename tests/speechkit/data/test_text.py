"""One set of rules for every text of a run."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from speechkit import DataError
from speechkit.data.text import TextRules
from speechkit.settings import TextSettings

ENGLISH = "abcdefghijklmnopqrstuvwxyz'"
UKRAINIAN = "абвгґдеєжзиіїйклмнопрстуфхцчшщьюя'"


def rules(alphabet: str = ENGLISH, **settings) -> TextRules:
    return TextRules(TextSettings(alphabet=alphabet, **settings))


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("Hello,  World!", "hello world"),
        ("well-known \u2014 mostly", "well known mostly"),
        ("don\u2019t", "don't"),
        ("a\tb\nc", "a b c"),
        ("", ""),
        ("?!", ""),
        ("soft\u00adhyphen \u202eturned\u202c", "softhyphen turned"),
    ],
)
def test_english(written, normal):
    assert rules().normalize(written) == normal


def test_ukrainian_apostrophes_are_one():
    same = {rules(UKRAINIAN).normalize(text) for text in ("м'ята", "м\u2019ята", "м\u02bcята")}
    assert same == {"м'ята"}


def test_letters_are_folded_by_a_rule():
    folded = rules("абвгдежзийклмнопрстуфхцчшщъыьэюя", replace={"ё": "е"})
    assert folded.normalize("Ёлка, ещё") == "елка еще"
    assert not folded.removed


def test_a_letter_in_two_unicode_forms_is_one():
    assert rules("ий").normalize("и\u0306") == "й"


def test_longest_replacement_wins_and_is_not_replaced_again():
    given_rules = rules(replace={"a": "b", "ab": "c", "b": "x"})
    assert given_rules.normalize("ab a b") == "c b x"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"replace": {"": "x", "é": "e"}}, 'empty key, ""'),
        ({"replace": {"É": "e"}}, "'É', which no text holds by then: .* make it 'é'"),
        ({"replace": {"é": "e"}, "alphabet": "ABC", "case": "upper"}, "make it 'É'"),
        ({"replace": {"e\u0301": "e"}}, "make it '\u00e9'"),
        ({"replace": {"\ufb01": "fi"}, "normalization": "NFKC"}, "make it 'fi'"),
    ],
)
def test_a_replacement_of_what_no_text_holds_is_refused(settings, message):
    with pytest.raises(ValidationError, match=message):
        rules(**settings)


@pytest.mark.parametrize(
    ("alphabet", "message"),
    [
        ("abca", "'a' more than once"),
        ("e\u0301", "not in Unicode form NFC"),
        (" ", "has no letter"),
        ("ab\n", r"has '\\n': the only white space"),
        ("ab\u00a0", r"has '\\xa0': the only white space"),
        ("abC", "has 'C', which no text will hold"),
    ],
)
def test_an_alphabet_that_no_text_is_in_is_refused(alphabet, message):
    with pytest.raises(ValidationError, match=message):
        rules(alphabet)


def test_a_replacement_may_have_capitals_where_texts_have():
    assert rules("abc", replace={"É": "a"}, case="keep").normalize("É") == "a"
    assert rules("ABC", replace={"É": "A"}, case="upper").normalize("e\u0301") == "A"


def test_what_is_removed_is_counted():
    counting = rules()
    assert counting.normalize("route 66 \u2014 caf\u00e9 6") == "route caf"
    assert counting.normalize("6") == ""
    assert counting.removed == {"6": 4, "\u00e9": 1}


def test_outside_can_be_an_error_that_names_it():
    with pytest.raises(DataError, match=r"'6' \(U\+0036\) in 'route 66'"):
        rules(outside="error").normalize("route 66")


def test_upper_case_and_kept_case():
    assert rules("ABC", case="upper").normalize("aBc") == "ABC"
    assert rules("aB", case="keep").normalize("aBA") == "aB"


@given(st.text())
def test_normal_text_stays_as_it_is_and_within_the_alphabet(text):
    normal = rules().normalize(text)
    assert rules().normalize(normal) == normal
    assert set(normal) <= set(ENGLISH + " ")
    assert normal == " ".join(normal.split())
