"""What `speechkit data get CORPUS` does, and its options: the settings of a plugin's download."""

import inspect
import typing
from collections.abc import Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union

import typer
from pydantic import ValidationError
from pydantic.fields import FieldInfo
from typer.main import get_command

from speechkit.cli.context import plugins_of
from speechkit.component import Component, Config
from speechkit.discovery import Offer
from speechkit.download import Fetched, fetch_corpus, read_page
from speechkit.errors import DownloadError, PluginError
from speechkit.interfaces import Download
from speechkit.near import near
from speechkit.recipe.toml_text import toml_table
from speechkit.reporter import Reporter

PARTS = "parts"  # the setting that stands after the name, without an option's name
_SHOWN_FAILURES = 5

_OWN = {
    "to": Annotated[Path, typer.Option(metavar="FOLDER", help="Where to.")],
    "jobs": Annotated[int, typer.Option(min=1, max=32, help="Archives at once.")],
}
_DEFAULTS = {"to": Path("data"), "jobs": 4}


def command_of(context: typer.Context, name: str) -> Any:  # noqa: ANN401 - typer's own class
    """The command that gets the corpus `name`.

    Raises:
        PluginError: no plugin offers it, or it has a setting that would be an option twice.
    """
    offer = plugins_of(context).find("download", name)
    component = offer.component
    fields = component.config.model_fields
    if clash := sorted({*_OWN, "help"} & fields.keys()):
        raise PluginError(
            f"the download `{component.name}` of {offer.distribution} has a setting "
            f"`{clash[0]}`, which is an option of the command",
            hint="its author has to rename it",
        )

    def get(**given: Any) -> None:  # noqa: ANN401 - its parameters are given to it below
        to, jobs = given.pop("to"), given.pop("jobs")
        _get(offer, _config(component.config, given), to, jobs)

    # Typer makes arguments and options of a function's parameters: these are the settings.
    annotations = {key: _parameter(key, field) for key, field in fields.items()} | _OWN
    kind = inspect.Parameter.KEYWORD_ONLY
    parameters = [
        inspect.Parameter(key, kind, default=_DEFAULTS.get(key), annotation=annotation)
        for key, annotation in annotations.items()
    ]
    get.__annotations__ = annotations
    get.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    get.__doc__ = inspect.getdoc(component.build)
    app = typer.Typer(add_completion=False, rich_markup_mode="markdown")
    app.command(component.name)(get)
    return get_command(app)


def _parameter(name: str, field: FieldInfo) -> Any:  # noqa: ANN401 - a type with a note
    """A setting as typer knows parameters: text, which the setting's own type reads later.

    None stands for what is not given: the default is the setting's.
    """
    kind, known = _kind(field.annotation)
    default = None if field.is_required() else field.get_default(call_default_factory=True)
    notes = [
        field.description or "",
        f"one of: {', '.join(known)}" if known else "",
        "may be given several times" if kind == list[str] and name != PARTS else "",
        "" if default in (None, [], (), "") else f"default: {default}",
    ]
    help_ = "; ".join(each for each in notes if each)
    if name == PARTS and kind == list[str]:
        return Annotated[list[str] | None, typer.Argument(metavar="PART", help=help_)]
    metavar = None if kind is bool else "NUMBER" if kind in {int, float} else "TEXT"
    given = list[str] if kind == list[str] else bool if kind is bool else str
    return Annotated[given | None, typer.Option(metavar=metavar, help=help_)]


def _kind(annotation: Any) -> tuple[Any, list[str]]:  # noqa: ANN401 - any type
    """What a setting is (list[str] stands for all lists), and the values it can have.

    >>> _kind(list[Literal["a", "b"]] | None), _kind(int)
    ((list[str], ['a', 'b']), (<class 'int'>, []))
    """
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Literal:
        return str, [str(each) for each in arguments]
    if origin in {Union, UnionType}:
        return next(_kind(each) for each in arguments if each is not NoneType)
    if origin in {list, tuple}:
        return list[str], _kind(arguments[0])[1]
    return annotation, []


def _config(config: type[Config], given: Mapping[str, Any]) -> Config:
    """The settings.

    Raises:
        DownloadError: some are wrong; all of them are told.
    """
    values = {key: value for key, value in given.items() if value not in (None, [])}
    try:
        # Not strict, unlike a recipe: on the command line a number is text, too.
        return config.model_validate(values, strict=False, context={"folder": Path.cwd()})
    except ValidationError as error:
        told, hints = [], []
        for each in error.errors(include_url=False):
            name = str(each["loc"][0]) if each["loc"] else ""
            label = "PART" if name == PARTS else f"--{name.replace('_', '-')}"
            if each["type"] in {"missing", "too_short"}:
                told.append(f"{label} is needed")
            else:
                said = each["msg"].removeprefix("Value error, ").removeprefix("Input ")
                told.append(f"{label} {each['input']}: {said}")
            known = _kind(config.model_fields[name].annotation)[1] if name else []
            if known:
                hints.append(near(str(each["input"]), known))
        raise DownloadError("; ".join(told), hint=" ".join(dict.fromkeys(hints))) from None


def _get(offer: Offer, config: Config, to: Path, jobs: int) -> None:
    component: Component[Download] = offer.component
    reporter = Reporter()
    download = component.build(config)
    archives = download.archives(read_page)
    fetched = fetch_corpus(archives, to, jobs=jobs, reporter=reporter)
    parts = [f"{to}: {len(fetched.new)} of {len(archives)} archives fetched"]
    if fetched.present:
        parts.append(f"{len(fetched.present)} were here, whole")
    if not fetched.new and not fetched.failed:
        parts = [f"{to}: all of it is here, whole: nothing was fetched"]
    reporter.say(", ".join(parts))
    if fetched.new or fetched.present:
        for name, table in download.corpora(to.absolute()).items():
            typer.echo(toml_table(f"[corpus.{name}]", table))
    _tell_failures(fetched, len(archives))


def _tell_failures(fetched: Fetched, wanted: int) -> None:
    failed, whole = fetched.failed, len(fetched.new) + len(fetched.present)
    if not failed:
        return
    if wanted == 1:
        raise failed[0][1]
    lines = [f"{folder}: {error}" for folder, error in failed[:_SHOWN_FAILURES]]
    if len(failed) > _SHOWN_FAILURES:
        lines.append(f"and {len(failed) - _SHOWN_FAILURES} more")
    if untried := wanted - whole - len(failed):
        lines.append(f"after so many in a row, {untried} others were not tried")
    hints = [failed[0][1].hint, f"the {whole} that are whole can be used" if whole else ""]
    raise DownloadError(
        "\n  ".join([f"{len(failed)} of {wanted} archives could not be fetched:", *lines]),
        hint="; ".join(filter(None, hints)),
    )
