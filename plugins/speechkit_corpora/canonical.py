"""A table brought to the columns of `speechkit.Speech`.

Nothing is decoded and no recording is read. A column that already has the right type stays where
it is, on disk; only small ones (ids, speakers) are made anew, in memory. A corpus of ready features
has two columns more, the same in every row, which say what shape its features have:

feature_dim          int32, D: `features` is a (T, D) matrix, frame after frame
frame_shift_seconds  float64, from one frame to the next

The fingerprint of what comes out stands for the content of the files and for the settings: it is
the same in every process and on every machine, and another one when either changes.
"""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import datasets
import pyarrow as pa
import pyarrow.compute as pc

from speechkit import DataError
from speechkit_corpora.columns import find_columns
from speechkit_corpora.settings import ColumnConfig
from speechkit_corpora.share import BY_UTTERANCE, WHOLE, in_share, no_speaker

Column: TypeAlias = str | pa.Array | pa.ChunkedArray
"""A column of the source, by its name there, or one made anew."""

_PASSED = {"start_seconds": pa.float64(), "end_seconds": pa.float64(), "channel": pa.int64()}
_ORDER = (
    *("id", "audio", "features", "text", "speaker", "duration_seconds", *_PASSED),
    *("feature_dim", "frame_shift_seconds"),
)


@dataclass(frozen=True)
class Table:
    """A table as it was read, and where its rows come from.

    dataset  the rows of all files, in order
    files    each file's path and number of rows; relative paths in it start from its folder
    digest   stands for the content of the files
    """

    dataset: datasets.Dataset
    files: tuple[tuple[Path, int], ...]
    digest: str

    @property
    def name(self) -> str:
        """For messages: the file, or the first one and how many more there are."""
        more = len(self.files) - 1
        return f"{self.files[0][0]}" + (f" and {more} more" if more else "")

    def values(self, column: str) -> pa.ChunkedArray:
        """A column's values; where they are on disk, they are read when they are used."""
        return self.dataset.data.column(column)

    def head(self, rows: int) -> "Table":
        """The first `rows` rows."""
        left = min(rows, len(self.dataset))
        kept = self.dataset.select(range(left))
        files: list[tuple[Path, int]] = []
        for path, size in self.files:
            files.append((path, min(size, left)))
            left -= files[-1][1]
        return Table(kept, tuple(each for each in files if each[1]) or self.files[:1], self.digest)

    def origin(self, row: int) -> tuple[Path, int]:
        """The file that a row is in, and its place there; both count from 0."""
        for path, size in self.files:
            if row < size:
                return path, row
            row -= size
        raise IndexError(row)

    def row(self, row: int) -> str:
        """For messages: the file that a row (from 0) is in, and its place there (from 1)."""
        path, place = self.origin(row)
        return f"{path}: row {place + 1}"


def canonical(table: Table, config: ColumnConfig, *, settings: str) -> datasets.Dataset:
    """The table with the columns of `speechkit.Speech`.

    Args:
        table: the rows as read.
        config: which column is what, and how many rows.
        settings: what beside the content decides what comes out, for the fingerprint.

    Raises:
        DataError: no rows, a column that is missing or holds something else, an id that occurs
            twice, an utterance without a recording.
    """
    if config.limit is not None and config.share == WHOLE:
        table = table.head(config.limit)
    if not len(table.dataset):
        raise DataError(f"{table.name}: no rows", hint="a corpus needs at least one utterance")
    found = find_columns(table.dataset.column_names, config, table.name)
    columns: dict[str, Column] = {}
    stamps = [settings, table.digest]
    paths: list[str] = []
    if "features" in found:
        columns |= _features(table, found["features"], config)
    else:
        columns["audio"], paths, sizes = _recordings(table, found["audio"])
        stamps += sizes
    columns["id"] = _ids(table, found["id"]) if "id" in found else _made_ids(table, paths)
    columns["text"] = _strings(table, found["text"], empty="")
    if "speaker" in found:
        columns["speaker"] = _strings(table, found["speaker"])
    measured = {"duration_seconds": found["duration"]} if "duration" in found else {}
    measured |= {each: each for each in _PASSED if each in table.dataset.column_names}
    for role, name in measured.items():
        numbers = _numbers(table, name, _PASSED.get(role, pa.float64()))
        if numbers is not None:
            columns[role] = numbers
    stamp = fingerprint(stamps)
    dataset = _side_by_side(table.dataset, columns, stamp)
    return dataset if config.share == WHOLE else _shared(dataset, config, table.name, stamp)


def _shared(
    dataset: datasets.Dataset, config: ColumnConfig, name: str, stamp: str
) -> datasets.Dataset:
    """The first rows of the share."""
    deciding = "id" if config.share_by == "utterance" else "speaker"
    known = deciding in dataset.column_names
    values: list[Any] = dataset[deciding][:] if known else [None]
    if not all(each is not None and str(each).strip() for each in values):
        raise DataError(no_speaker(name), hint=BY_UTTERANCE)
    rows = in_share(
        dict(enumerate(values)), config.share, what=f"{config.share_by}s", where=Path(name)
    )
    return dataset.select(rows[: config.limit], new_fingerprint=stamp)


def fingerprint(stamps: Iterable[str]) -> str:
    """Sixteen hexadecimal digits that stand for all of `stamps`."""
    return hashlib.sha256(json.dumps(list(stamps)).encode()).hexdigest()[:16]


def _side_by_side(
    source: datasets.Dataset, columns: dict[str, Column], stamp: str
) -> datasets.Dataset:
    kept: dict[str, str] = {}
    made: dict[str, Any] = {}
    for role, column in columns.items():
        if not isinstance(column, str):
            made[role] = column
        elif column in kept:  # one column in two roles, such as a path that is the id, too
            made[role] = source.data.column(column)
        else:
            kept[column] = role
    parts = []
    if kept:
        parts.append(source.select_columns(list(kept)).rename_columns(kept))
    if made:
        parts.append(datasets.Dataset(pa.table(made), fingerprint=stamp))
    dataset = parts[0] if len(parts) == 1 else datasets.concatenate_datasets(parts, axis=1)
    if "audio" in columns:
        dataset = dataset.cast_column("audio", datasets.Audio(decode=False))
    order = [role for role in _ORDER if role in columns]
    return dataset.select_columns(order, new_fingerprint=stamp)


def _strings(table: Table, name: str, *, empty: str | None = None) -> Column:
    """The column as strings; where a value is missing `empty`, if that is not None."""
    values = table.values(name)
    kind = values.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    fill = empty is not None and values.null_count
    if kind == pa.string() == values.type and not fill:
        return name
    if not (pa.types.is_integer(kind) or pa.types.is_null(kind) or _is_string(kind)):
        raise DataError(
            f"{table.name}: column {name!r} holds {kind}, not text",
            hint="name the right column, or leave it out of the settings",
        )
    values = pc.cast(values, pa.string())
    return pc.fill_null(values, empty) if fill else values


def _is_string(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def _numbers(table: Table, name: str, kind: pa.DataType) -> Column | None:
    """The column as numbers, or None where some are missing: they are then measured, all."""
    values = table.values(name)
    if values.null_count:
        return None
    if pa.types.is_floating(values.type) and pa.types.is_floating(kind):
        return name
    try:
        return pc.cast(values, kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        examples = ", ".join(map(repr, values.slice(0, 3).to_pylist()))
        raise DataError(
            f"{table.name}: column {name!r} does not hold numbers: {examples}, ...",
            hint="name the column that does, in seconds",
        ) from None


def _ids(table: Table, name: str) -> Column:
    column = _strings(table, name, empty="")
    ids = (table.values(name) if isinstance(column, str) else column).to_pylist()
    if "" in ids:
        raise DataError(
            f"{table.row(ids.index(''))}: no id in column {name!r}",
            hint="give each utterance an id, or name another column: id_column = ...",
        )
    often = Counter(ids)
    if len(often) < len(ids):
        twice = [each for each, times in often.items() if times > 1]
        first = ids.index(twice[0])
        raise DataError(
            f"{table.row(ids.index(twice[0], first + 1))}: id {twice[0]!r} is also that of "
            f"{table.row(first)}; ids that occur more than once: {len(twice)}",
            hint=f"ids must be unique; is {name!r} the right column? id_column = ...",
        )
    return column


def _made_ids(table: Table, paths: list[str]) -> pa.Array:
    """Ids from the recordings' names where these are unique, else the rows' numbers."""
    whole = [os.path.splitext(path)[0] for path in paths]  # noqa: PTH122 - a path need not be a file's
    for ids in ([path.rsplit("/", 1)[-1] for path in whole], whole):
        if all(ids) and len(set(ids)) == len(table.dataset):
            return pa.array(ids, pa.string())
    return pa.array([f"{row:08d}" for row in range(len(table.dataset))], pa.string())


def _features(table: Table, name: str, config: ColumnConfig) -> dict[str, Column]:
    """The features where they are, and what is known of their shape."""
    values = table.values(name)
    kind = values.type
    lists = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    if not any(test(kind) for test in lists) or not (
        pa.types.is_floating(kind.value_type) or pa.types.is_integer(kind.value_type)
    ):
        raise DataError(
            f"{table.name}: column {name!r} holds {kind}, not lists of numbers",
            hint="features are the (T, D) matrix as one flat list, frame after frame",
        )
    lengths = pc.list_value_length(values).to_pylist()
    dim = config.feature_dim
    assert dim is not None  # the settings see to it
    for row, length in enumerate(lengths):
        if length is None or length % dim:
            raise DataError(
                f"{table.row(row)}: {length or 0} numbers in column {name!r} are no whole number "
                f"of frames of feature_dim = {dim}",
                hint="give feature_dim the number of features a frame",
            )
    shift = config.frame_shift_seconds
    rows = len(lengths)
    return {
        "features": name,
        "duration_seconds": pa.array([length // dim * shift for length in lengths], pa.float64()),
        "feature_dim": pa.repeat(pa.scalar(dim, pa.int32()), rows),
        "frame_shift_seconds": pa.repeat(pa.scalar(shift, pa.float64()), rows),
    }


def _recordings(table: Table, name: str) -> tuple[Column, list[str], list[str]]:
    """The column as {"bytes", "path"}, each row's path as written, and the sizes of files named.

    Where the bytes are in the table the column stays as it is. Otherwise a path is made absolute,
    and its file must be there.
    """
    values = table.values(name)
    kind = values.type
    if pa.types.is_struct(kind) and {"bytes", "path"} <= {field.name for field in kind}:
        contents, paths = (pc.struct_field(values, each) for each in ("bytes", "path"))
    elif pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        contents, paths = values, pa.nulls(len(values), pa.string())
    elif _is_string(kind) or pa.types.is_null(kind):
        contents, paths = pa.nulls(len(values), pa.binary()), values
    else:
        raise DataError(
            f"{table.name}: column {name!r} holds {kind}, not recordings",
            hint="a recording is the bytes of an audio file, {bytes, path}, or a path",
        )
    written = [path or "" for path in paths.to_pylist()]
    inside = [bool(size) for size in pc.binary_length(contents).to_pylist()]
    if all(inside):
        return name, written, []
    places, sizes = _locate(table, name, written, inside)
    contents, found = (_one_chunk(each) for each in (contents, pa.array(places, pa.string())))
    return pa.StructArray.from_arrays([contents, found], ["bytes", "path"]), written, sizes


def _one_chunk(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values


def _locate(
    table: Table, name: str, written: list[str], inside: list[bool]
) -> tuple[list[str], list[str]]:
    """Absolute paths of recordings outside the table, and a stamp of each: name, size, time."""
    places: list[str] = []
    stamps: list[str] = []
    missing: list[str] = []
    for row, path in enumerate(written):
        places.append(path)
        if inside[row]:
            continue
        if not path.strip():
            raise DataError(
                f"{table.row(row)}: no recording in column {name!r}",
                hint="leave the row out, or give it the path of an audio file",
            )
        places[row] = os.path.normpath(table.origin(row)[0].parent / Path(path).expanduser())
        try:
            status = Path(places[row]).stat()
            stamps.append(f"{path}\n{status.st_size}\n{status.st_mtime_ns}")
        except OSError:
            missing.append(f"{table.row(row)}: no file {places[row]}")
    if missing:
        more = f" ({len(missing)} of {len(written)} recordings are not there)"
        raise DataError(
            missing[0] + more, hint="paths are relative to the folder of the file they are in"
        )
    return places, stamps
