"""What `speechkit tune` does, apart from its options, since torch comes with it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

from speechkit.cli.context import plugins_of
from speechkit.cli.run_folder import run_folder
from speechkit.pipeline import Pipeline
from speechkit.recipe import find_recipe, read_recipe
from speechkit.reporter import Reporter


def search(
    context: typer.Context,
    target: str,
    *,
    profile: str | None,
    overrides: Sequence[str],
    run_name: str | None,
    asked: Mapping[str, float | None],
    root: Path,
) -> None:
    """Find the run, search its decoder's weights, print what was found."""
    runs = [place for place in (Path(target), root / target) if (place / "recipe.toml").is_file()]
    whole = profile is None and run_name is None  # a kept recipe has its profile in it
    plugins = plugins_of(context)
    file = runs[0] / "recipe.toml" if runs and whole else find_recipe(target, plugins)
    recipe = read_recipe(file, plugins, profile=profile, overrides=overrides)
    folder = runs[0] if runs and whole else run_folder(recipe, root, run_name)
    given = {name: value for name, value in asked.items() if value is not None}
    found = Pipeline(recipe, plugins, folder, Reporter()).tune(recipe.tune.model_copy(update=given))
    show(found, folder)


def show(found: Mapping[str, Any], folder: Path) -> None:
    """Print the weights and error rates, before and now: data, so on stdout."""
    before, best = found["before"], found["best"]
    table = Table(title=f"{folder}: {found['decoder']}", title_justify="left")
    table.add_column("")
    for heading in ("before", "now", "tried from", "to"):
        table.add_column(heading, justify="right")
    for name, value in best["settings"].items():
        tried = [point["settings"][name] for point in found["points"]]
        shown = (before["settings"][name], value, min(tried), max(tried))
        table.add_row(name, *(f"{each:.3g}" for each in shown))
    for name in ("wer", "cer"):
        tried = [point[name] for point in found["points"]]
        shown = (before[name], best[name], min(tried), max(tried))
        table.add_row(name.upper(), *(f"{each:.4f}" for each in shown))
    console = Console()
    console.print(table)
    place = folder / "tuning" / found["decoder"]
    console.print(
        f"kept: {place}.json, {place}.svg; the next `speechkit run` decodes with these weights",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
