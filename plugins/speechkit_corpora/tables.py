"""Tables of text: JSON, one object a line or one list of objects, and CSV or TSV.

Read by the standard library, not by `datasets`: a wrong line is then named, an id such as `0017`
stays as it is written, and a transcript that reads `null` or `NA` is not taken for a missing one.
"""

import csv
import gzip
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TextIO, cast

import pyarrow as pa

from speechkit import DataError


def read_json(path: Path) -> pa.Table:
    """One object a line, or one list of objects.

    Raises:
        DataError: a line that is no JSON object; not UTF-8.
    """
    with _text(path) as file:
        start = file.read(1024).lstrip()
        file.seek(0)
        if start.startswith("["):
            numbered = enumerate(_json(file.read(), f"{path}"), start=1)
            rows = [(f"{path}: object {number}", each) for number, each in numbered]
        else:
            lines = ((f"{path}:{number}", line) for number, line in enumerate(file, start=1))
            rows = [(where, _json(line, where)) for where, line in lines if line.strip()]
    for where, row in rows:
        if not isinstance(row, dict):
            raise DataError(f"{where}: {type(row).__name__}, not an object", hint=_OBJECTS)
    return _columns([row for _, row in rows])


def read_csv(path: Path) -> pa.Table:
    """A header and a row a line, all strings; `.tsv` is parted by tabs and knows no quotes.

    Quotes: the tables of Common Voice have them in the text, unpaired, and a reader that minds
    them runs several rows into one.

    Raises:
        DataError: a row with more or fewer fields than the header; two columns of one name; parted
            by semicolons; not UTF-8.
    """
    tabs = ".tsv" in path.suffixes
    with _text(path) as file:
        reader = csv.DictReader(
            file,
            delimiter="\t" if tabs else ",",
            quoting=csv.QUOTE_NONE if tabs else csv.QUOTE_MINIMAL,
            strict=True,
        )
        try:
            _check_header(path, list(reader.fieldnames or ()))
            rows = []
            for row in reader:
                if None in row or None in row.values():
                    given = len([each for each in row.values() if each is not None])
                    given += len(row[None]) - 1 if None in row else 0
                    raise DataError(
                        f"{path}:{reader.line_num}: {given} fields, but the header has "
                        f"{len(reader.fieldnames or ())}",
                        hint="a field that holds the separator is put in double quotes",
                    )
                rows.append(row)
        except csv.Error as error:
            raise DataError(
                f"{path}:{reader.line_num}: {error}", hint="is it a CSV file, in UTF-8?"
            ) from None
        return _columns(rows, names=reader.fieldnames or ())


_OBJECTS = 'each line is an object: {"audio": "a.wav", "text": "..."}'


def _check_header(path: Path, names: list[str]) -> None:
    if twice := sorted({each for each in names if names.count(each) > 1}):
        raise DataError(
            f"{path}:1: two columns are called {twice[0]!r}",
            hint="call one otherwise, or take it out",
        )
    if len(names) == 1 and ";" in names[0]:
        raise DataError(
            f"{path}:1: one column, {names[0]!r}: parted by semicolons?",
            hint="a .csv is parted by commas, a .tsv by tabs: save it so",
        )


def _text(path: Path) -> TextIO:
    """The file's text, unpacked where it is packed; a byte order mark is not part of it."""
    if path.suffix == ".gz":
        return cast(TextIO, gzip.open(path, "rt", encoding="utf-8-sig", newline=""))
    return path.open(encoding="utf-8-sig", newline="")


def _json(text: str, where: str) -> Any:  # noqa: ANN401 - JSON holds anything
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(f"{where}: not JSON: {error.msg}", hint=_OBJECTS) from None
    except RecursionError:
        raise DataError(f"{where}: nested too deep", hint=_OBJECTS) from None


def _columns(rows: list[dict[str, Any]], names: Iterable[str] = ()) -> pa.Table:
    """Rows to columns; a key that a row lacks is null there."""
    keys = dict.fromkeys(names)
    for row in rows:
        keys.update(dict.fromkeys(row))
    return pa.table({key: _column([row.get(key) for row in rows]) for key in keys})


def _column(values: list[Any]) -> pa.Array:
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        # Of several types, such as ids of which some look like numbers, or numbers of more than 64
        # bits: as they are written.
        return pa.array(
            [each if each is None or isinstance(each, str) else json.dumps(each) for each in values]
        )
