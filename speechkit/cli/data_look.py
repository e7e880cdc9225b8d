"""`speechkit data look`."""

from typing import Annotated

import typer


def look(
    context: typer.Context,
    recipe: Annotated[
        str, typer.Argument(metavar="RECIPE", help="A recipe's file, or the name of one of ours.")
    ],
    profile: Annotated[
        str | None, typer.Option(metavar="NAME", help="Apply [profiles.NAME] of the recipe.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override a key: corpus.train.limit=100."),
    ] = None,
    as_json: Annotated[  # noqa: FBT002 - an option of a command, given by name
        bool, typer.Option("--json", help="All that was measured, as one JSON object.")
    ] = False,
) -> None:
    """Show what the speech of RECIPE holds: hours, words, lengths, letters, and what is odd."""
    from speechkit.cli.look_at_recipe import look_at_recipe  # noqa: PLC0415 - torch comes with it

    look_at_recipe(context, recipe, profile=profile, overrides=set_ or [], as_json=as_json)
