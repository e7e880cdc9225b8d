"""What a plugin offers: a name, the settings it reads, and how to build it from them."""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Generic, TypeVar

import pluggy
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    ValidationError,
    ValidationInfo,
)

Part_co = TypeVar("Part_co", covariant=True)

GROUP = "speechkit"  # of entry points, and pluggy's project name
API_VERSION = 1
"""Of the interface between speechkit and plugins: up when a plugin must change for it to go on.

A plugin says what it was written for, `speechkit_api = 1`; one that says nothing means 1.
"""
hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)

NAME = r"[a-z][a-z0-9_]*"
"""What a component, or a measure of a score protocol, may be called."""


class Config(BaseModel):
    """Settings of one component, read from one table of a recipe.

    Frozen, since a run is described by what its recipe said. Strict and closed, since TOML has
    types of its own and a misspelt key must not pass for a default.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, validate_default=True
    )

    @property
    def is_trained(self) -> bool:
        """Whether a model with these settings comes with its weights, and needs no training.

        A recipe may then do without [corpus.train]: it decodes and scores.
        """
        return False


def findings(error: ValidationError) -> list[str]:
    """What is wrong with settings, each as `key: what`."""
    return [
        ": ".join(filter(None, (".".join(map(str, each["loc"])), _said(each["msg"]))))
        for each in error.errors(include_url=False, include_context=False, include_input=False)
    ]


def _said(message: str) -> str:
    return message.removeprefix("Value error, ")


def absolute(path: Path, info: ValidationInfo) -> Path:
    """`~` is expanded, the rest is relative to the recipe's file."""
    folder = (info.context or {}).get("folder", Path())
    return Path(os.path.normpath(Path(folder) / path.expanduser()))


def _as_text(path: object) -> object:
    return str(path) if isinstance(path, Path) else path  # a default, where others come as JSON


RecipePath = Annotated[
    Path, Strict(strict=False), BeforeValidator(_as_text), AfterValidator(absolute)
]
"""A path in a component's settings: `~` is expanded, the rest is relative to the recipe's file."""


@dataclass(frozen=True)
class Component(Generic[Part_co]):
    """One part a recipe can ask for.

    name      how a recipe asks for it: `use = "n2"`
    config    the keys of its table
    build     makes the part: `build(config, **given)`; the hook says what is given
    revision  goes up when the part's results change, so that runs know what to make anew
    uses      what else of the recipe it can use: "language_model", which is built only then
    """

    name: str
    config: type[Config]
    build: Callable[..., Part_co]
    revision: int = 1
    uses: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if not re.fullmatch(NAME, self.name):
            raise ValueError(
                f"a component's name is lower-case letters, digits and _, not {self.name!r}"
            )


__all__ = [
    "API_VERSION",
    "GROUP",
    "NAME",
    "Component",
    "Config",
    "Field",
    "RecipePath",
    "hookimpl",
    "hookspec",
]
