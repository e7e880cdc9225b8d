"""What `speechkit compare` does, apart from its options: read, compare, write."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import typer
from rich.console import Console

from speechkit.cli.compare_pages import pages
from speechkit.cli.page import to_html, to_markdown, to_terminal
from speechkit.scoring.compare import compare
from speechkit.scoring.systems import read_system


def compare_runs(runs: Sequence[str], *, tests: Sequence[str], form: str) -> None:
    """Print a comparison: data, so on stdout."""
    found = compare([read_system(each, Path("runs")) for each in runs], tests)
    if form == "json":
        typer.echo(json.dumps(asdict(found), ensure_ascii=False, indent=2))
    elif form == "markdown":
        typer.echo(to_markdown(pages(found)))
    elif form == "html":
        typer.echo(to_html(pages(found), title="Comparison"))
    else:
        console = Console(highlight=False)
        if not console.is_terminal:
            console.width = 120  # a pipe has no width
        to_terminal(pages(found), console)
