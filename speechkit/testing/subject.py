"""The part under test: a component with settings, built anew whenever a check asks."""

import inspect
import json
import sys
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from speechkit.component import Component, Config


class Subject:
    """A component with settings.

    Raises:
        pydantic.ValidationError: when `config` is read: it does not take the settings.
    """

    def __init__(
        self, component: Component[Any], kind: str, settings: Mapping[str, Any] | None = None
    ) -> None:
        self.component = component
        self.kind = kind
        self.settings = dict(settings or {})

    def __str__(self) -> str:
        return f"{self.kind}:{self.component.name}"

    @cached_property
    def config(self) -> Config:
        """Its settings, as a recipe in the working directory would give them."""
        return self.configured()

    def configured(self, **changes: object) -> Config:
        """Its settings, some of them changed; strict as those of a recipe."""
        text = json.dumps(self.settings | changes, default=str)
        return self.component.config.model_validate_json(text, context={"folder": Path.cwd()})

    def takes(self, setting: str) -> bool:
        """Whether it has such a setting."""
        return setting in self.component.config.model_fields

    def build(self, config: Config | None = None, **given: object) -> Any:  # noqa: ANN401 - any part
        """Make the part."""
        return self.component.build(config or self.config, **given)

    @property
    def module(self) -> str:
        """The module that builds it."""
        found = inspect.unwrap(getattr(self.component.build, "func", self.component.build))
        return str(getattr(found, "__module__", ""))

    def owns(self, file: str) -> bool:
        """Whether a source file is of the plugin: of the package or file that builds the part."""
        home = getattr(sys.modules.get(self.module), "__file__", None)
        if home is None:
            return False
        package = "." in self.module or Path(home).name == "__init__.py"
        return Path(file).is_relative_to(Path(home).parent) if package else file == home
