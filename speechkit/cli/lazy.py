"""A group of commands that knows their names, and imports one when it is called.

Plugins add commands through entry points of the group `speechkit_commands`, whose names are known
without importing anything: `docs/decisions/0002-commands-by-entry-point.md`.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from speechkit.errors import PluginError

GROUP = "speechkit_commands"  # of entry points: NAME = "module:typer_app_or_function"
OURS = "speechkit"  # the distribution whose commands no other can take the place of


@dataclass(frozen=True)
class PluginCommand:
    """A command that a plugin adds.

    error  why it cannot be called, where that is known without importing it
    """

    name: str
    distribution: str
    version: str
    entry_point: EntryPoint
    error: str | None = None

    def load(self) -> Any:  # noqa: ANN401 - whatever the entry point names
        """Import it.

        Raises:
            PluginError: two plugins add it, or it cannot be imported.

        """
        if self.error:
            raise PluginError(self.error, hint="uninstall one of them")
        try:
            return self.entry_point.load()
        except (Exception, SystemExit) as error:
            cause = f"{type(error).__name__}: {error}"
            message = f"the command `{self.name}` of {self.distribution} did not load ({cause})"
            raise PluginError(message, hint=f"repair or uninstall {self.distribution}") from error


def plugin_commands(core: Mapping[str, object]) -> list[PluginCommand]:
    """The commands of plugins, by name; `core` are names they may not take."""
    by_name: dict[str, list[PluginCommand]] = defaultdict(list)
    for each in entry_points(group=GROUP):
        distribution, version = (each.dist.name, each.dist.version) if each.dist else ("?", "?")
        by_name[each.name].append(PluginCommand(each.name, distribution, version, each))
    found: list[PluginCommand] = []
    for name in sorted(by_name):
        ours = [each for each in by_name[name] if each.distribution == OURS]
        others = [each for each in by_name[name] if each.distribution != OURS]
        if name in core or ours:
            taken = f"`{name}` is a command of speechkit itself: {{}}'s is not used"
            found += ours[:1] if name not in core else []
            found += [replace(each, error=taken.format(each.distribution)) for each in others]
        elif len(others) > 1:
            owners = " and by ".join(sorted(each.distribution for each in others))
            twice = f"the command `{name}` is added by {owners}"
            found += [replace(each, error=twice) for each in others]
        else:
            found += others
    return found


class LazyGroup(TyperGroup):
    """Commands that are imported when called; a subclass says which in `core`."""

    core: ClassVar[Mapping[str, tuple[str, str]]] = {}  # name -> "module:attribute", what it does

    def __init__(self, **attributes: Any) -> None:  # noqa: ANN401 - typer's
        super().__init__(**attributes)
        self._loaders: dict[str, Callable[[], Any]] = {}
        for name, (target, help_) in self.core.items():
            self._add(name, help_, partial(_imported, target))
        for command in plugin_commands(self.core):
            if command.name not in self._loaders:
                self._add(command.name, f"(from {command.distribution})", command.load)

    def _add(self, name: str, help_: str, load: Callable[[], Any]) -> None:
        self._loaders[name] = load
        self.add_command(TyperCommand(name, short_help=help_, help=help_))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # noqa: ANN401 - typer's
        """The command that is called: only now it is imported."""
        name, command, rest = super().resolve_command(ctx, args)
        if name in self._loaders:
            command = _command(name, self._loaders[name]())
        return name, command, rest


def _imported(target: str) -> Any:  # noqa: ANN401 - a typer app or a function
    module, attribute = target.split(":")
    return getattr(import_module(module), attribute)


def _command(name: str, loaded: Any) -> Any:  # noqa: ANN401 - a typer app or a function
    # Not rich's own markup, which takes `[train]` in a help text for a style.
    parent = typer.Typer(add_completion=False, rich_markup_mode="markdown")
    if isinstance(loaded, typer.Typer):
        parent.add_typer(loaded, name=name)
        return get_command(parent).commands[name]  # type: ignore[attr-defined]  # it is a group
    if not callable(loaded):
        raise PluginError(f"the command `{name}` is {loaded!r}, neither a typer app nor a function")
    parent.command(name)(loaded)
    return get_command(parent)
