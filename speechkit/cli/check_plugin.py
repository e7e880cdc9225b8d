"""`speechkit plugins check`: the contract kit, run on what a plugin offers."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict

import typer

from speechkit.cli import DEFECT
from speechkit.cli.context import plugins_of
from speechkit.discovery import Offer, Plugins, RecipeFolder, Row, Tracker, plain
from speechkit.errors import PluginError
from speechkit.hookspecs import KINDS
from speechkit.near import near
from speechkit.recipe.layers import parse_override
from speechkit.testing import Result, check, checks_of

_COLOURS = {
    "passed": typer.colors.GREEN,
    "failed": typer.colors.RED,
    "skipped": typer.colors.YELLOW,
}
_PART, _CHECK = 20, 34  # columns
_UNCHECKED = ("download",)  # kinds that have no checks


def check_plugin(
    context: typer.Context, name: str, *, overrides: Sequence[str], as_json: bool
) -> None:
    """Check every part that `name` means, print what was seen, and end with 1 if one failed.

    Args:
        context: of the command.
        name: a distribution, an entry point, a file without its ending, or KIND:COMPONENT.
        overrides: settings, "key=value", of the one part that is meant.
        as_json: print a list of records in place of a table.

    Raises:
        PluginError: nothing is called so; settings are given for more than one part; the one part
            that is meant needs settings.
    """
    plugins = plugins_of(context)
    offers, broken = _meant(plugins, name)
    settings = _settings(overrides)
    if len(offers) > 1 and settings:
        parts = ", ".join(_part(each) for each in offers)
        raise PluginError(f"--set is for one part, {name} means {parts}", hint="name one of them")
    told = _silent if as_json else _print
    results = [_not_loaded(row) for row in broken]
    for result in results:
        told(result)
    for offer in offers:
        results += _checked(offer, settings, told, alone=len(offers) == 1)
    if as_json:
        typer.echo(json.dumps([asdict(each) for each in results], ensure_ascii=False, indent=2))
    else:
        typer.secho(_summary(results), bold=True)
        for row in map(plugins.row, offers):
            if row.error:
                typer.secho(f"warning: {row.error} ({row.remedy})", fg=typer.colors.YELLOW)
    if any(each.outcome == "failed" for each in results):
        raise typer.Exit(DEFECT)


def _settings(overrides: Sequence[str]) -> dict[str, object]:
    settings: dict[str, object] = {}
    for each in overrides:
        try:
            settings |= parse_override(each)
        except ValueError as error:
            raise PluginError(f"--set {each}: {error}", hint="as in --set layers=2") from None
    return settings


def _meant(plugins: Plugins, name: str) -> tuple[list[Offer], list[Row]]:
    """The parts, and what of their plugin did not load, or not without harm to others."""
    kind, _, component = name.partition(":")
    if kind in KINDS and component:
        checks_of(kind)  # which raises where there are none
        return [plugins.find(kind, component)], []
    wanted = plain(name)
    offers = [
        each
        for each in plugins.all_offers
        if wanted in {plain(each.plugin), plain(each.distribution)} and each.kind not in _UNCHECKED
    ]
    broken = [
        each
        for each in (*plugins.broken, *plugins.meddling)
        if wanted in {plain(each.name), plain(each.distribution)}
    ]
    if not offers and not broken:
        loaded: list[Offer | Tracker | RecipeFolder]
        loaded = [*plugins.all_offers, *plugins.trackers, *plugins.recipes]
        owners = {each.plugin for each in loaded} | {each.distribution for each in loaded}
        if wanted in map(plain, owners):
            raise PluginError(f"{name} offers no part of a kind that has checks")
        parts = [each for each in plugins.all_offers if each.component.name == name]
        hint = " or ".join(f"`{_part(each)}`" for each in parts if each.kind not in _UNCHECKED)
        raise PluginError(
            f"no plugin or distribution is called `{name}`",
            hint=f"did you mean {hint}?" if hint else near(name, owners),
        )
    return offers, broken


def _part(offer: Offer) -> str:
    return f"{offer.kind}:{offer.component.name}"


def _checked(
    offer: Offer, settings: dict[str, object], told: Callable[[Result], None], *, alone: bool
) -> list[Result]:
    """The results of one part; without settings that it needs, that it needs them."""
    fields = offer.component.config.model_fields
    lacking = [key for key in fields if fields[key].is_required() and key not in settings]
    if not lacking:
        return check(offer.component, offer.kind, settings=settings, told=told)
    if alone:
        raise PluginError(
            f"{_part(offer)} needs settings: {', '.join(lacking)}",
            hint=f"give them: --set {lacking[0]}=...",
        )
    saw = f"it needs settings: speechkit plugins check {_part(offer)} --set {lacking[0]}=..."
    result = Result(_part(offer), "all", "skipped", "Nothing.", saw, "", 0.0)
    told(result)
    return [result]


def _silent(_: Result) -> None:
    """Say nothing: all is written in the end."""


def _print(result: Result) -> None:
    """A line as the check ends; what failed, with its cause."""
    typer.secho(f"{result.outcome:7}", fg=_COLOURS[result.outcome], nl=False)
    typer.echo(f"  {result.component:{_PART}}  {result.check:{_CHECK}}  ", nl=False)
    typer.echo(f"{result.seconds:5.1f} s  {result.saw}")
    if result.outcome == "failed":
        typer.echo(f"         did: {result.did}")
        typer.echo(f"         usually: {result.cause}")


def _not_loaded(row: Row) -> Result:
    return Result(
        component=f"{row.kind}:{row.name}",
        check="loads",
        outcome="failed",
        did=f"Load the plugin of {row.distribution}.",
        saw=f"{row.name}: {row.error}",
        cause=row.remedy,
        seconds=0.0,
    )


def _summary(results: Sequence[Result]) -> str:
    counts = [
        f"{sum(each.outcome == outcome for each in results)} {outcome}" for outcome in _COLOURS
    ]
    took = sum(each.seconds for each in results)
    return f"{', '.join(counts)}, in {took:.0f} s"
