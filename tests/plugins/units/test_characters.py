import pytest
from hypothesis import given
from hypothesis import strategies as st

import speechkit_units
from speechkit import DataError
from speechkit_units.characters import Characters, CharactersConfig

ALPHABET = "абвгдеёжзийклмнопрстуфхцчшщъыьэюя "


def characters(alphabet: str = ALPHABET) -> Characters:
    return Characters(CharactersConfig(), alphabet=alphabet)


@given(st.text(ALPHABET.strip(), min_size=1), st.text(ALPHABET.strip(), min_size=1))
def test_labels_read_back_as_the_text(first: str, second: str) -> None:
    units = characters()
    assert units.vocabulary.text(units.encode(f"{first} {second}")) == f"{first} {second}"


def test_the_alphabet_is_numbered_from_one_after_the_blank() -> None:
    units = characters("ba ")
    assert units.vocabulary.labels == ("", "b", "a", " ")
    assert units.encode("ab b") == [2, 1, 3, 1]
    assert units.encode("") == []


def test_edges_are_spaces_that_no_text_has() -> None:
    units = Characters(CharactersConfig(edges=True), alphabet="ba ")
    assert units.encode("ab b") == [3, 2, 1, 3, 1, 3]
    assert units.vocabulary.text(units.encode("ab b")) == "ab b"
    assert units.encode("") == []


def test_a_foreign_character_is_named_with_its_text() -> None:
    with pytest.raises(DataError, match="'1', 'q' outside the alphabet in the text 'мир q1'") as it:
        characters().encode("мир q1")
    assert "alphabet" in it.value.hint


def test_the_plugin_offers_characters() -> None:
    [component] = speechkit_units.speechkit_units()
    built = component.build(component.config(), alphabet="ab ")
    assert (component.name, len(built.vocabulary)) == ("characters", 4)
