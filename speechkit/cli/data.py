"""`speechkit data`: speech on this disk. Each command has a module of its own."""

import typer

from speechkit.cli.data_get import get
from speechkit.cli.data_look import look
from speechkit.cli.data_record import record

app = typer.Typer(no_args_is_help=True, help="Download, look at and record speech.")

app.add_typer(get, name="get")
app.command()(look)
app.command()(record)
