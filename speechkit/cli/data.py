"""`speechkit data`: speech on this disk. Each command has a module of its own."""

import typer

from speechkit.cli.data_get import get

app = typer.Typer(no_args_is_help=True, help="Download public speech corpora.")

app.command()(get)
