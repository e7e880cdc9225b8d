"""Every character of the alphabet is a label; label 0 is the blank."""

from speechkit import Config, DataError, Field, Vocabulary


class CharactersConfig(Config):
    """The alphabet is that of the text rules."""

    edges: bool = Field(
        default=False,
        description="a space before and after each transcript, for the model to say where the "
        "silence around speech is; hypotheses have none",
    )


class Characters:
    """Characters as labels, in the order of the alphabet, from 1.

    >>> units = Characters(CharactersConfig(), alphabet="abc ")
    >>> units.encode("a cab")
    [1, 4, 3, 1, 2]
    >>> units.vocabulary.text([1, 4, 3, 1, 2])
    'a cab'
    """

    def __init__(self, config: CharactersConfig, *, alphabet: str) -> None:
        self._edge = " " if config.edges else ""
        self.vocabulary = Vocabulary(("", *alphabet))
        self._labels = {character: label for label, character in enumerate(alphabet, start=1)}

    def encode(self, text: str) -> list[int]:
        """Labels of a text to which the text rules were applied.

        Raises:
            DataError: `text` has a character outside the alphabet.
        """
        edge = self._edge if text else ""
        try:
            return [self._labels[character] for character in edge + text + edge]
        except KeyError:
            foreign = sorted(set(text) - set(self._labels))
            raise DataError(
                f"{', '.join(map(repr, foreign))} outside the alphabet in the text {text!r}",
                hint="add it to [text] alphabet, or say under [text] replace what it becomes",
            ) from None
