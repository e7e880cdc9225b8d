"""`speechkit plugins`: the parts that recipes can ask for, and what is wrong with any."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from speechkit.cli import COMMANDS
from speechkit.cli.context import plugins_of
from speechkit.cli.lazy import plugin_commands
from speechkit.cli.settings_table import settings_of
from speechkit.discovery import ENGINE_SETTINGS, PLUGIN, RECIPE, TRACKER, Offer, Row
from speechkit.errors import PluginError
from speechkit.hookspecs import KINDS
from speechkit.near import near
from speechkit.scaffold import KINDS as SCAFFOLDS

app = typer.Typer(no_args_is_help=True, help="List, show, check and begin plugins.")

COMMAND = "command"  # the kind of a row about a command that a plugin adds
HEADINGS = ("kind", "name", "distribution", "version")
KEYS = (*HEADINGS, "error")  # of a row for scripts

AsJson = Annotated[bool, typer.Option("--json", help="JSON on stdout, for scripts.")]


@app.command("list")
def list_(
    context: typer.Context,
    kind: Annotated[str | None, typer.Option(metavar="KIND", help="Only these.")] = None,
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """List every part by kind and name, and every plugin that does not load, with the cause."""
    kinds = {*KINDS, RECIPE, TRACKER, COMMAND, PLUGIN}
    if kind is not None and kind not in kinds:
        raise PluginError(f"there is no kind of part `{kind}`", hint=near(kind, kinds))
    commands = (
        Row(
            COMMAND,
            each.name,
            each.distribution,
            each.version,
            each.error,
            f"uninstall {each.distribution}, or ask its author for another name",
        )
        for each in plugin_commands(COMMANDS)
    )
    rows = [*plugins_of(context, lenient=True).rows(), *commands]
    # A plugin that does not load may be one of the kind asked for.
    rows = [row for row in rows if kind in {None, row.kind} or row.kind == PLUGIN]
    if as_json:
        shown = [{key: getattr(row, key) for key in KEYS} for row in rows]
        typer.echo(json.dumps(shown, ensure_ascii=False, indent=2))
        return
    whole = [row for row in rows if not row.error]
    broken = [row for row in rows if row.error]
    lines = _aligned([HEADINGS, *(_cells(row) for row in (*whole, *broken))])
    typer.secho(lines[0], bold=True)
    for line in lines[1 : 1 + len(whole)]:
        typer.echo(line)
    for row, line in zip(broken, lines[1 + len(whole) :], strict=True):
        typer.secho(line, fg=typer.colors.RED)
        typer.secho(f"    {row.error}", fg=typer.colors.RED)
        typer.echo(f"    remedy: {row.remedy}")


@app.command()
def show(
    context: typer.Context,
    kind: Annotated[str, typer.Argument(metavar="KIND", help=f"One of: {', '.join(KINDS)}.")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="As in `use = NAME`.")],
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Show the settings of one part: type, default, limits, meaning."""
    offer = plugins_of(context).find(kind, name)
    component = offer.component
    settings = list(settings_of(component.config))
    engine = list(settings_of(ENGINE_SETTINGS[kind])) if kind in ENGINE_SETTINGS else []
    if as_json:
        shown = {
            "kind": kind,
            "name": component.name,
            "distribution": offer.distribution,
            "version": offer.version,
            "plugin": offer.plugin,
            "revision": component.revision,
            "summary": _summary(offer),
            "settings": [asdict(each) for each in settings],
            "engine_settings": [asdict(each) for each in engine],
        }
        typer.echo(json.dumps(shown, ensure_ascii=False, indent=2))
        return
    owner = f"{offer.distribution} {offer.version}".strip()
    typer.secho(f"{kind} {component.name}", bold=True, nl=False)
    typer.echo(f"  {owner}, plugin {offer.plugin}, revision {component.revision}")
    if summary := _summary(offer):
        typer.echo(summary)
    for heading, given in (("settings", settings), ("the engine's keys in its table", engine)):
        if given:
            typer.echo()
            typer.secho(f"{heading}:", bold=True)
            for line in _aligned([each.cells() for each in given]):
                typer.echo(f"  {line}")
    if not settings:
        typer.echo("\nno settings")


@app.command("check")
def check_(
    context: typer.Context,
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="A distribution, an entry point, or KIND:COMPONENT, as model:n2."
        ),
    ],
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A setting of the part: layers=2."),
    ] = None,
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Try what a plugin's parts promise: padding, lengths, seeds, gradients, and more.

    Ends with 1 if a check fails; each failure says what usually causes it.
    """
    from speechkit.cli.check_plugin import check_plugin  # noqa: PLC0415 - torch comes with it

    check_plugin(context, name, overrides=set_ or [], as_json=as_json)


@app.command()
def new(
    context: typer.Context,
    folder: Annotated[
        Path,
        typer.Argument(metavar="NAME", help="A folder to be made; its name is the plugin's."),
    ],
    kind: Annotated[
        str, typer.Option(help=f"What it offers: {', '.join(SCAFFOLDS)}.", metavar="KIND")
    ],
) -> None:
    """Begin a plugin: a package that installs and works at once, with tests and a recipe."""
    from speechkit.cli.new_plugin import new_plugin  # noqa: PLC0415 - torch comes with it

    new_plugin(context, folder, kind)


def _summary(offer: Offer) -> str:
    lines = (getattr(offer.component.build, "__doc__", None) or "").strip().splitlines()
    return lines[0] if lines else ""


def _cells(row: Row) -> tuple[str, ...]:
    return row.kind, row.name, row.distribution, row.version


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Rows as lines, each column as wide as its widest cell: nothing is cut."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
