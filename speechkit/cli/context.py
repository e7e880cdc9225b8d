"""What the options before the command say, and the plugins they ask for."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from speechkit.discovery import Plugins


@dataclass(frozen=True)
class Options:
    """The options before the command."""

    plugin_files: tuple[Path, ...] = ()
    disabled_plugins: tuple[str, ...] = ()
    debug: bool = False


def options_of(context: typer.Context) -> Options:
    """The options before the command that `context` belongs to."""
    options = context.find_root().obj
    return options if isinstance(options, Options) else Options()


def plugins_of(context: typer.Context, *, lenient: bool = False) -> "Plugins":
    """The installed plugins and those of `--plugin`; with them come torch and what else they need.

    lenient  a file that does not load is among the broken ones, and no error

    Raises:
        PluginError: a file of `--plugin` does not load, or `--disable-plugin` names none.

    """
    from speechkit.discovery import load_plugins  # noqa: PLC0415 - `--help` needs no plugins

    options = options_of(context)
    return load_plugins(options.plugin_files, disabled=options.disabled_plugins, lenient=lenient)
