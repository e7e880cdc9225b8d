"""Numbers of other protocols, counted again."""

from collections.abc import Mapping
from typing import Any

import typer
from pydantic import ValidationError

from speechkit.bundle import Measures
from speechkit.cli.context import plugins_of
from speechkit.errors import PluginError
from speechkit.scoring.scores import Lines, measured
from speechkit.settings import STANDARD


def measures_of(context: typer.Context) -> Measures:
    """Counts as the protocol does that a table [score] names: one of the installed plugins."""

    def measures(settings: Mapping[str, Any], lines: Lines) -> Mapping[str, float]:
        name = str(settings.get("protocol", STANDARD))
        if name == STANDARD:
            return {}
        component = plugins_of(context).find("score_protocol", name).component
        own = {key: each for key, each in settings.items() if key != "protocol"}
        try:
            config = component.config.model_validate(own)
        except ValidationError as error:
            raise PluginError(f"the score protocol `{name}` has other settings: {error}") from None
        return measured(component.name, component.build(config), lines)

    return measures
