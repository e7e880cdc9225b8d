"""Writes TOML, which tomllib only reads: as much of it as a recipe needs."""

import json
import re
from collections.abc import Mapping
from typing import Any

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def toml_key(key: str) -> str:
    """`key` as TOML writes it, in quotes where it must be."""
    return key if _BARE.fullmatch(key) else toml_value(key)


def toml_value(value: Any) -> str:  # noqa: ANN401 - any value TOML knows
    r"""`value` in one line.

    >>> toml_value({"a": [1, 2.5, True], "b c": 'say "hi"'})
    '{ a = [1, 2.5, true], "b c" = "say \\"hi\\"" }'
    """
    match value:
        case str():
            # JSON's escapes are TOML's, but for a character TOML wants escaped and JSON does not.
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case Mapping():
            inner = ", ".join(
                f"{toml_key(key)} = {toml_value(each)}" for key, each in value.items()
            )
            return f"{{ {inner} }}" if inner else "{}"
        case list() | tuple():
            return f"[{', '.join(toml_value(each) for each in value)}]"
        case _:
            raise TypeError(f"TOML has no way to write {value!r}")


def toml_table(header: str, values: Mapping[str, Any]) -> str:
    """A table: its header, such as `[train]`, then a line per key; keys without value left out."""
    given = (
        f"{toml_key(key)} = {toml_value(each)}" for key, each in values.items() if each is not None
    )
    return "\n".join([header, *given]) + "\n"
