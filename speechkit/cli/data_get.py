"""`speechkit data get`: a command for each corpus that plugins know where to get."""

from typing import Any

import typer
from typer.core import TyperGroup


class _Corpora(TyperGroup):
    """The corpora are known once the plugins are loaded: not for `--help`, which is instant."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # noqa: ANN401 - typer's
        from speechkit.cli.get_corpus import command_of  # noqa: PLC0415

        return args[0], command_of(ctx, args[0]), args[1:]


get = typer.Typer(
    cls=_Corpora,
    no_args_is_help=True,
    subcommand_metavar="CORPUS [PART]...",
    rich_markup_mode="markdown",
)


@get.callback()
def _get() -> None:
    """Download a public corpus. One that was stopped goes on where it was.

    `speechkit plugins list --kind download` lists the corpora, `speechkit data get CORPUS --help`
    the options of one. What is printed at the end is for a recipe: the tables that read the corpus.
    """
