"""`speechkit data get`."""

from typing import Annotated

import typer


def get(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="CORPUS", help="One that a plugin offers.")],
) -> None:
    """Download a public corpus of speech. One that was stopped goes on where it was."""
    raise NotImplementedError
