"""`speechkit bundle`."""

from pathlib import Path
from typing import Annotated

import typer


def bundle(
    context: typer.Context,
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="A run's folder, or its name in runs/.")
    ],
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where to write it; else RUN.bundle.zip, here."),
    ] = None,
    weights: Annotated[  # noqa: FBT002 - an option of a command, given by name
        bool, typer.Option("--weights", help="Put the trained model in, too.")
    ] = False,
) -> None:
    """Write RUN as one file for others: recipe, versions, fingerprints, texts, scores, audit.

    `speechkit verify` scores it again. The recipe has your paths in it, and the texts are the
    corpus': look at both before you publish them.
    """
    from speechkit.cli.bundle_run import bundle_run  # noqa: PLC0415 - numpy comes with it

    bundle_run(context, run, output, weights=weights, root=Path("runs"))
