"""What `speechkit bundle` does, apart from its options."""

from pathlib import Path

import typer

from speechkit.bundle import write_bundle
from speechkit.cli.measures import measures_of
from speechkit.errors import RunError
from speechkit.reporter import Reporter
from speechkit.runs import RunFolder
from speechkit.scoring.systems import find_run


def bundle_run(
    context: typer.Context, given: str, output: Path | None, *, weights: bool, root: Path
) -> None:
    """Write the bundle, say what is in it, and print its place: data, so on stdout.

    Raises:
        RunError: there is no such run, it has no scores, or they do not hold.
    """
    folder = find_run(given, root)
    place = output or Path(f"{folder.resolve().name}.bundle.zip")
    if place.is_dir():
        raise RunError(f"--output {place} is a folder", hint="name a file")
    with RunFolder(folder).locked():
        found = write_bundle(folder, place, measures_of(context), weights=weights)
    reporter, contents = Reporter(), found.contents
    reporter.say(
        f"{contents.name}: {len(contents.sizes)} files, {place.stat().st_size / 1e6:.1f} MB; its "
        f"scores, counted again, are equal\nsum {contents.sum}: publish it beside the numbers"
    )
    typer.echo(place)
