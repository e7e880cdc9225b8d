"""Every character of the alphabet is a label; label 0 is the blank."""

from speechkit import Config, DataError, Vocabulary


class CharactersConfig(Config):
    """No settings: the alphabet is that of the text rules."""


class Characters:
    """Characters as labels, in the order of the alphabet, from 1.

    >>> units = Characters(CharactersConfig(), alphabet="abc ")
    >>> units.encode("a cab")
    [1, 4, 3, 1, 2]
    >>> units.vocabulary.text([1, 4, 3, 1, 2])
    'a cab'
    """

    def __init__(self, config: CharactersConfig, *, alphabet: str) -> None:  # noqa: ARG002 - every part takes its settings
        self.vocabulary = Vocabulary(("", *alphabet))
        self._labels = {character: label for label, character in enumerate(alphabet, start=1)}

    def encode(self, text: str) -> list[int]:
        """Labels of a text to which the text rules were applied.

        Raises:
            DataError: `text` has a character outside the alphabet.
        """
        try:
            return [self._labels[character] for character in text]
        except KeyError:
            foreign = sorted(set(text) - set(self._labels))
            raise DataError(
                f"{', '.join(map(repr, foreign))} outside the alphabet in the text {text!r}",
                hint="add it to [text] alphabet, or say under [text] replace what it becomes",
            ) from None
