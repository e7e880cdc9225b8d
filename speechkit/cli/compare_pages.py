"""What a comparison says, in words and tables."""

import json
from collections.abc import Iterator, Sequence
from string import ascii_uppercase
from typing import Any

from speechkit.cli.page import Block, Heading, Paragraph, Table
from speechkit.scoring.compare import ComparedTest, Comparison, Pair, UtteranceChange, WordChange
from speechkit.scoring.mapsswe import FEW
from speechkit.scoring.told import interval_shown, interval_told
from speechkit.scoring.uncertainty import Difference

_CHANCE = 0.05  # a difference that chance gives more often is none to speak of
_LONGEST = 60  # characters of a setting


def pages(found: Comparison) -> Iterator[Block]:
    """The whole comparison."""
    names = [_letter(place) for place, _ in enumerate(found.systems)]
    yield Heading("Comparison", 1)
    sizes = [f"{each:,}" if each else "–" for each in found.parameters]
    rows = [list(row) for row in zip(names, found.systems, sizes, strict=True)]
    yield Table(["", "system", "parameters"], rows, texts=2)
    yield Heading("Settings that differ")
    if found.settings:
        settings = [[key, *map(_value, values)] for key, values in found.settings.items()]
        yield Table(["setting", *names], settings, texts=1 + len(names))
    else:
        yield Paragraph("None.")
    for test in found.tests:
        yield from _test(test, names)
    comparisons = sum(len(test.pairs) for test in found.tests)
    if comparisons > 2:
        yield Heading("Many comparisons")
        yield Paragraph(
            f"Of {comparisons} comparisons such as these, chance alone makes about one in 20 look "
            f"like a difference at p = {_CHANCE:g}."
        )


def _test(test: ComparedTest, names: Sequence[str]) -> Iterator[Block]:
    yield Heading(f"Test {test.test}")
    if test.left_out:
        yield Paragraph(
            f"Compared on {test.utterances:,} utterances that all have; {test.left_out:,} others "
            "are left out, as not every system has decoded them."
        )
    headings = ["", "WER", "95 %", "CER", "SER", "sub", "del", "ins", "RTF"]
    rows = [
        [
            name,
            f"{row.wer:.4f}",
            interval_shown(row),
            f"{row.cer:.4f}",
            f"{row.ser:.4f}",
            *map(str, (row.substitutions, row.deletions, row.insertions)),
            f"{row.real_time_factor:.5f}",
        ]
        for name, row in zip(names, test.scores, strict=True)
    ]
    yield Table(headings, rows)
    yield Paragraph(f"{interval_told(test.scores[0])}.")
    for name, pair in zip(names[1:], test.pairs, strict=True):
        yield Paragraph(verdict(pair, names[0], name))
    groups = list(test.lengths[0])
    yield Heading("WER by words in the reference", 3)
    lengths = [
        [group, f"{test.lengths[0][group].reference_length:,}"]
        + [f"{each[group].rate:.4f}" for each in test.lengths]
        for group in groups
    ]
    yield Table(["length", "words", *names], lengths)
    for name, pair in zip(names[1:], test.pairs, strict=True):
        yield from _changes(pair, names[0], name)


def verdict(pair: Pair, first: str, second: str) -> str:
    """The difference and both tests, in words."""
    difference = pair.difference
    if not pair.matched_pairs.segments:
        return f"{first} and {second} recognise every word alike."
    share = f"WER {_moved(difference.difference)}"
    if difference.low is None or difference.high is None:
        between = "; no interval can be given"
    else:
        between = f" (95 %: {difference.low:+.4f} to {difference.high:+.4f}, over "
        between += f"{difference.units})"
    matched = pair.matched_pairs
    few = f", of which {FEW} are the fewest to rely on" if matched.segments < FEW else ""
    return (
        f"{second} beside {first}: {share}{between}. {_in_words(difference)} Matched pairs "
        f"(MAPSSWE): {_p(matched.p)}, z = {matched.z:.2f}, over {matched.segments:,} segments{few}."
    )


def _moved(difference: float) -> str:
    if not difference:
        return "the same"
    return f"{abs(difference):.4f} {'lower' if difference < 0 else 'higher'}"


def _in_words(difference: Difference) -> str:
    if difference.low is None and difference.p == 1:
        if not difference.difference:
            return "Both have as many errors in every utterance."
        return "The utterances are too few, or too much alike, to say whether that is chance."
    verdict = "may be" if difference.p > _CHANCE else "is hardly"
    return (
        f"That {verdict} chance: where two systems are equally good, it gives as much in "
        f"{_often(difference.p)} ({_p(difference.p)})."
    )


def _often(p: float) -> str:
    """`p` as so many of 100 or 1000 test sets.

    >>> _often(0.34), _often(0.004), _often(0.0001)
    ('34 of 100 test sets', '4 of 1000 test sets', 'fewer than 1 of 1000 test sets')
    """
    if p < 0.001:
        return "fewer than 1 of 1000 test sets"
    return f"{p * 100:.0f} of 100 test sets" if p >= 0.01 else f"{p * 1000:.0f} of 1000 test sets"


def _p(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def _changes(pair: Pair, first: str, second: str) -> Iterator[Block]:
    for what, words in (("better", pair.better_words), ("worse", pair.worse_words)):
        if words:
            yield Heading(f"Words {second} has {what} than {first}", 3)
            yield Table(["word", "said", f"wrong in {first}", f"in {second}"], _words(words))
    for what, utterances in (("better", pair.better_utterances), ("worse", pair.worse_utterances)):
        if utterances:
            yield Heading(f"Utterances {second} has {what} than {first}", 3)
            yield Table(["id", "", "text"], list(_utterances(utterances, first, second)), texts=3)


def _words(words: Sequence[WordChange]) -> list[list[str]]:
    return [[each.word, *map(str, (each.said, each.first, each.second))] for each in words]


def _utterances(changes: Sequence[UtteranceChange], first: str, second: str) -> Iterator[list[str]]:
    for each in changes:
        yield [each.id, "reference", each.reference]
        yield ["", f"{first}: {_errors(each.first_errors)}", each.first]
        yield ["", f"{second}: {_errors(each.second_errors)}", each.second]


def _errors(number: int) -> str:
    return f"{number} error" + ("" if number == 1 else "s")


def _letter(place: int) -> str:
    return ascii_uppercase[place] if place < len(ascii_uppercase) else f"S{place + 1}"


def _value(value: Any) -> str:  # noqa: ANN401 - JSON
    if value is None:
        return "–"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
