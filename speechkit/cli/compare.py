"""`speechkit compare`."""

from enum import StrEnum
from typing import Annotated

import typer


class Format(StrEnum):
    """How a comparison is written."""

    TERMINAL = "terminal"
    MARKDOWN = "markdown"
    JSON = "json"
    HTML = "html"


def compare(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN[:DECODER]",
            help="Folders of runs, or their names in runs/; without DECODER the one used last.",
        ),
    ],
    test: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Compare on this test set; else on all in common."),
    ] = None,
    format_: Annotated[Format, typer.Option("--format", help="How to write it.")] = Format.TERMINAL,
) -> None:
    """Set runs, or decoders of one run, side by side: what differs, and whether it matters."""
    from speechkit.cli.compare_runs import compare_runs  # noqa: PLC0415 - numpy comes with it

    compare_runs(runs, tests=test or [], form=format_.value)
