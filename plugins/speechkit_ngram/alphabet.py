"""A vocabulary as pyctcdecode has it."""

from pyctcdecode.alphabet import BPE_TOKEN, Alphabet

from speechkit import SpeechkitError, Vocabulary


class _LoneBoundary(str):
    """The word boundary as a label of its own, among word pieces.

    pyctcdecode looks at a label's last character to see whether it closes a word, too, and then
    parts whichever hypothesis comes next. This label opens a word, and no more.
    """

    __slots__ = ()

    def __getitem__(self, key: object) -> str:
        return "" if key == slice(-1, None) else super().__getitem__(key)  # type: ignore[index]


def has_pieces(vocabulary: Vocabulary) -> bool:
    """Whether labels are pieces of words, of which some open a word: `▁the`."""
    boundary = vocabulary.word_boundary
    return any(label.startswith(boundary) and label != boundary for label in vocabulary.labels)


def alphabet_of(vocabulary: Vocabulary) -> Alphabet:
    """The labels, with pyctcdecode's marks for word boundaries.

    Its `build_alphabet` is not asked: it guesses from the labels which is the blank and what
    parts words, and takes `_`, `|`, `[pad]` and `<unk>` for signs.

    Raises:
        SpeechkitError: a label has the word boundary inside.
    """
    boundary, pieces = vocabulary.word_boundary, has_pieces(vocabulary)
    mark = BPE_TOKEN if pieces else " "
    labels = []
    for label in vocabulary.labels:
        written = label.replace(boundary, mark)
        if mark in written[1:] or (mark in written and boundary not in label):
            raise SpeechkitError(
                f"the decoder kenlm cannot read the label {label!r}: a word boundary is at a "
                "label's start, or is a label",
                hint="use the decoder greedy, or other units",
            )
        labels.append(_LoneBoundary(written) if pieces and written == mark else written)
    return Alphabet(labels, pieces)
