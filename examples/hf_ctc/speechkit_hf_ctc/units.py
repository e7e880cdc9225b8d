"""The labels of a checkpoint as units of text."""

from speechkit import Config, DataError, Field, RecipePath, Vocabulary
from speechkit_hf_ctc.checkpoint import read_checkpoint


class HFUnitsConfig(Config):
    """Settings of the units `hf_ctc`."""

    checkpoint: RecipePath = Field(description="a folder as save_pretrained leaves it")


class HFUnits:
    """The checkpoint's labels, as [text] writes them: "A" is "a" where the alphabet has only that.

    What the checkpoint has beside letters (<s>, <unk>) is left out. Label 0 is the blank.
    """

    def __init__(self, config: HFUnitsConfig, *, alphabet: str) -> None:
        _, *labels = read_checkpoint(config.checkpoint).labels
        own = set(labels)
        labels = [_in_case_of(each, alphabet, own) for each in labels]
        self.vocabulary = Vocabulary(("", *labels))
        self._labels = {text: label for label, text in enumerate(self.vocabulary.labels) if label}
        self._longest = max(map(len, self._labels))
        lacking = sorted(set(alphabet) - set("".join(labels)))
        if lacking:
            raise DataError(
                f"{config.checkpoint} has no label for {', '.join(map(repr, lacking))} of the "
                "alphabet",
                hint="take it out of [text] alphabet and say under [text] replace what it becomes; "
                'or train a new head: [units] use = "characters", [model] head = "new"',
            )

    def encode(self, text: str) -> list[int]:
        """Labels of a text to which the text rules were applied, the longest that fit.

        Raises:
            DataError: a piece of the text has no label.
        """
        labels, place = [], 0
        while place < len(text):
            for size in range(self._longest, 0, -1):
                if label := self._labels.get(text[place : place + size]):
                    labels.append(label)
                    place += len(self.vocabulary.labels[label])
                    break
            else:
                raise DataError(
                    f"the checkpoint has no label for {text[place]!r}, which is in {text!r}",
                    hint="say under [text] replace what it becomes",
                )
        return labels


def _in_case_of(label: str, alphabet: str, own: set[str]) -> str:
    """A label as the alphabet writes it, if that changes nothing but its case.

    >>> _in_case_of("A", "abc", {"A", "B"}), _in_case_of("A", "abc", {"A", "a"})
    ('a', 'A')
    """
    if set(label) <= set(alphabet):
        return label
    others = (label.lower(), label.upper())
    return next((each for each in others if set(each) <= set(alphabet) and each not in own), label)
