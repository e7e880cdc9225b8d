"""`speechkit plugins`: the parts that recipes can ask for, and what is wrong with any."""

import json
import typing
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union

import typer
from pydantic_core import to_jsonable_python

from speechkit.cli import COMMANDS
from speechkit.cli.context import plugins_of
from speechkit.cli.lazy import plugin_commands
from speechkit.component import Config
from speechkit.discovery import ENGINE_SETTINGS, PLUGIN, RECIPE, TRACKER, Offer, Row
from speechkit.errors import PluginError
from speechkit.hookspecs import KINDS
from speechkit.near import near
from speechkit.recipe.toml_text import toml_value

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
    settings = list(_settings(component.config))
    engine = list(_settings(ENGINE_SETTINGS[kind])) if kind in ENGINE_SETTINGS else []
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
        str, typer.Option(help="What it offers: model, features, decoder, ...", metavar="KIND")
    ],
) -> None:
    """Begin a plugin: a package that installs and works at once, with tests and a recipe."""
    from speechkit.cli.new_plugin import new_plugin  # noqa: PLC0415 - torch comes with it

    new_plugin(context, folder, kind)


@dataclass(frozen=True)
class _Setting:
    """A key of a component's table."""

    name: str
    type: str
    required: bool
    default: Any
    constraints: str
    description: str

    def cells(self) -> tuple[str, ...]:
        if self.required:
            default = "required"
        else:
            default = "none" if self.default is None else toml_value(self.default)
        return self.name, self.type, default, self.constraints, self.description


def _settings(config: type[Config]) -> Iterator[_Setting]:
    for name, field in config.model_fields.items():
        default = None
        if not field.is_required():
            default = to_jsonable_python(
                field.get_default(call_default_factory=True, validated_data={}), fallback=str
            )
        limits = ", ".join(limit for each in field.metadata for limit in _limits(each))
        yield _Setting(
            name=name,
            type=_type(field.annotation),
            required=field.is_required(),
            default=default,
            constraints=limits,
            description=field.description or "",
        )


_SIGNS = {
    "gt": "> {}",
    "ge": ">= {}",
    "lt": "< {}",
    "le": "<= {}",
    "multiple_of": "a multiple of {}",
    "min_length": "at least {} long",
    "max_length": "at most {} long",
    "pattern": "matches {}",
}


def _limits(metadata: object) -> Iterator[str]:
    for name, text in _SIGNS.items():
        limit = getattr(metadata, name, None)
        if limit is not None:
            yield text.format(limit)


def _type(annotation: Any) -> str:  # noqa: ANN401 - any type
    """A type as a reader of recipes knows it.

    >>> _type(tuple[int, float]), _type(str | None), _type(Literal["a", "b"])
    ('tuple[int, float]', 'str or none', '"a" or "b"')
    """
    arguments = typing.get_args(annotation)
    origin = typing.get_origin(annotation)
    if origin is Annotated:
        return _type(arguments[0])
    if origin is Literal:
        return " or ".join(map(toml_value, arguments))
    if origin in {Union, UnionType}:
        return " or ".join(map(_type, arguments))
    if arguments:
        return f"{origin.__name__}[{', '.join(map(_type, arguments))}]"
    special = {NoneType: "none", Ellipsis: "..."}
    return special.get(annotation) or str(getattr(annotation, "__name__", annotation))


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
