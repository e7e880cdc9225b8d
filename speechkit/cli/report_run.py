"""What `speechkit report` does, apart from its options, since torch comes with it."""

from pathlib import Path

import typer

from speechkit.cli.context import plugins_of
from speechkit.errors import SpeechkitError
from speechkit.pipeline import Pipeline
from speechkit.recipe import read_recipe
from speechkit.report import write_report
from speechkit.reporter import Reporter
from speechkit.runs import RunFolder
from speechkit.scoring.systems import find_run


def write_again(context: typer.Context, given: str, *, root: Path) -> None:
    """Write the report, and print its place: data, so on stdout.

    A recipe that cannot be read any more (a plugin that is gone, a folder that has moved) is told;
    the report is then written from the run's folder alone.
    """
    folder, reporter, plugins = find_run(given, root), Reporter(), plugins_of(context)
    try:
        recipe = read_recipe(folder / "recipe.toml", plugins)
    except SpeechkitError as error:
        reporter.warn(f"no recordings and emissions in the report: {error}")
        with RunFolder(folder).locked():
            place = write_report(folder)
    else:
        place = Pipeline(recipe, plugins, folder, reporter).report()
    typer.echo(place)
