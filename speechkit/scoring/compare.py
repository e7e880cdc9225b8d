"""Systems side by side: what differs between them, and whether their scores do."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from speechkit.errors import DataError, RunError
from speechkit.scoring.edits import Edits, align
from speechkit.scoring.mapsswe import MatchedPairs, matched_pairs
from speechkit.scoring.scores import Lines, Score, by_length, edits_of, score, speakers_of
from speechkit.scoring.systems import System
from speechkit.scoring.uncertainty import Difference, paired_difference

_SHOWN = 5  # words, and utterances, named in a list


@dataclass(frozen=True)
class WordChange:
    """A word of the references that two systems recognise unequally well.

    said           how often it stands in the references
    first, second  how often each system has it wrong
    """

    word: str
    said: int
    first: int
    second: int


@dataclass(frozen=True)
class UtteranceChange:
    """An utterance that two systems recognise unequally well, and their errors in it."""

    id: str
    reference: str
    first: str
    second: str
    first_errors: int
    second_errors: int


@dataclass(frozen=True)
class Pair:
    """A system beside the first one, on a test set.

    first, second  their names
    better, worse  of the second, most changed first
    """

    first: str
    second: str
    difference: Difference
    matched_pairs: MatchedPairs
    better_words: Sequence[WordChange]
    worse_words: Sequence[WordChange]
    better_utterances: Sequence[UtteranceChange]
    worse_utterances: Sequence[UtteranceChange]


@dataclass(frozen=True)
class ComparedTest:
    """All systems on one test set.

    left_out  utterances that not every system has decoded
    scores    of each system, on the utterances that all have
    lengths   word errors of each, by length of the reference in words
    pairs     each system but the first, beside the first
    """

    test: str
    utterances: int
    left_out: int
    scores: Sequence[Score]
    lengths: Sequence[Mapping[str, Edits]]
    pairs: Sequence[Pair]


@dataclass(frozen=True)
class Comparison:
    """Systems side by side.

    settings  those that differ: key, and the value of each system, None where it has none
    """

    systems: Sequence[str]
    parameters: Sequence[int | None]
    settings: Mapping[str, Sequence[Any]]
    tests: Sequence[ComparedTest]


def compare(systems: Sequence[System], tests: Sequence[str] = ()) -> Comparison:
    """Compare systems on the test sets that all have, or on `tests` of them.

    Raises:
        RunError: fewer than two systems, or no test set in common.
        DataError: the references differ.
    """
    if len(systems) < 2:
        raise RunError("there is one system, and nothing to compare it with")
    common = [name for name in systems[0].decoded if all(name in each.decoded for each in systems)]
    if missing := sorted(set(tests) - set(common)):
        common_names = ", ".join(common) or "none"
        raise RunError(f"no test {missing[0]} that all have", hint=f"in common: {common_names}")
    if not common:
        have = "\n".join(f"  {each.name}: {', '.join(each.decoded)}" for each in systems)
        raise RunError(f"no test set that all have decoded:\n{have}")
    return Comparison(
        [each.name for each in systems],
        [each.parameters for each in systems],
        differing([each.settings for each in systems]),
        [_on_test(systems, name) for name in tests or common],
    )


def differing(settings: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """The keys whose values are not the same everywhere, with each one's; None where unset."""
    keys = dict.fromkeys(key for each in settings for key in each)
    values = {key: [each.get(key) for each in settings] for key in keys}
    return {key: each for key, each in values.items() if any(one != each[0] for one in each)}


def _on_test(systems: Sequence[System], test: str) -> ComparedTest:
    decoded, left_out = _in_common(systems, test)
    rows = [each.scores[test] for each in systems]
    scores = [_rescored(row, lines) for row, lines in zip(rows, decoded, strict=True)]
    return ComparedTest(
        test,
        len(decoded[0]),
        left_out,
        scores,
        [by_length(lines) for lines in decoded],
        [
            _pair(systems[0].name, each.name, decoded[0], lines)
            for each, lines in zip(systems[1:], decoded[1:], strict=True)
        ],
    )


def _rescored(row: Score, lines: Lines) -> Score:
    """A system's score on these lines; the times are those of the whole test set."""
    seconds, measures = row.seconds, row.measures
    if len(lines) != row.utterances:
        seconds = sum(line.get("seconds", 0.0) for line in lines)
        measures = {}  # of other lines, too
    return score(
        row.test,
        row.decoder,
        lines,
        seconds=seconds,
        decoding_seconds=row.real_time_factor * seconds,
        measures=measures,
    )


def _in_common(systems: Sequence[System], test: str) -> tuple[list[Lines], int]:
    """Each system's lines of the utterances that all have, in one order; how many not all have."""
    by_id = [{line["id"]: line for line in each.decoded[test]} for each in systems]
    ids = [each for each in by_id[0] if all(each in lines for lines in by_id)]
    if not ids:
        raise DataError(f"{test}: no utterance that all systems have decoded")
    for system, lines in zip(systems[1:], by_id[1:], strict=True):
        first = by_id[0]
        other = [each for each in ids if first[each]["reference"] != lines[each]["reference"]]
        if other:
            shown = "\n".join(
                f"  {each}: {first[each]['reference']!r} and {lines[each]['reference']!r}"
                for each in other[:_SHOWN]
            )
            more = f"\n  ... and {len(other) - _SHOWN} more" if len(other) > _SHOWN else ""
            raise DataError(
                f"{test}: {systems[0].name} and {system.name} have other references for "
                f"{len(other)} of {len(ids)} utterances:\n{shown}{more}",
                hint="give both runs the same [text] rules, or compare other tests: --test NAME",
            )
    every = {each for lines in by_id for each in lines}
    return [[lines[each] for each in ids] for lines in by_id], len(every) - len(ids)


def _pair(first: str, second: str, before: Lines, after: Lines) -> Pair:
    edits = edits_of(before), edits_of(after)
    errors, others = ([each.total for each in one] for one in edits)
    words = [each.reference_length for each in edits[0]]
    speakers = [one or other for one, other in zip(*map(speakers_of, (before, after)), strict=True)]
    aligned = [(_aligned(one), _aligned(other)) for one, other in zip(before, after, strict=True)]
    wrong = [
        Counter(said for each in aligned for said, heard in each[place] if said and said != heard)
        for place in (0, 1)
    ]
    said = Counter(word for line in before for word in line["reference"].split())
    changes = [
        WordChange(word, said[word], wrong[0][word], wrong[1][word])
        for word in wrong[0].keys() | wrong[1].keys()
    ]
    utterances = [
        UtteranceChange(
            one["id"], one["reference"], one["hypothesis"], other["hypothesis"], *counts
        )
        for one, other, *counts in zip(before, after, errors, others, strict=True)
    ]
    words_by = sorted(changes, key=lambda one: (one.second - one.first, -one.said, one.word))
    utterances_by = sorted(utterances, key=lambda one: one.second_errors - one.first_errors)
    return Pair(
        first,
        second,
        paired_difference(errors, others, words, speakers),
        matched_pairs(aligned),
        [one for one in words_by[:_SHOWN] if one.second < one.first],
        [one for one in words_by[::-1][:_SHOWN] if one.second > one.first],
        [one for one in utterances_by[:_SHOWN] if one.second_errors < one.first_errors],
        [one for one in utterances_by[::-1][:_SHOWN] if one.second_errors > one.first_errors],
    )


def _aligned(line: Mapping[str, Any]) -> list[tuple[str | None, str | None]]:
    reference, hypothesis = line["reference"].split(), line["hypothesis"].split()
    if reference == hypothesis:  # most are, and aligning takes time
        return list(zip(reference, hypothesis, strict=True))
    return align(reference, hypothesis)
