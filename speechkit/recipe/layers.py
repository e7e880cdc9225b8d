"""A recipe's values with the place each was given at, and how one layer is laid over another.

A recipe has up to three layers: its own tables, the tables of one of its profiles, and what `--set`
says. A value remembers its place, so that what is wrong with it is told of the layer it came from.
"""

import datetime
import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from speechkit.locate import KeyPath
from speechkit.recipe.toml_text import toml_value

_SHOWN = 60  # characters of a value in a message

VARIABLE = re.compile(r"(\$?)\$\{([^{}]*)\}")  # ${NAME}; $${NAME} is the text ${NAME} itself


@dataclass(frozen=True, order=True)
class Place:
    """Where a value was given: `label` names it, `excerpt` shows it.

    layer  0 the recipe, 1 a profile of it, 2 the command line: the order problems are told in
    """

    layer: int
    line: int
    label: str
    excerpt: str = ""


@dataclass(frozen=True)
class Node:
    """A value of a recipe: a table or an array of further nodes, or text, a number, true, false.

    is_unset  what it says is not known, and that is told elsewhere: a text with a variable that the
              environment does not have, or a date
    """

    value: "dict[str, Node] | list[Node] | str | int | float | bool"
    place: Place
    is_unset: bool = False

    @property
    def table(self) -> "dict[str, Node]":
        """The nodes of a table; none where it is no table."""
        return self.value if isinstance(self.value, dict) else {}

    def plain(self) -> Any:  # noqa: ANN401 - a value of TOML
        """The value without its places."""
        if isinstance(self.value, dict):
            return {key: each.plain() for key, each in self.value.items()}
        if isinstance(self.value, list):
            return [each.plain() for each in self.value]
        return self.value

    def shown(self) -> str:
        """The value as TOML writes it, cut where it is long."""
        text = toml_value(self.plain())
        return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."

    def at(self, path: KeyPath) -> "tuple[Node, KeyPath]":
        """The node at `path`, and its path: of `path`'s keys, those that are there."""
        node, found = self, list[str | int]()
        for key in path:
            inner = node._inner(key)
            if inner is not None:
                node = inner
                found.append(key)
        return node, tuple(found)

    def _inner(self, key: str | int) -> "Node | None":
        if isinstance(self.value, dict):
            return self.value.get(str(key))
        if isinstance(self.value, list) and isinstance(key, int) and key < len(self.value):
            return self.value[key]
        return None

    def leaves(self) -> "Iterator[Node]":
        """Every node that is neither a table nor an array."""
        if isinstance(self.value, dict | list):
            inner = self.value.values() if isinstance(self.value, dict) else self.value
            for each in inner:
                yield from each.leaves()
        else:
            yield self

    def map(self, change: "Callable[[Node], Node]") -> "Node":
        """The same tables and arrays with `change` made to every leaf."""
        if isinstance(self.value, dict):
            return replace(self, value={key: each.map(change) for key, each in self.value.items()})
        if isinstance(self.value, list):
            return replace(self, value=[each.map(change) for each in self.value])
        return change(self)


def node_of(value: Any, place: Callable[[KeyPath], Place], path: KeyPath = ()) -> Node:  # noqa: ANN401 - a value of TOML
    """A parsed TOML value as nodes; `place` knows where each path is."""
    if isinstance(value, dict):
        inner = {key: node_of(each, place, (*path, key)) for key, each in value.items()}
        return Node(inner, place(path))
    if isinstance(value, list):
        return Node([node_of(each, place, (*path, i)) for i, each in enumerate(value)], place(path))
    return Node(value, place(path))


def is_date(value: object) -> bool:
    """Whether `value` is one of TOML's dates and times, which no setting is."""
    return isinstance(value, datetime.date | datetime.time)


def names_component(node: Node) -> bool:
    """Whether a table says with `use` which component it is for."""
    return "use" in node.table and not isinstance(node.table["use"].value, dict)


def has_several(node: Node) -> bool:
    """Whether a table names no component itself, and tables in it do."""
    tables = node.table.values()
    return all(isinstance(each.value, dict) for each in tables) and any(
        map(names_component, tables)
    )


def overlay(
    base: Node,
    over: Node,
    engine_keys: Callable[[KeyPath], frozenset[str] | None],
    path: KeyPath = (),
) -> Node:
    """`over` laid on `base`: tables are merged key by key, anything else is replaced.

    engine_keys  for a table that names a component with `use`, the keys that are not the
                 component's; None for any other. Where `over` gives such a table its `use`, or
                 several components in place of one, only these stay of what `base` has there: one
                 component's settings are not another's.
    """
    if isinstance(over.value, dict) and isinstance(base.value, dict):
        merged = dict(base.value)
        own = engine_keys(path)
        several = names_component(base) and has_several(over)
        replaced = (names_component(over) or several) and own is not None
        if replaced:
            merged = {key: each for key, each in merged.items() if key in (own or ())}
        for key, inner in over.value.items():
            before = merged.get(key)
            deeper = (*path, key)
            merged[key] = overlay(before, inner, engine_keys, deeper) if before else inner
        return Node(merged, over.place if replaced else base.place)
    if isinstance(over.value, dict) and isinstance(base.value, list):
        return _overlay_items(base, base.value, over, engine_keys, path)
    return over


def _overlay_items(
    base: Node,
    items: list[Node],
    over: Node,
    engine_keys: Callable[[KeyPath], frozenset[str] | None],
    path: KeyPath,
) -> Node:
    """`augment.0.probability = 1`: keys that are numbers mean the items of an array."""
    if not all(key.isdecimal() and int(key) < len(items) for key in over.table):
        return over
    merged = list(items)
    for key, inner in over.table.items():
        place = int(key)
        merged[place] = overlay(merged[place], inner, engine_keys, (*path, place))
    return replace(base, value=merged)


def parse_override(text: str) -> dict[str, Any]:
    """`KEY=VALUE` of `--set` as nested tables; a value that is not TOML is text.

    >>> parse_override("train.epochs=3"), parse_override("decoder.use=kenlm")
    ({'train': {'epochs': 3}}, {'decoder': {'use': 'kenlm'}})

    Raises:
        ValueError: there is no `=`, or what is before it is not a key.

    """
    key, equals, value = text.partition("=")
    if not equals:
        raise ValueError("is not KEY=VALUE")
    try:
        document = tomllib.loads(f"{key} = 0")
    except tomllib.TOMLDecodeError:
        document = {}
    if not _is_one_key(document):
        raise ValueError(f"`{key}` is not a key, or several with dots between")
    try:
        given = tomllib.loads(f"value = {value}")
    except tomllib.TOMLDecodeError:
        given = {}
    # A date is not a setting's type, and more than one key is not one value: text, both of them.
    one = given["value"] if list(given) == ["value"] else value.strip()
    one = value.strip() if is_date(one) else one
    return _nested(_keys(document), one)


def _keys(document: Mapping[str, Any]) -> list[str]:
    keys: list[str] = []
    inner: object = document
    while isinstance(inner, Mapping):
        key, inner = next(iter(inner.items()))
        keys.append(key)
    return keys


def _is_one_key(document: object) -> bool:
    while isinstance(document, Mapping) and len(document) == 1:
        document = next(iter(document.values()))
    return document == 0


def _nested(keys: list[str], value: object) -> dict[str, Any]:
    for key in reversed(keys):
        value = {key: value}
    assert isinstance(value, dict)
    return value


def expand(node: Node) -> tuple[Node, list[tuple[Node, str]]]:
    """`node` with every `${VARIABLE}` from the environment, and the leaves with the unset ones.

    An unset variable stays as it is written.
    """
    unset: list[tuple[Node, str]] = []

    def change(leaf: Node) -> Node:
        names: list[str] = []

        def text_of(found: re.Match[str]) -> str:
            escape, name = found.groups()
            if escape:
                return found[0][1:]
            if name not in os.environ:
                names.append(name)
            return os.environ.get(name, found[0])

        if not isinstance(leaf.value, str):
            return leaf
        text = VARIABLE.sub(text_of, leaf.value)
        unset.extend((leaf, name) for name in names)
        return replace(leaf, value=text, is_unset=leaf.is_unset or bool(names))

    return node.map(change), unset
