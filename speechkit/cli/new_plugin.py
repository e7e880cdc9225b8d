"""`speechkit plugins new`: begins a plugin."""

from pathlib import Path

import typer

from speechkit.cli.context import plugins_of
from speechkit.errors import PluginError
from speechkit.scaffold import part_name, write_plugin


def new_plugin(context: typer.Context, folder: Path, kind: str) -> None:
    """Write a plugin into `folder`, and say what to do with it.

    Args:
        context: of the command.
        folder: to be made; its name is the distribution's.
        kind: of the part.

    Raises:
        PluginError: the name is taken, or can be no package's; there is no such kind.
    """
    part = part_name(folder)
    offers = plugins_of(context, lenient=True).all_offers
    if taken := [each for each in offers if (each.kind, each.component.name) == (kind, part)]:
        raise PluginError(
            f"{taken[0].distribution} has a {kind.replace('_', ' ')} `{part}` already",
            hint="choose another name: recipes could not tell the two apart",
        )
    for file in write_plugin(folder, kind):
        typer.echo(file)
    typer.secho("\nnext:", bold=True)
    typer.echo(f"  pip install -e {folder}")
    typer.echo(f"  speechkit plugins check {kind}:{part}")
    typer.echo(f"  speechkit run {folder / 'recipes' / part}.toml")
