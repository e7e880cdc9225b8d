"""`speechkit tune`."""

from pathlib import Path
from typing import Annotated

import typer


def tune(
    context: typer.Context,
    target: Annotated[
        str,
        typer.Argument(
            metavar="RUN_OR_RECIPE", help="A run's folder or name, or a recipe whose run is there."
        ),
    ],
    profile: Annotated[
        str | None, typer.Option(help="Apply [profiles.NAME] of the recipe.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override a key: decoder.beam.beam=64."),
    ] = None,
    run_name: Annotated[
        str | None,
        typer.Option("--run", metavar="NAME", help="Name the recipe's run; else the usual name."),
    ] = None,
    decoder: Annotated[
        str | None, typer.Option(metavar="NAME", help="Tune this one; else the recipe's.")
    ] = None,
    utterances: Annotated[
        int | None, typer.Option(min=1, help="Decode so many for each setting, at most.")
    ] = None,
    settings: Annotated[int | None, typer.Option(min=1, help="Try so many, at most.")] = None,
    minutes: Annotated[
        float | None, typer.Option(min=0.01, help="Take so long, at most, about.")
    ] = None,
) -> None:
    """Search a decoder's weights again, on the validation part of a run; train nothing.

    The run's next `speechkit run` decodes with what was found.
    """
    from speechkit.cli.tune_run import search  # noqa: PLC0415 - torch comes with it

    search(
        context,
        target,
        profile=profile,
        overrides=[*(set_ or []), *([f"decoder.use={decoder}"] if decoder else [])],
        run_name=run_name,
        asked={"utterances": utterances, "settings": settings, "minutes": minutes},
        root=Path("runs"),
    )
