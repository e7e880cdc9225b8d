"""Where each key of a TOML text stands.

tomllib keeps no positions, so the text is parsed again, a statement at a time: a statement is the
shortest run of lines that parses by itself, and what it parses to says which keys it gives.
"""

import tomllib
from collections.abc import Iterator
from typing import Any, TypeAlias

KeyPath: TypeAlias = tuple[str | int, ...]
"""Keys of tables and places in arrays (from 0), from the document's top."""

_CLOSINGS = ("]", "]]", "}]")  # what may be open at the end of a line within an array
_LONG = 100  # lines of one value, past which its items are not looked for


def lines_of(text: str) -> dict[KeyPath, int]:
    r"""The line, from 1, at which each table, key and item of a valid TOML text is first given.

    >>> lines_of("a = 1\n[b]\nc = [\n  2,\n  3]\n[[d]]\n")[("b", "c", 1)]
    5
    >>> lines_of("a = 1\n[b]\n[[d]]\n[[d]]\n")[("d", 1)]
    4
    """
    found: dict[KeyPath, int] = {(): 1}
    sizes: dict[KeyPath, int] = {}  # of arrays of tables
    table: KeyPath = ()
    for line, statement in _statements(text):
        document = tomllib.loads(statement)
        if statement.lstrip().startswith("["):
            table = _opened(document, sizes, is_array=statement.lstrip().startswith("[["))
            for depth in range(1, len(table)):
                found.setdefault(table[:depth], line)
            found[table] = line
        else:
            for path, offset in _given(document, statement).items():
                found.setdefault(table + path, line + offset)
    return found


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """The text's statements, each with the line it begins at."""
    begin, lines = 1, list[str]()
    for number, line in enumerate(text.split("\n"), start=1):
        lines.append(line)
        # A value of several lines ends with one of these: to parse before is time lost.
        if len(lines) == 1 or "]" in line or '"""' in line or "'''" in line:
            statement = "\n".join(lines)
            if _parses(statement):
                yield begin, statement
                begin, lines = number + 1, []


def _parses(text: str) -> bool:
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return False
    return True


def _opened(document: dict[str, Any], sizes: dict[KeyPath, int], *, is_array: bool) -> KeyPath:
    """The table that a header opens; `document` is the header alone, parsed."""
    keys: list[str] = []
    inner: Any = document
    while inner:
        key, inner = next(iter(inner.items()))
        keys.append(key)
        inner = inner[0] if isinstance(inner, list) else inner
    path: KeyPath = ()
    for key in keys[:-1]:
        path += (key,)
        if path in sizes:
            path += (sizes[path] - 1,)
    path += (keys[-1],)
    if is_array:
        sizes[path] = sizes.get(path, 0) + 1
        path += (sizes[path] - 1,)
    return path


def _given(document: dict[str, Any], statement: str) -> dict[KeyPath, int]:
    """The paths a statement gives, with the line of each within it, from 0."""
    found: dict[KeyPath, int] = {}
    lines = statement.split("\n")
    for number in range(1, len(lines)) if len(lines) <= _LONG else ():
        for closing in _CLOSINGS:
            ended = "\n".join([*lines[:number], closing])
            if _parses(ended):
                for path in _paths(tomllib.loads(ended)):
                    found.setdefault(path, number - 1)
    for path in _paths(document):
        found.setdefault(path, 0 if len(lines) > _LONG else len(lines) - 1)
    for path in list(found):
        if all(isinstance(key, str) for key in path):
            found[path] = 0  # keys stand in the first line, whatever their value needs
    return found


def _paths(value: Any, path: KeyPath = ()) -> Iterator[KeyPath]:  # noqa: ANN401 - TOML's values
    if path:
        yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _paths(inner, (*path, key))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from _paths(inner, (*path, place))
