"""A bundle's scores, counted again from its references and hypotheses."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeAlias

from speechkit.bundle.archive import WEIGHTS, Archive, open_archive
from speechkit.bundle.contents import Contents, decoded_name, read_contents
from speechkit.errors import BundleError
from speechkit.scoring.scores import Lines, Score, rescored

COUNTED = tuple(
    each.name
    for each in fields(Score)
    if each.name not in {"test", "decoder", "seconds", "real_time_factor", "measures"}
)
"""The numbers of a score that follow from texts: all but what the run measured."""

Measures: TypeAlias = Callable[[Mapping[str, Any], Lines], Mapping[str, float]]
"""The table [score] of a recipe, and decoded lines -> the numbers of the protocol it names."""


def usual_alone(settings: Mapping[str, Any], lines: Lines) -> Mapping[str, float]:  # noqa: ARG001
    """No other numbers: what a row has of them is not equal then."""
    return {}


_ROUNDING = 1e-9  # relative: sums in floating point have another order on other machines
_MOST_LETTERS = 50_000_000_000  # of references times hypotheses: some minutes
_MOST_WORDS = 400_000_000  # the same of words, in one utterance of two hours: 2 GB of memory


@dataclass(frozen=True)
class Rescored:
    """A row of scores.json, and the same counted again.

    other  the numbers that are not equal
    """

    stored: Score
    again: Score
    other: Sequence[str]


@dataclass(frozen=True)
class Verified:
    """A bundle, and whether it holds."""

    contents: Contents
    rows: Sequence[Rescored]

    @property
    def holds(self) -> bool:
        """Whether every file is what it was, and every number follows from the texts."""
        return not self.contents.changed and not any(each.other for each in self.rows)


def verify(place: Path, measures: Measures = usual_alone) -> Verified:
    """Read a bundle, and score its texts again: the same protocol, the same seed.

    Args:
        place: of the bundle.
        measures: counts as a protocol beside the usual one does.

    Raises:
        PluginError: its protocol is not installed.
        BundleError: it is none, damaged, or made to do harm.
    """
    with open_archive(place) as archive:
        contents = read_contents(archive)
        if WEIGHTS in archive.sizes:
            _check_weights(archive)
    _check_effort(contents)
    rows, protocol = [], contents.recipe.get("score")
    for stored, known in contents.rows:
        lines = contents.decoded[stored.test, stored.decoder]
        counted: Mapping[str, float] = {}
        if stored.measures and isinstance(protocol, dict):
            counted = measures(protocol, lines)
        again = rescored(stored, lines, counted)
        numbers = stored.row(), again.row()
        other = [
            key
            for key in (*COUNTED, *stored.measures)
            # An earlier version did not count all that there is now.
            if key in known and not _equal(*(each.get(key) for each in numbers))
        ]
        rows.append(Rescored(stored, again, other))
    return Verified(contents, rows)


def _equal(stored: Any, again: Any) -> bool:  # noqa: ANN401 - any value of a score
    if isinstance(stored, float) and isinstance(again, float):
        return math.isclose(stored, again, rel_tol=_ROUNDING, abs_tol=_ROUNDING)
    return bool(stored == again)


def _check_weights(archive: Archive) -> None:
    """Check that the weights are what their name says, and no program that runs when loaded."""
    from safetensors import SafetensorError, deserialize  # noqa: PLC0415 - for weights alone

    try:
        deserialize(archive.read(WEIGHTS))  # type: ignore[no-untyped-call]  # as it is there
    except SafetensorError as error:
        raise BundleError(
            f"{WEIGHTS} is no file of weights: {error}", hint="do not load it with anything"
        ) from None


def _check_effort(contents: Contents) -> None:
    """Refuse texts that would take hours, or all memory, to compare."""
    letters = 0
    for (test, decoder), lines in contents.decoded.items():
        for each in lines:
            said, heard = each["reference"], each["hypothesis"]
            letters += len(said) * len(heard)
            if len(said.split()) * len(heard.split()) > _MOST_WORDS:
                raise BundleError(
                    f"{decoded_name(test, decoder)!r}: {len(said):,} letters beside {len(heard):,} "
                    "are too many to compare"
                )
    if letters > _MOST_LETTERS:
        raise BundleError(
            f"its references and hypotheses are too long to compare: {letters:.1e} pairs of "
            f"letters, and a bundle has {_MOST_LETTERS:.0e} at most"
        )
