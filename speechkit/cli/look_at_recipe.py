"""What `speechkit data look` does, apart from its options, since torch comes with it."""

import json
from collections.abc import Sequence
from dataclasses import asdict

import typer
from rich.console import Console

from speechkit.cli.context import plugins_of
from speechkit.cli.look_tables import show
from speechkit.corpora import TRAIN, Corpora, frame_shift_seconds
from speechkit.data.look import Look, look
from speechkit.interfaces import Units
from speechkit.recipe import Recipe, find_recipe, read_recipe
from speechkit.reporter import Reporter


def look_at_recipe(
    context: typer.Context,
    recipe: str,
    *,
    profile: str | None,
    overrides: Sequence[str],
    as_json: bool,
) -> None:
    """Read the recipe, measure every part of its speech, print what was found."""
    plugins = plugins_of(context)
    read = read_recipe(find_recipe(recipe, plugins), plugins, profile=profile, overrides=overrides)
    looks = measured(read, Reporter())
    if as_json:
        found = {
            "recipe": read.settings.name,
            "profile": profile,
            "parts": [asdict(each) for each in looks],
        }
        typer.echo(json.dumps(found, ensure_ascii=False, indent=2))
        return
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 120  # a pipe has no width
    show(looks, read, console)


def measured(recipe: Recipe, reporter: Reporter) -> list[Look]:
    """Measure every part of a recipe's speech."""
    corpora = Corpora(recipe, reporter)
    units: Units = recipe.units.build(alphabet=recipe.text.alphabet)
    shift = frame_shift_seconds(recipe, corpora.extractor, len(units.vocabulary))
    looks = []
    corpora.tell_of_stream()
    for name, corpus in corpora.prepared.items():
        store = corpora.store(name)
        with reporter.progress(f"looking at {name}") as advance:
            found = look(
                store,
                recipe.text,
                units,
                name=name,
                corpus=corpus.use,
                frame_shift_seconds=shift,
                train=recipe.train if name == TRAIN else None,
                own_rules=recipe.own_rules(),
                progress=advance,
            )
        looks.append(found)
    return looks
