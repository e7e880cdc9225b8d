"""Finding out which column of a table is what."""

import difflib
from collections.abc import Sequence

from speechkit import DataError
from speechkit_corpora.settings import CANDIDATES, ColumnConfig


def find_columns(names: Sequence[str], config: ColumnConfig, where: str) -> dict[str, str]:
    """Role -> column, for the roles that a table has.

    >>> find_columns(["file", "audio", "text", "speaker_id"], ColumnConfig(), "a.parquet")
    {'audio': 'audio', 'text': 'text', 'speaker': 'speaker_id'}

    Args:
        names: the table's columns.
        config: the columns that the user named.
        where: the table, for messages.

    Raises:
        DataError: a column that the settings name is absent, or none is known to hold the
            transcripts, or the recordings.
    """
    there = f"the columns are {', '.join(names) or 'none'}"
    lower = {name.lower(): name for name in reversed(names)}
    found: dict[str, str] = {}
    for role, candidates in CANDIDATES.items():
        setting = f"{role}_column"
        named = getattr(config, setting)
        if named is None:
            known = [lower[each] for each in candidates if each in lower]
            found |= {role: known[0]} if known else {}
        elif named in names:
            found[role] = named
        else:
            near = difflib.get_close_matches(named, names, n=1)
            raise DataError(
                f"{where}: {setting} = {named!r}, but {there}",
                hint=f"did you mean {near[0]!r}?" if near else f"give {setting} one of these",
            )
    if "features" in found:
        found.pop("audio", None)
    elif "audio" not in found:
        raise DataError(
            f"{where}: no column is known to hold the recordings; {there}",
            hint='name it: audio_column = "..."; for ready features features_column = "..."',
        )
    if "text" not in found:
        raise DataError(
            f"{where}: no column is known to hold the transcripts; {there}",
            hint='name it: text_column = "..."',
        )
    return found
