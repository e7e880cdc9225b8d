"""`speechkit run`."""

from pathlib import Path
from typing import Annotated

import typer


def run(
    context: typer.Context,
    recipe: Annotated[
        str, typer.Argument(help="A recipe's file, or the name of one speechkit brings along.")
    ] = "quickstart",
    profile: Annotated[
        str | None, typer.Option(help="Apply [profiles.NAME] of the recipe.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override a key: decoder.use=kenlm."),
    ] = None,
    run_name: Annotated[
        str | None,
        typer.Option("--run", metavar="NAME", help="Name the run; else the recipe's name."),
    ] = None,
    force: Annotated[
        list[str] | None,
        typer.Option(metavar="STAGE", help="`train`: train again, throwing the old model away."),
    ] = None,
    overfit_one_batch: Annotated[  # noqa: FBT002 - a flag
        bool,
        typer.Option(
            "--overfit-one-batch",
            help="Only see whether the model can learn one batch by heart; write nothing.",
        ),
    ] = False,
) -> None:
    """Carry out RECIPE: train, decode and score. A run that was stopped goes on where it was."""
    from speechkit.cli.run_recipe import carry_out  # noqa: PLC0415 - torch comes with it

    carry_out(
        context,
        recipe,
        profile=profile,
        overrides=set_ or [],
        run_name=run_name,
        force=force or [],
        overfit_one_batch=overfit_one_batch,
        root=Path("runs"),
    )
