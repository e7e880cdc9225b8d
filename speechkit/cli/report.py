"""`speechkit report`."""

from pathlib import Path
from typing import Annotated

import typer


def report(
    context: typer.Context,
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="A run's folder, or its name in runs/.")
    ],
) -> None:
    """Write report.html of RUN again, from what the run left; train and decode nothing."""
    from speechkit.cli.report_run import write_again  # noqa: PLC0415 - torch comes with it

    write_again(context, run, root=Path("runs"))
