"""`speechkit audit`."""

from typing import Annotated

import typer


def audit(
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
        bool, typer.Option("--json", help="All that was found, as one JSON object.")
    ] = False,
    strict: Annotated[  # noqa: FBT002 - as above
        bool, typer.Option("--strict", help="Exit with 1 if a finding is an error.")
    ] = False,
    ignore: Annotated[
        list[str] | None,
        typer.Option(metavar="KIND", help="Leave out findings of a kind: shared-texts."),
    ] = None,
) -> None:
    """Look for what RECIPE's tests share with its training and LM text, and for what is odd.

    Speakers, recordings, sentences and word 6-grams in common; labels that do not fit their frames,
    characters lost, texts cut off, duplicates, silence, clipping, odd lengths. Nothing is changed.
    """
    from speechkit.cli.audit_recipe import audit_recipe  # noqa: PLC0415 - torch comes with it

    audit_recipe(
        context,
        recipe,
        profile=profile,
        overrides=set_ or [],
        as_json=as_json,
        strict=strict,
        ignored=ignore or [],
    )
