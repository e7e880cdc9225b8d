"""What `speechkit run` does, apart from its options, since torch comes with it."""

from collections.abc import Sequence
from pathlib import Path

import typer
from rich.console import Console
from rich.text import Text

from speechkit.cli.context import plugins_of
from speechkit.cli.run_folder import run_folder
from speechkit.cli.score_tables import score_table, told
from speechkit.errors import RunError
from speechkit.pipeline import Pipeline
from speechkit.recipe import find_recipe, read_recipe
from speechkit.reporter import Reporter
from speechkit.scoring.scores import Score

_WIDE = 100  # columns that the whole table takes


def carry_out(
    context: typer.Context,
    recipe: str,
    *,
    profile: str | None,
    overrides: Sequence[str],
    run_name: str | None,
    force: Sequence[str],
    overfit_one_batch: bool,
    root: Path,
) -> None:
    """Read the recipe, run its stages, print the scores; or only see whether it can learn."""
    if strangers := sorted(set(force) - {"train"}):
        raise RunError(f"--force {strangers[0]}: no such stage", hint="known: train")
    plugins = plugins_of(context)
    read = read_recipe(find_recipe(recipe, plugins), plugins, profile=profile, overrides=overrides)
    folder = run_folder(read, root, run_name)
    pipeline = Pipeline(read, plugins, folder, Reporter(), frozenset(force))
    if overfit_one_batch:
        pipeline.overfit_one_batch()
        return
    rows = pipeline.run()
    if rows:  # none: another process of the run shows them
        show(rows, folder)


def show(rows: Sequence[Score], folder: Path) -> None:
    """Print a table of scores: data, so on stdout."""
    console = Console()
    if not console.is_terminal:
        console.width = 120  # a pipe has no width, and rows must not be cut
    tests = list(dict.fromkeys(row.test for row in rows))
    ordered = sorted(rows, key=lambda row: tests.index(row.test))
    console.print(score_table(ordered, title=f"{folder}", wide=console.width >= _WIDE))
    for line in told(ordered):
        console.print(Text(line, "dim"))
