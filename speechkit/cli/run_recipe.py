"""What `speechkit run` does, apart from its options, since torch comes with it."""

from collections.abc import Sequence
from pathlib import Path

import typer
from rich.console import Console
from rich.table import Table

from speechkit.cli.context import plugins_of
from speechkit.errors import RunError
from speechkit.pipeline import Pipeline
from speechkit.recipe import find_recipe, read_recipe
from speechkit.reporter import Reporter
from speechkit.scoring.scores import Score


def carry_out(
    context: typer.Context,
    recipe: str,
    *,
    profile: str | None,
    overrides: Sequence[str],
    run_name: str | None,
    force: Sequence[str],
    root: Path,
) -> None:
    """Read the recipe, run its stages, print the scores."""
    if strangers := sorted(set(force) - {"train"}):
        raise RunError(f"--force {strangers[0]}: no such stage", hint="known: train")
    plugins = plugins_of(context)
    read = read_recipe(find_recipe(recipe), plugins, profile=profile, overrides=overrides)
    usual = f"{read.settings.name}-{profile}" if profile else read.settings.name
    name = usual if run_name is None else run_name
    if not name or Path(name).name != name or name in {".", ".."}:
        raise RunError(f"--run {name!r} is no name of a folder", hint="give a name without /")
    folder = root / name
    rows = Pipeline(read, plugins, folder, Reporter(), frozenset(force)).run()
    show(rows, folder)


def show(rows: Sequence[Score], folder: Path) -> None:
    """Print a table of scores: data, so on stdout. `cut` is the share of greedy's WER saved."""
    table = Table(title=f"{folder}", title_justify="left")
    table.add_column("test")
    table.add_column("decoder")
    for heading in ("WER", "cut", "CER", "sub", "del", "ins", "words", "utterances", "x real time"):
        table.add_column(heading, justify="right")
    greedy = {row.test: row.wer for row in rows if row.decoder == "greedy"}
    tests = list(dict.fromkeys(row.test for row in rows))
    for row in sorted(rows, key=lambda row: tests.index(row.test)):
        compared = row.decoder != "greedy" and greedy.get(row.test)
        table.add_row(
            row.test,
            row.decoder,
            f"{row.wer:.4f}",
            f"{1 - row.wer / compared:.0%}" if compared else "",
            f"{row.cer:.4f}",
            *map(str, (row.substitutions, row.deletions, row.insertions)),
            *map(str, (row.words, row.utterances)),
            f"{row.real_time_factor:.5f}",
        )
    console = Console()
    if not console.is_terminal:
        console.width = 120  # a pipe has no width, and rows must not be cut
    console.print(table)
