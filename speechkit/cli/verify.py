"""`speechkit verify`."""

from pathlib import Path
from typing import Annotated

import typer


def verify(
    context: typer.Context,
    bundle: Annotated[
        Path, typer.Argument(metavar="BUNDLE", help="What `speechkit bundle` wrote.")
    ],
    as_json: Annotated[  # noqa: FBT002 - an option of a command, given by name
        bool, typer.Option("--json", help="What was found, as one JSON object.")
    ] = False,
) -> None:
    """Show what BUNDLE is of, score its texts again, and say whether its numbers hold.

    Exits with 0 if they do, with 1 if a number or a file is another, and with 2 if it is no
    bundle, damaged, or made to do harm. Nothing in it is unpacked or run.
    """
    from speechkit.cli.verify_bundle import verify_bundle  # noqa: PLC0415 - numpy comes with it

    verify_bundle(context, bundle, as_json=as_json)
