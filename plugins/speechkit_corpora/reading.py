"""Files to one table: finding them, reading each format, and saying which one is broken."""

import contextlib
import glob
import gzip
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import datasets
import datasets.exceptions
import pyarrow as pa
import pyarrow.parquet as pq

from speechkit import DataError
from speechkit_corpora.cache import content_digest
from speechkit_corpora.canonical import Table, fingerprint
from speechkit_corpora.tables import read_csv, read_json

_SUFFIXES = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
    ".csv": "csv",
    ".tsv": "csv",
}
_METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")


def read_tables(paths: Sequence[Path], kind: str) -> Table:
    """The rows of all files, in order.

    Args:
        paths: files, patterns of files, folders.
        kind: the files' format, or "auto".

    Raises:
        DataError: a file that is absent or broken, or files of different kinds.
    """
    files = [file for path in paths for file in _files(path)]
    files = list(dict.fromkeys(files))
    kinds = {file: _kind(file, kind) for file in files}
    first = files[0]
    for file in files:
        if kinds[file] != kinds[first]:
            raise DataError(
                f"{file} is {kinds[file]} and {first} is {kinds[first]}",
                hint="one corpus has files of one format; give several corpora",
            )
    try:
        if kinds[first] == "parquet":
            dataset, rows = _parquet(files)
        else:
            dataset, rows = _text(files, kinds[first])
        digest = fingerprint(content_digest(file) for file in files)
    except OSError as error:
        raise DataError(f"{error.filename or first}: {error.strerror or error}") from None
    return Table(dataset, tuple(zip(files, rows, strict=True)), digest)


@contextlib.contextmanager
def quiet(*, bars: bool = False) -> Iterator[None]:
    """No log lines of `datasets`, and no progress bars: what goes wrong is said by us, once.

    Args:
        bars: leave progress bars as they are.
    """
    hidden = not bars and not datasets.are_progress_bars_disabled()
    level = datasets.logging.get_verbosity()
    datasets.logging.set_verbosity(datasets.logging.CRITICAL)
    if hidden:
        datasets.disable_progress_bars()
    try:
        yield
    finally:
        datasets.logging.set_verbosity(level)
        if hidden:
            datasets.enable_progress_bars()


def _files(path: Path) -> list[Path]:
    """The files that a path stands for."""
    if path.is_file():
        return [path]
    if path.is_dir():
        tables = [path / name for name in _METADATA if (path / name).is_file()]
        if not tables:
            tables = sorted(path.glob("*.parquet"))
        elif len(tables) > 1:
            raise DataError(
                f"{path}: {' and '.join(each.name for each in tables)}",
                hint="keep one, or give the path of the one meant",
            )
        if not tables:
            raise DataError(
                f"{path}: a folder without {', '.join(_METADATA)} and without *.parquet",
                hint="a folder of recordings has a table beside them, with the columns file_name "
                "and text; or give the path of a file",
            )
        return tables
    # A name that holds * itself is found above; what is left can only be a pattern.
    found = sorted(Path(path.anchor).glob(f"{path.relative_to(path.anchor)}"))
    if not found:
        what = "no file fits this pattern" if set("*?[") & set(f"{path}") else "no such file"
        raise DataError(f"{path}: {what}", hint="paths are relative to the recipe's file")
    return [file for each in found for file in _files(each)]


def _kind(path: Path, kind: str) -> str:
    by_name = [_SUFFIXES[each] for each in path.suffixes[-2:] if each in _SUFFIXES]
    if kind in {"auto", "audiofolder"}:
        if not by_name:
            raise DataError(
                f"{path}: no known suffix ({', '.join(_SUFFIXES)})",
                hint='say what it is: format = "parquet", "json" or "csv"',
            )
        return by_name[-1]
    return kind


def _parquet(files: list[Path]) -> tuple[datasets.Dataset, list[int]]:
    """The files as `datasets` keeps them: written once into its cache, from there mapped."""
    rows = []
    names: list[str] = []
    for file in files:
        try:
            with pq.ParquetFile(file) as opened:
                rows.append(opened.metadata.num_rows)
                columns = opened.schema_arrow.names
        except pa.ArrowInvalid:
            raise DataError(
                f"{file}: not a Parquet file, or only a part of one",
                hint="copy it again, or set format if it is of another kind",
            ) from None
        names = names or columns
        if set(columns) != set(names):
            differing = ", ".join(sorted(set(columns) ^ set(names)))
            raise DataError(
                f"{file}: other columns than {files[0]}: {differing}",
                hint="the files of one corpus have the same columns",
            )
    if not sum(rows):
        return datasets.Dataset(pa.table({name: pa.nulls(0) for name in names})), rows
    with quiet():
        try:
            dataset = datasets.load_dataset(
                "parquet", data_files=[glob.escape(f"{file}") for file in files], split="train"
            )
        except (datasets.exceptions.DatasetGenerationError, pa.ArrowException) as error:
            raise _broken(files, error) from None
    return dataset, rows


def _broken(files: list[Path], error: Exception) -> DataError:
    """Which of the files cannot be read."""
    for file in files:
        try:
            with pq.ParquetFile(file) as opened:
                for _ in opened.iter_batches(batch_size=100):
                    pass
        except (OSError, pa.ArrowException):
            return DataError(
                f"{file}: broken inside, though it is a Parquet file", hint="copy it again"
            )
    cause = f"{error.__cause__ or error}".splitlines()[0]
    return DataError(
        f"{files[0]}: not readable as a table: {cause}",
        hint="the files of one corpus have columns of the same types",
    )


def _text(files: list[Path], kind: str) -> tuple[datasets.Dataset, list[int]]:
    tables = []
    for file in files:
        try:
            tables.append((read_json if kind == "json" else read_csv)(file))
        except UnicodeDecodeError as error:
            raise DataError(
                f"{file}: not UTF-8 (byte {error.start} of what was read)", hint="save it as UTF-8"
            ) from None
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise DataError(
                f"{file}: cannot be unpacked: {error}", hint="is it a whole .gz file? Copy it again"
            ) from None
    try:
        table = pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowException as error:
        raise DataError(
            f"{files[0]} and {len(files) - 1} more: columns of different types: {error}"
        ) from None
    return datasets.Dataset(table), [len(each) for each in tables]
