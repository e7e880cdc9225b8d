"""The engine's text rules, for texts given on the command line.

The only place where this package uses the engine: in a run the lines come already normalised.
"""

import tomllib
from collections.abc import Callable

from pydantic import ValidationError

from speechkit import RecipeError
from speechkit.data.text import TextRules
from speechkit.recipe import find_recipe
from speechkit.settings import TextSettings


def rules_of(*, recipe: str | None, alphabet: str | None) -> Callable[[str], str]:
    """What normalises a line: by [text] of a recipe, or the default rules with an alphabet.

    A recipe's profiles are not looked at.

    Raises:
        RecipeError: the recipe has no rules that could be read.
    """
    where = "--alphabet"
    try:
        if recipe is None:
            return TextRules(TextSettings.model_validate({"alphabet": alphabet})).normalize
        file = find_recipe(recipe)
        where = f"{file}, [text]"
        settings = tomllib.loads(file.read_text(encoding="utf-8")).get("text", {})
        return TextRules(TextSettings.model_validate(settings)).normalize
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(
            f"{where}: {error}", hint="`speechkit recipe check` tells more"
        ) from error
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()
        )
        raise RecipeError(
            f"{where}: {problems}", hint="`speechkit recipe check` tells more"
        ) from error
