"""A share of a corpus: parts that have no speaker in common, where its authors made none.

Every speaker (of a corpus with one speaker: every chapter) has a place from 0 to 1, a hash of the
name, and a share takes those in its range. Ranges that do not overlap share no speaker; and as a
place depends on the name alone, nobody changes sides when recordings are added, or on another
machine. The range counts names, not hours: of few speakers, a tenth may hold far from a tenth of
the speech.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import AfterValidator

from speechkit import DataError

WHOLE = (0.0, 1.0)
BY_UTTERANCE = 'name its column: speaker_column = ...; or share_by = "utterance"'

Item = TypeVar("Item")


def _a_range(share: tuple[float, float]) -> tuple[float, float]:
    if not 0 <= share[0] < share[1] <= 1:
        raise ValueError(
            f"[{share[0]:g}, {share[1]:g}] is no range from 0 to 1: the smaller number first"
        )
    return share


Share = Annotated[tuple[float, float], AfterValidator(_a_range)]


def place(name: str) -> float:
    """Where a name stands, from 0 to below 1: spread evenly over names, and always the same.

    >>> place("1034") == place("1034"), 0 <= place("anna") < 1
    (True, True)
    """
    # 48 bits: a float holds them exactly, so that none is rounded up to 1.
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:6]) / 2**48


def in_share(
    items: Mapping[Item, str], share: tuple[float, float], *, what: str, where: Path
) -> list[Item]:
    """Those of the items whose name, the value, stands in the range.

    Args:
        items: each with the name that decides: the speaker's, or the chapter's.
        share: from the first number to below the second.
        what: what the names are, for messages.
        where: the corpus, for messages.

    Raises:
        DataError: there are names, and none of them is in the range.
    """
    start, end = share
    chosen = [item for item, name in items.items() if start <= place(name) < end]
    if items and not chosen:
        names = set(items.values())
        nearest = min(names, key=lambda name: abs(place(name) - (start + end) / 2))
        raise DataError(
            f"{where}: share = [{start:g}, {end:g}] holds none of the {len(names)} {what}",
            hint=f"widen it; the nearest, {nearest!r}, stands at {place(nearest):.3f}",
        )
    return chosen


def no_speaker(where: str) -> str:
    """For messages: a share by speaker of something whose speakers are not known."""
    return f"{where}: no speaker, and a share is of speakers"
