"""The command line. A command is imported when it is called: `speechkit --help` must be instant."""

import logging
import sys
import traceback
from pathlib import Path
from typing import Annotated

import typer

from speechkit import __version__
from speechkit.cli.context import Options, options_of
from speechkit.cli.culprit import culprit
from speechkit.cli.ending import TerminationError, ends_tidily
from speechkit.cli.lazy import LazyGroup
from speechkit.errors import SpeechkitError, TerminatedError

USAGE = 2  # exit codes
DEFECT = 1
INTERRUPTED = 128 + 2  # as a shell tells SIGINT
TERMINATED = 128 + 15  # and SIGTERM

COMMANDS = {
    "run": ("speechkit.cli.run:run", "Carry out a recipe: train, decode and score."),
    "tune": ("speechkit.cli.tune:tune", "Search a decoder's weights again; train nothing."),
    "transcribe": ("speechkit.cli.transcribe:transcribe", "Write what is said in a recording."),
    "mic": ("speechkit.cli.mic:mic", "Write what is said into the microphone."),
    "models": ("speechkit.cli.models:app", "List, show and make trained models."),
    "report": ("speechkit.cli.report:report", "Write a run's report.html again."),
    "compare": ("speechkit.cli.compare:compare", "Set runs or decoders side by side, and test."),
    "bundle": ("speechkit.cli.bundle:bundle", "Put a run into one file, for others."),
    "verify": ("speechkit.cli.verify:verify", "Score a bundle again: do its numbers hold?"),
    "audit": ("speechkit.cli.audit:audit", "Look for leaks and odd data; train nothing."),
    "recipe": ("speechkit.cli.recipe:app", "Check a recipe, or show it with every default."),
    "data": ("speechkit.cli.data:app", "Download, look at and record speech."),
    "plugins": ("speechkit.cli.plugins:app", "List, show, check and begin plugins."),
}
"""Command -> where it is, and what it does. What plugins add is found by `LazyGroup`."""


class _Root(LazyGroup):
    """The commands; errors the user can act on are told in lines, not in a traceback."""

    core = COMMANDS

    def invoke(self, ctx: typer.Context) -> object:  # type: ignore[override]  # typer's own class
        try:
            with ends_tidily():
                result = super().invoke(ctx)
            sys.stdout.flush()  # here, where typer knows that a reader who has left is no error
        except TerminatedError as error:
            _tell("stopped", str(error), typer.colors.YELLOW)
            _tell("hint", error.hint, typer.colors.CYAN)
            raise typer.Exit(TERMINATED) from None
        except SpeechkitError as error:
            if options_of(ctx).debug:
                traceback.print_exc()
            _tell("error", str(error), typer.colors.RED)
            if plugin := culprit(error):
                _tell("from", plugin, typer.colors.RED)
            if error.hint:
                _tell("hint", error.hint, typer.colors.CYAN)
            raise typer.Exit(USAGE) from None
        except TerminationError:
            _tell("stopped", "asked to end", typer.colors.YELLOW)
            raise typer.Exit(TERMINATED) from None
        except (EOFError, SystemExit) as error:
            # Of a part: typer would take the one for the end of what is typed, "Aborted.", and the
            # other would end a command as one that went well.
            early = RuntimeError(f"{type(error).__name__}: {error}")
            raise early.with_traceback(error.__traceback__) from None
        except KeyboardInterrupt:
            _tell("error", "interrupted", typer.colors.RED)
            raise typer.Exit(INTERRUPTED) from None
        return result


app = typer.Typer(
    cls=_Root,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)


def _version(asked: bool) -> None:  # noqa: FBT001 - typer calls it so
    if asked:
        typer.echo(f"speechkit {__version__}")
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    plugin: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Load the plugin in FILE, too, for this command."),
    ] = None,
    disable_plugin: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="Leave this plugin, or all of this distribution, out this time."
        ),
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show where errors were raised.")] = False,  # noqa: FBT002 - a flag
    version: Annotated[  # noqa: ARG001, FBT002 - a flag that has a callback
        bool, typer.Option("--version", help="Show the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Train, run and compare speech recognisers made of parts that plug together."""
    logging.basicConfig(format="%(levelname)s: %(message)s")
    logging.getLogger("speechkit").setLevel(logging.DEBUG if debug else logging.WARNING)
    context.obj = Options(tuple(plugin or ()), tuple(disable_plugin or ()), debug=debug)


def main() -> None:
    """Run the command line."""
    try:
        app()
    except Exception as error:
        traceback.print_exc()
        whose = culprit(error) or "speechkit or of a plugin"
        _tell("error", f"this is a defect of {whose}", typer.colors.RED)
        _tell("hint", "please report it there, with the lines above", typer.colors.CYAN)
        sys.exit(DEFECT)


def _tell(label: str, message: str, colour: str) -> None:
    typer.secho(f"{label}: ", fg=colour, bold=True, nl=False, err=True)
    typer.echo(message, err=True)
