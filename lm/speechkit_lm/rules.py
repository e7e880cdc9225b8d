"""The engine's text rules, for texts given on the command line.

The only place where this package uses the engine: in a run the lines come already normalised.
"""

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer
from pydantic import ValidationError

from speechkit import RecipeError
from speechkit.cli.context import plugins_of
from speechkit.component import findings
from speechkit.data.text import PluginRule, TextRules
from speechkit.discovery import Plugins
from speechkit.recipe import find_recipe
from speechkit.settings import TextSettings


def rules_of(
    context: typer.Context, *, recipe: str | None, alphabet: str | None
) -> Callable[[str], str]:
    """What normalises a line: by [text] of a recipe, or the default rules with an alphabet.

    A recipe's profiles are not looked at. `context` says which plugins there are.

    Raises:
        RecipeError: the recipe has no rules that could be read.
    """
    where = "--alphabet"
    try:
        if recipe is None:
            return TextRules(TextSettings.model_validate({"alphabet": alphabet})).normalize
        plugins = plugins_of(context)
        file = find_recipe(recipe, plugins)
        where = f"{file}, [text]"
        settings = tomllib.loads(file.read_text(encoding="utf-8")).get("text", {})
        own = [_rule(each, file, plugins) for each in settings.pop("rules", [])]
        return TextRules(TextSettings.model_validate(settings), own).normalize
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(
            f"{where}: {error}", hint="`speechkit recipe check` tells more"
        ) from error
    except ValidationError as error:
        raise RecipeError(
            f"{where}: {'; '.join(findings(error))}", hint="`speechkit recipe check` tells more"
        ) from error


def _rule(named: str | dict[str, Any], file: Path, plugins: Plugins) -> PluginRule:
    """A rule of a plugin: its name, or a table with its settings beside it."""
    settings = {"use": named} if isinstance(named, str) else dict(named)
    offer = plugins.find("text_rule", settings.pop("use", ""))
    config = offer.component.config.model_validate_json(
        json.dumps(settings), context={"folder": file.parent.absolute()}
    )
    who = f"the text rule `{offer.component.name}` of {offer.distribution}"
    return PluginRule(who, offer.component.build(config))
