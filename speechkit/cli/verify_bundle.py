"""What `speechkit verify` does, apart from its options."""

import json
from pathlib import Path
from typing import Any

import typer
from rich.console import Console

from speechkit.bundle import Verified, verify
from speechkit.cli.bundle_pages import pages
from speechkit.cli.measures import measures_of
from speechkit.cli.page import to_terminal

_OTHER = 1  # exit code


def verify_bundle(context: typer.Context, place: Path, *, as_json: bool) -> None:
    """Print what was found: data, so on stdout."""
    found = verify(place, measures_of(context))
    if as_json:
        typer.echo(json.dumps(_to_json(found), indent=2))
    else:
        console = Console(highlight=False)
        if not console.is_terminal:
            console.width = 120  # a pipe has no width
        to_terminal(pages(found), console)
    if not found.holds:
        raise typer.Exit(_OTHER)


def _to_json(found: Verified) -> dict[str, Any]:
    rows = []
    for each in found.rows:
        stored, again = each.stored.row(), each.again.row()
        other = {key: {"stored": stored.get(key), "again": again.get(key)} for key in each.other}
        rows.append({"test": each.stored.test, "decoder": each.stored.decoder, "other": other})
    contents = found.contents
    return {
        "equal": found.holds,
        "name": contents.name,
        "sum": contents.sum,
        "changed": dict(contents.changed),
        "scores": rows,
    }
