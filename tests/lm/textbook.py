"""A second way to read models: slow, and as a textbook has it."""

import math
from pathlib import Path

DATA = Path(__file__).parent / "data"
Plain = dict[tuple[str, ...], tuple[float, float]]  # n-gram -> log10 probability, back-off weight


def plain_arpa(path: Path) -> Plain:
    """The n-grams of an ARPA file, line by line."""
    found: Plain = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        fields = line.split("\t")
        if len(fields) >= 2:
            weight = float(fields[2]) if len(fields) > 2 else 0.0
            found[tuple(fields[1].split(" "))] = (float(fields[0]), weight)
    return found


def backed_off(model: Plain, words: tuple[str, ...]) -> float:
    """log10 P(last word | words before it) by the definition of a back-off model."""
    if words in model:
        return model[words][0]
    if len(words) == 1:
        return model[("<unk>",)][0]
    return model.get(words[:-1], (0.0, 0.0))[1] + backed_off(model, words[1:])


def whole_history(model: Plain, sentence: str, order: int) -> float:
    """Natural log probability of a sentence, each word after all words before it."""
    known = {words[0] for words in model if len(words) == 1}
    words = ["<s>", *(word if word in known else "<unk>" for word in sentence.split()), "</s>"]
    total = 0.0
    for end in range(2, len(words) + 1):
        total += backed_off(model, tuple(words[max(0, end - order) : end]))
    return total * math.log(10)
