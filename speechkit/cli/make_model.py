"""What `speechkit models make` does, apart from its options, since torch comes with it."""

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import typer

from speechkit.cli.context import plugins_of
from speechkit.errors import ModelError
from speechkit.near import near
from speechkit.packing import PRECISIONS, Precision
from speechkit.pretrained.making import make
from speechkit.reporter import Reporter
from speechkit.scoring.systems import find_run


def make_model(
    context: typer.Context,
    given: str,
    place: Path,
    *,
    precision: str,
    licence: str,
    notes: Sequence[str],
    overrides: Sequence[str],
    root: Path,
) -> None:
    """Write the folder, say what is in it, and print its place: data, so on stdout."""
    if precision not in PRECISIONS:
        hint = near(precision, PRECISIONS)
        raise ModelError(f"--precision {precision}: weights are not kept so", hint=hint)
    reporter = Reporter()
    facts = make(
        find_run(given, root),
        place,
        plugins_of(context),
        reporter,
        precision=cast(Precision, precision),
        licence=licence,
        notes=notes,
        overrides=overrides,
    )
    for each in facts.results:
        before = "" if each.run_wer is None else f", the run's {each.run_wer:.4f}"
        changed = "" if each.changed is None else f"; {each.changed} of {each.utterances} texts new"
        reporter.say(f"{each.test}, {each.decoder}: WER {each.wer:.4f}{before}{changed}")
    reporter.say(f"{facts.name}: {facts.bytes / 1e6:.1f} MB, weights in {facts.precision}")
    typer.echo(place)
