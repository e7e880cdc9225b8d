"""The settings of a component or of the engine, as a reader of recipes knows them."""

import typing
from collections.abc import Iterator
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union

from pydantic_core import to_jsonable_python

from speechkit.component import Config
from speechkit.recipe.toml_text import toml_value


@dataclass(frozen=True)
class Setting:
    """A key of a table.

    default  None, too, where it is required
    """

    name: str
    type: str
    required: bool
    default: Any
    constraints: str
    description: str

    def cells(self) -> tuple[str, ...]:
        """Name, type, default, limits and meaning, each as text."""
        if self.required:
            default = "required"
        else:
            default = "none" if self.default is None else toml_value(self.default)
        return self.name, self.type, default, self.constraints, self.description


def settings_of(config: type[Config]) -> Iterator[Setting]:
    """The keys that a table with these settings takes."""
    for name, field in config.model_fields.items():
        default = None
        if not field.is_required():
            default = to_jsonable_python(
                field.get_default(call_default_factory=True, validated_data={}), fallback=str
            )
        limits = ", ".join(limit for each in field.metadata for limit in _limits(each))
        yield Setting(
            name=name,
            type=_type(field.annotation),
            required=field.is_required(),
            default=default,
            constraints=limits,
            description=field.description or "",
        )


_SIGNS = {
    "gt": "> {}",
    "ge": ">= {}",
    "lt": "< {}",
    "le": "<= {}",
    "multiple_of": "a multiple of {}",
    "min_length": "at least {} long",
    "max_length": "at most {} long",
    "pattern": "matches {}",
}


def _limits(metadata: object) -> Iterator[str]:
    for name, text in _SIGNS.items():
        limit = getattr(metadata, name, None)
        if limit is not None:
            yield text.format(limit)


def _type(annotation: Any) -> str:  # noqa: ANN401 - any type
    """A type as a reader of recipes knows it.

    >>> _type(tuple[int, float]), _type(str | None), _type(Literal["a", "b"])
    ('tuple[int, float]', 'str or none', '"a" or "b"')
    """
    arguments = typing.get_args(annotation)
    origin = typing.get_origin(annotation)
    if origin is Annotated:
        return _type(arguments[0])
    if origin is Literal:
        return " or ".join(map(toml_value, arguments))
    if origin in {Union, UnionType}:
        return " or ".join(map(_type, arguments))
    if arguments:
        return f"{origin.__name__}[{', '.join(map(_type, arguments))}]"
    special = {NoneType: "none", Ellipsis: "..."}
    return special.get(annotation) or str(getattr(annotation, "__name__", annotation))
