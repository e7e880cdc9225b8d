"""The reference, made from the code: interfaces, what their parts must hold, settings, commands."""

import html
import inspect
import json
import re
import typing
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import typer
from typer.core import TyperGroup
from typer.testing import CliRunner

import speechkit
from interface import interface
from speechkit import cli, hookspecs, interfaces, settings
from speechkit.cli.settings_table import Setting, settings_of
from speechkit.component import Config
from speechkit.discovery import ENGINE_SETTINGS, load_plugins
from speechkit.errors import PluginError
from speechkit.scaffold import KINDS as SCAFFOLDS
from speechkit.scaffold import asked_for
from speechkit.testing import checks_of

OURS = "speechkit"  # the distribution whose parts are listed
TABLES = {
    "corpus": "[corpus.train]",
    "features": "[features]",
    "augmentation": "[[augment]]",
    "units": "[units]",
    "model": "[model]",
    "decoder": "[decoder]",
    "language_model": "[lm]",
    "text_rule": "[text]",
    "score_protocol": "[score]",
}
"""Kind of part -> where a recipe asks for it."""

_ENGINE = (
    settings.RecipeSettings,
    settings.DataSettings,
    settings.TextSettings,
    settings.TrainSettings,
    settings.TuneSettings,
    settings.ScoreSettings,
)
_RECIPE = """A recipe is a TOML file with these tables. Those of parts (`[corpus.…]`, `[features]`,
`[[augment]]`, `[units]`, `[model]`, `[lm]`, `[decoder]`) take `use` and the settings of what it
names: see the page of each. `speechkit recipe check FILE` tells every mistake, and `speechkit
recipe show FILE` prints the recipe with every default."""
_PROFILES = """## profiles

Other ways to run the same recipe: `[profiles.NAME]` holds tables and keys that `--profile NAME`
lays over the recipe's own, and `--set KEY=VALUE` is laid over both. Tables are merged key by key;
all else, and a table that names its part anew with `use`, is replaced. A profile with `inherits` is
laid over the profile of that name, which may inherit, too.

```toml
[profiles.local]
corpus.train = { use = "files", path = "${SPEECH}/train.parquet" }
corpus.validation = { use = "files", path = "${SPEECH}/dev.parquet" }

[profiles.longer]
inherits = "local"
train.epochs = 90
```"""
_PUBLIC = """What a plugin imports: `from speechkit import …`. The interfaces of parts have pages of
their own."""
_IGNORED = "  # type: ignore[empty-body]"
_PROTOCOLS = {each for each in vars(interfaces).values() if getattr(each, "_is_protocol", False)}


def pages() -> dict[str, str]:
    """Each page's place, and its Markdown."""
    kinds = {f"reference/{kind}.md": _kind(kind) for kind in hookspecs.KINDS}
    return kinds | {
        "reference/recipe.md": _recipe(),
        "reference/commands.md": _commands(),
        "reference/names.md": _names(),
    }


def _kind(kind: str) -> str:
    hook = getattr(hookspecs, hookspecs.KINDS[kind])
    part = _offered(hook)
    offers = [each for each in load_plugins().offers(kind) if each.distribution == OURS]
    return "\n\n".join(
        [
            f"# {_title(kind)}",
            _asked_for(kind),
            f"## The hook\n\n{_code(_hook(hook))}",
            f"## The interface\n\n{_code(_speech() if kind == 'corpus' else interface(part))}",
            *_records(interface(part) if inspect.isclass(part) else ""),
            *_held(kind),
            _ours([each.component.name for each in offers]),
            *(_part(kind, each.component.name) for each in offers),
        ]
    )


def _offered(hook: Any) -> Any:  # noqa: ANN401 - a protocol, or an alias
    """What the components of a hook build."""
    [component] = typing.get_args(inspect.signature(hook, eval_str=True).return_annotation)
    return typing.get_args(component)[0]


def _hook(hook: Any) -> str:  # noqa: ANN401 - a function
    """How a plugin writes it."""
    return interface(hook).replace("@hookspec", "@hookimpl").replace(_IGNORED, "")


def _title(kind: str) -> str:
    return kind.replace("_", " ").capitalize()


def _asked_for(kind: str) -> str:
    said = []
    if kind in TABLES:
        key = asked_for(kind, "NAME")
        said.append(f"A recipe asks for one so:\n\n```toml\n{TABLES[kind]}\n{key}\n```")
    if kind in SCAFFOLDS:
        said.append(
            f"Begin one of your own, and try it:\n\n```sh\nspeechkit plugins new my-part "
            f"--kind {kind}\nspeechkit plugins check {kind}:my_part\n```"
        )
    return "\n\n".join(said)


def _speech() -> str:
    """What a corpus gives is no class: its alias, and the text below it."""
    source = inspect.getsource(interfaces)
    return source[source.index("Speech: TypeAlias") :].split('\n"""\n')[0] + '\n"""'


def _records(text: str) -> Iterator[str]:
    """The records and interfaces named in a piece of source, and those that these name."""
    told: set[str] = set()
    waiting = [text]
    shown = []
    while waiting:
        for name in re.findall(r"\w+", waiting.pop(0)):
            found = vars(interfaces).get(name)
            if name in speechkit.__all__ and inspect.isclass(found) and name not in told:
                told.add(name)
                if f"class {name}" not in text:
                    shown.append(interface(found))
                    waiting.append(shown[-1])
    if shown:
        yield "## What passes through it\n\n" + "\n\n".join(map(_code, shown))


def _held(kind: str) -> Iterator[str]:
    try:
        checks = checks_of(kind)
    except PluginError:
        return
    rows = [(f"`{each.name}`", _cell(each.does), _cell(each.cause)) for each in checks]
    yield (
        "## What it must hold\n\n`speechkit plugins check` and `speechkit.testing.every_check` try "
        "it, with these checks:"
    )
    yield _table(("check", "what it does", "a failure usually comes from"), rows)


def _ours(names: Sequence[str]) -> str:
    links = " · ".join(f"[`{name}`](#{name})" for name in names)
    return f"## Ours\n\n{links or 'None: they come with plugins.'}"


def _part(kind: str, name: str) -> str:
    shown = json.loads(_told("plugins", "show", kind, name, "--json"))
    keys = [Setting(**each) for each in shown["settings"]]
    lines = [f"### {name} {{: #{name} }}"]
    if shown["summary"]:
        lines.append(_cell(shown["summary"]))
    lines.append(_keys(keys) if keys else "It has no settings.")
    if shown["engine_settings"]:
        lines.append(f"Beside them stand [the engine's keys](recipe.md#engine-{kind}).")
    return "\n\n".join(lines)


def _recipe() -> str:
    parts = ["# Recipe", _RECIPE]
    for each in _ENGINE:
        heading, _, meaning = (inspect.getdoc(each) or "").partition(": ")
        parts += [f"## {heading}", _cell(meaning[:1].upper() + meaning[1:]), _config(each)]
        if each is settings.TrainSettings:
            parts += ["### train.curriculum", "Each entry:", _config(settings.Lesson)]
    parts.append(_PROFILES)
    parts.append("## Keys of the engine beside a part's own")
    for kind, own in ENGINE_SETTINGS.items():
        parts += [f"### {TABLES[kind]} {{: #engine-{kind} }}", _config(own)]
    return "\n\n".join(parts)


def _config(config: type[Config]) -> str:
    return _keys(settings_of(config))


def _keys(keys: Iterable[Setting]) -> str:
    rows = [
        (f"`{name}`", _cell(kind), f"`{default}`", _cell(limits), _cell(meaning))
        for name, kind, default, limits, meaning in (each.cells() for each in keys)
    ]
    return _table(("key", "type", "default", "limits", "meaning"), rows)


def _commands() -> str:
    parts = ["# Commands", "Each tells the same with `--help`."]
    parts += _described(typer.main.get_command(cli.app), ["speechkit"])
    return "\n\n".join(parts)


def _described(command: Any, path: Sequence[str]) -> Iterator[str]:  # noqa: ANN401 - click's, or typer's own
    """A command with its arguments and options, then those in its group."""
    if len(path) > 1:
        yield f"{'#' * min(len(path), 4)} {' '.join(path)}"
    yield _prose(command.help or "")
    rows = [_option(each) for each in command.params if each.name != "help"]
    if rows:
        yield _table(("", "", "meaning"), rows)
    if isinstance(command, TyperGroup):
        context = typer.Context(command)
        for name in command.list_commands(context):
            _, inner, _ = command.resolve_command(context, [name])
            yield from _described(inner, [*path, name])


def _option(option: Any) -> tuple[str, str, str]:  # noqa: ANN401 - click's, or typer's own
    """Its names, what it takes, and what it is for."""
    value = f"`{option.metavar or option.name.upper()}`"
    meaning = _cell(option.help or "")
    if option.param_type_name == "argument":
        return value, "", meaning
    names = ", ".join(f"`{name}`" for name in [*option.opts, *option.secondary_opts])
    return names, "" if option.is_flag else value, meaning


def _names() -> str:
    parts = ["# Public names", _PUBLIC]
    own = [each for each in speechkit.__all__ if getattr(speechkit, each) not in _PROTOCOLS]
    for name in sorted(own, key=str.lower):
        thing = getattr(speechkit, name)
        if getattr(thing, "__module__", "").startswith("speechkit.") and callable(thing):
            parts += [f"## {name}", _code(interface(thing))]
    said = {
        "Field": "Pydantic's `Field`: a setting's default, its limits (`gt`, `ge`, `lt`, `le`, "
        "`pattern`) and its `description`, which `speechkit plugins show` prints.",
        "RecipePath": "A path among the settings: `~` is expanded, the rest is relative to the "
        "recipe's file.",
        "Speech": "What a corpus gives: see [Corpus](corpus.md).",
        "hookimpl": "Marks a function of a plugin's module as one of speechkit's hooks.",
    }
    for name, meaning in said.items():
        parts += [f"## {name}", meaning]
    return "\n\n".join(parts)


def _told(*arguments: str) -> str:
    done = CliRunner().invoke(cli.app, arguments)
    if done.exit_code:
        raise RuntimeError(f"speechkit {' '.join(arguments)}: {done.stderr}")
    return done.stdout


def _code(text: str) -> str:
    return f"```python\n{text}\n```"


def _prose(text: str) -> str:
    """Text as it was written, paragraph by paragraph; signs of HTML are no HTML."""
    return html.escape(inspect.cleandoc(text), quote=False)


def _cell(text: str) -> str:
    """Text in a table's cell: one line, in which nothing ends the cell; code as it is."""
    parts = re.split(r"(`[^`]*`)", " ".join(text.split()))
    return "".join(each if each.startswith("`") else _plain(each) for each in parts)


def _plain(text: str) -> str:
    text = html.escape(text, quote=False).replace("...", "…")
    return re.sub(r"([|\[*_])", r"\\\1", text)


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(each)} |" for each in lines)
