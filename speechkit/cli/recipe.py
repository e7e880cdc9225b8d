"""`speechkit recipe`: check a recipe, or show it whole."""

from typing import TYPE_CHECKING, Annotated

import typer

from speechkit.cli.context import plugins_of

if TYPE_CHECKING:
    from speechkit.recipe import Recipe as RecipeRecord

app = typer.Typer(no_args_is_help=True, help="Check a recipe, or show it with every default.")

Name = Annotated[
    str, typer.Argument(metavar="RECIPE", help="A recipe's file, or the name of one of ours.")
]
Profile = Annotated[
    str | None, typer.Option(metavar="NAME", help="Apply [profiles.NAME] of the recipe.")
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a key: decoder.use=kenlm."),
]


@app.command()
def check(
    context: typer.Context, recipe: Name, profile: Profile = None, set_: Overrides = None
) -> None:
    """Check RECIPE and its profiles without reading any data; tell all that is wrong."""
    read = _read(context, recipe, profile, set_)
    corpora = [each for each in read.choices if each.kind == "corpus"]
    decoders = {each.use for each in (read.decoder, *read.decoders.values())}
    parts = [
        _count(len(corpora), "corpus", "corpora"),
        f"features {read.features.use}",
        _count(len(read.augment), "augmentation"),
        f"model {read.model.use}",
        *([f"language model {read.lm.use}"] if read.lm else []),
        f"decoder {read.decoder.use} of {len(decoders)}",
        _count(len(read.profiles), "profile"),
    ]
    typer.echo(f"{read.file}: OK: {', '.join(parts)}")


@app.command()
def show(
    context: typer.Context, recipe: Name, profile: Profile = None, set_: Overrides = None
) -> None:
    """Print RECIPE as TOML, with every default filled in: what a run's folder keeps."""
    typer.echo(_read(context, recipe, profile, set_).to_toml(), nl=False)


def _read(
    context: typer.Context, recipe: str, profile: str | None, overrides: list[str] | None
) -> "RecipeRecord":
    from speechkit.recipe import find_recipe, read_recipe  # noqa: PLC0415 - `--help` reads none

    plugins = plugins_of(context)
    file = find_recipe(recipe, plugins)
    return read_recipe(file, plugins, profile=profile, overrides=overrides or ())


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number or 'no'} {one if number == 1 else many or one + 's'}"
