"""What `speechkit audit` does, apart from its options, since torch comes with it."""

import json
from collections.abc import Sequence

import typer
from rich.console import Console

from speechkit.audit import KINDS, audit
from speechkit.cli.audit_tables import show
from speechkit.cli.context import plugins_of
from speechkit.corpora import Corpora
from speechkit.errors import RecipeError
from speechkit.near import near
from speechkit.recipe import find_recipe, read_recipe
from speechkit.reporter import Reporter

_ERRORS_FOUND = 1  # exit code


def audit_recipe(
    context: typer.Context,
    recipe: str,
    *,
    profile: str | None,
    overrides: Sequence[str],
    as_json: bool,
    strict: bool,
    ignored: Sequence[str],
) -> None:
    """Read the recipe, audit its speech and LM text, print what was found.

    Raises:
        RecipeError: there are no findings of a kind that shall be ignored.
    """
    if strangers := sorted(set(ignored) - KINDS):
        raise RecipeError(
            f"--ignore {strangers[0]}: no such kind of finding", hint=near(strangers[0], KINDS)
        )
    plugins = plugins_of(context)
    read = read_recipe(find_recipe(recipe, plugins), plugins, profile=profile, overrides=overrides)
    reporter = Reporter()
    found = audit(Corpora(read, reporter), reporter, lm_text=read.lm_settings.text)
    found = found.without(ignored)
    if as_json:
        named = {"recipe": read.settings.name, "profile": profile, **found.to_json()}
        typer.echo(json.dumps(named, ensure_ascii=False, indent=2))
    else:
        console = Console(highlight=False)
        if not console.is_terminal:
            console.width = 120  # a pipe has no width
        show(found, read, console)
    if strict and found.of("error"):
        raise typer.Exit(_ERRORS_FOUND)
