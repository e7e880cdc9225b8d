"""What is wrong with a recipe's values: pydantic's findings, placed, and in a user's words."""

import inspect
import json
import re
import typing
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from speechkit.component import Config
from speechkit.locate import KeyPath
from speechkit.near import near, near_names
from speechkit.recipe.layers import Node, Place

C = TypeVar("C", bound=Config)

_PREFIX = re.compile(r"(Value error, |Assertion failed, |[A-Z]\w+ (?=should |is ))")
_WORDS = {"valid array": "list", "an object": "a table", "valid dictionary": "table"}


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a recipe, and where.

    is_gap   something is not there, which another layer may yet give
    is_open  the value has a variable that is not set: nobody can say whether it is wrong
    """

    place: Place
    message: str
    hint: str = ""
    is_gap: bool = False
    is_open: bool = False

    def __str__(self) -> str:
        """`place: message`, the line itself, and the hint."""
        shown = f"{self.place.label}: {self.message}"
        shown += f"\n{self.place.excerpt}" if self.place.excerpt else ""
        return f"{shown}\n hint | {self.hint}" if self.hint else shown


def dotted(path: KeyPath) -> str:
    """A path as people write it.

    >>> dotted(("augment", 0, "snr_db"))
    'augment[0].snr_db'
    """
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path).lstrip(".")


def validated(
    config: type[C],
    node: Node,
    path: KeyPath,
    *,
    folder: Path,
    who: str = "",
    also_known: Collection[str] = (),
) -> C | list[Problem]:
    """The settings in the table `node`, or everything that is wrong with them.

    path        of `node` in the recipe
    folder      what relative paths are relative to
    who         needs these settings: for messages
    also_known  keys of the table that are not of `config`
    """
    try:
        # As JSON, in which strict pydantic takes text for a path and a list for a tuple,
        # as TOML means them, and still no text for a number.
        text = json.dumps(node.plain())
        return config.model_validate_json(text, context={"folder": folder})
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=True)
        return list(_Findings(config, node, path, who, also_known).problems(found))
    except Exception as error:  # whatever a plugin's own checks may raise
        message = f"[{dotted(path)}] could not be checked: {type(error).__name__}: {error}"
        return [Problem(node.place, message, f"a defect of {who or config.__name__}, not yours")]


def strangers(
    node: Node,
    path: KeyPath,
    known: Collection[str],
    keys: Collection[str] | None = None,
    *,
    also_near: Collection[str] = (),
) -> Iterator[Problem]:
    """The `keys` of the table `node` (all of them, if None) that are not `known`."""
    where = f"[{dotted(path)}]" if path else "a recipe"
    for key in node.table if keys is None else keys:
        if key not in known:
            hint = near(key, {*known, *also_near})
            yield Problem(node.table[key].place, f"{where} has no `{key}`", hint)


def not_a_table(node: Node, path: KeyPath, hint: str = "") -> Problem:
    """`node`, which should be a table, is none."""
    hint = hint or f"write [{dotted(path)}], and its keys below"
    return Problem(node.place, f"`{dotted(path)}` is {node.shown()}, not a table", hint)


def is_misspelt(name: str, node: Node, known: Collection[str]) -> bool:
    """Whether a stranger in the table `node` is most likely `name`, which then is not missing."""
    return any(near_names(key, known)[:1] == [name] for key in node.table if key not in known)


@dataclass(frozen=True)
class _Findings:
    """Turns what pydantic found in one table into problems."""

    config: type[Config]
    node: Node
    path: KeyPath
    who: str
    also_known: Collection[str]

    def problems(self, found: list[ErrorDetails]) -> Iterator[Problem]:
        wrong: dict[KeyPath, list[ErrorDetails]] = {}  # a value may be wrong for several reasons
        for error in found:
            match error["type"]:
                case "extra_forbidden":
                    yield from self._stranger(error["loc"])
                case "missing":
                    yield from self._missing(error["loc"])
                case _:
                    wrong.setdefault(self._place(error["loc"]), []).append(error)
        for path, errors in wrong.items():
            yield self._wrong(path, errors)

    def _place(self, loc: KeyPath) -> KeyPath:
        """What of `loc` the recipe has: pydantic adds the names of types it tried."""
        _, inner = self.node.at(loc)
        is_default = not inner and loc and loc[0] in self.config.model_fields
        return loc[:1] if is_default else inner

    def _stranger(self, loc: KeyPath) -> Iterator[Problem]:
        table, inner = self.node.at(loc[:-1])
        yield from strangers(table, self.path + inner, self._known(loc[:-1]), [str(loc[-1])])

    def _missing(self, loc: KeyPath) -> Iterator[Problem]:
        table, inner = self.node.at(loc[:-1])
        if isinstance(loc[-1], int):
            message = f"{dotted(self.path + inner)}: has too few items: {table.shown()}"
            yield Problem(table.place, message)
            return
        key, fields = loc[-1], _fields_at(self.config, loc[:-1])
        if is_misspelt(key, table, self._known(loc[:-1])):
            return
        who = f", which {self.who} needs" if self.who else ""
        message = f"[{dotted(self.path + inner)}] lacks `{key}`{who}"
        meaning = (fields[key].description if key in fields else "") or ""
        yield Problem(table.place, message, f"{key}: {meaning}" if meaning else "", is_gap=True)

    def _wrong(self, path: KeyPath, errors: list[ErrorDetails]) -> Problem:
        node, inner = self.node.at(path)
        said = " or ".join(dict.fromkeys(_said(error) for error in errors))
        if path != inner:
            said += f", and its default is not: a defect of {self.who or self.config.__name__}"
        elif not any(error["type"] in {"value_error", "assertion_error"} for error in errors):
            said += f", not {node.shown()}"
        options = [each for error in errors for each in _options(error)]
        hint = near(str(node.value), options) if isinstance(node.value, str) and options else ""
        is_open = any(leaf.is_unset for leaf in node.leaves())
        return Problem(node.place, f"{dotted(self.path + path)}: {said}", hint, is_open=is_open)

    def _known(self, loc: KeyPath) -> set[str]:
        fields = set(_fields_at(self.config, loc))
        return fields if loc else fields | set(self.also_known)


def _said(error: ErrorDetails) -> str:
    said = error["msg"]
    if prefix := _PREFIX.match(said):
        said = said[prefix.end() :]
    for technical, plain in _WORDS.items():
        said = said.replace(technical, plain)
    return re.sub(r" after validation, not \d+$", "", said)


def _options(error: ErrorDetails) -> list[str]:
    """The values pydantic would have taken, where it names them."""
    if error["type"] not in {"literal_error", "enum"}:
        return []
    return re.findall(r"'([^']*)'", str(error.get("ctx", {}).get("expected", "")))


def _fields_at(config: type[BaseModel], loc: KeyPath) -> dict[str, FieldInfo]:
    """The settings a table within `config` knows."""
    for key in loc:
        if isinstance(key, str) and key in config.model_fields:
            inner = _model_in(config.model_fields[key].annotation)
            if inner is None:
                return {}
            config = inner
    return dict(config.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:  # noqa: ANN401 - any type
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        return annotation
    inner = (_model_in(each) for each in typing.get_args(annotation))
    return next((each for each in inner if each), None)
