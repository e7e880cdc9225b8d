"""Corpora that are read as one."""

from collections.abc import Iterator, Mapping
from typing import Any

from speechkit.data.files import digest
from speechkit.data.store import fingerprint_of, gives_features
from speechkit.errors import DataError
from speechkit.interfaces import Speech


class Joined:
    """The rows of several corpora, one corpus after the other.

    An id is `NAME/ID`: that of the corpus, and the one it has there. Speakers are called as they
    are: one who stands in two corpora is one. A column that a corpus lacks is not in its rows.

    Args:
        corpora: by name.
        described: of each its component and settings, for data without fingerprint.
        name: what messages call them together.

    Raises:
        DataError: one lacks a column, or some give ready features and others audio.
    """

    def __init__(
        self,
        corpora: Mapping[str, Speech],
        described: Mapping[str, Mapping[str, Any]],
        *,
        name: str,
    ) -> None:
        self._corpora = corpora
        ready = {each: gives_features(corpora[each], f"{name}.{each}") for each in corpora}
        if len(set(ready.values())) > 1:
            features = ", ".join(each for each in ready if ready[each])
            audio = ", ".join(each for each in ready if not ready[each])
            raise DataError(
                f"corpus {name}: {features} gives ready features, {audio} audio",
                hint="they cannot be one: leave one kind out",
            )
        columns = {column for each in corpora.values() for column in each.column_names or ()}
        self.column_names = sorted(columns)
        own = {
            each: fingerprint_of(rows, described[each], sample_rate=0)
            for each, rows in corpora.items()
        }
        self._fingerprint = digest(list(own.items()))

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for name, corpus in self._corpora.items():
            for row in corpus:
                yield {**row, "id": f"{name}/{row['id']}"}
