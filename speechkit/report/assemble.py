"""A run's folder to the page that tells of it."""

import shlex
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from markupsafe import Markup

from speechkit.recipe import Recipe
from speechkit.report import plots, tables
from speechkit.report.blocks import Table
from speechkit.report.clips import Clips, Stores
from speechkit.report.html import render
from speechkit.report.on_test import TestPart, counted, utterances
from speechkit.report.read import Run
from speechkit.scoring.told import interval_shown

MOST = 5_000_000  # bytes of a page
_UTTERANCES = (5, 2, 1, 0)  # of a kind and test: as many as fit
_DRAWN = 16  # tests whose errors are drawn: the tables of more say the same
_LINES = 1000  # of the recipe


def page(run: Run, recipe: Recipe | None = None, stores: Stores | None = None) -> str:
    """The report of a run, HTML of `MOST` bytes at most.

    Args:
        run: what it left.
        recipe: it was made with, for the labels' names and the parts' versions; None: without.
        stores: for recordings; None: without.
    """
    fixed = _fixed(run, recipe)
    tests = {
        name: counted(run, name, draw=place < _DRAWN) for place, name in enumerate(run.decoded)
    }
    for each in _UTTERANCES:
        clips = Clips(stores, tests=len(tests))
        parts = [
            TestPart(**errors, **utterances(run, name, recipe, clips, each=each))
            for name, errors in tests.items()
        ]
        made = render("report.html", **fixed, tests=parts)
        if len(made.encode()) <= MOST:
            break
    return made


def _fixed(run: Run, recipe: Recipe | None) -> dict[str, Any]:
    """What does not depend on how many utterances are shown."""
    about = run.recipe.get("recipe", {})
    return {
        "title": f"{run.folder.resolve().name}: speechkit report",
        "name": run.folder.resolve().name,
        "description": about.get("description", ""),
        "facts": _facts(run),
        "tiles": [row for row in run.scores if row.decoder == run.chosen_decoder(row.test)],
        "interval": interval_shown,
        "scores": tables.scores(run.scores),
        "intervals_plot": plots.svg(
            lambda: plots.intervals(tables.ordered(run.scores), run.decoders)
        ),
        "text_rules": tables.text_rules(run.recipe.get("text", {})),
        "curves": _curves(run.metrics),
        "epochs": tables.epochs(run),
        "tunings": [_tuning(name, found) for name, found in run.tunings.items()],
        "audit": None if run.audit is None else tables.audit(run.audit),
        "efficiency": tables.efficiency(run),
        "environment": tables.environment(run),
        "parts": tables.parts(recipe) if recipe else None,
        "commands": list(_commands(run, recipe)),
        "recipe_lines": run.recipe_lines[:_LINES],
        "recipe_more": max(0, len(run.recipe_lines) - _LINES),
    }


def _facts(run: Run) -> list[str]:
    facts = [f"Language {run.recipe.get('recipe', {}).get('language', 'unknown')}"]
    if model := run.recipe.get("model", {}).get("use"):
        facts.append(f"model {model}")
    if size := run.parameters:
        facts.append(f"{size:,} parameters")
    if "speechkit" in run.environment:
        facts.append(f"speechkit {run.environment['speechkit']}")
    return facts


def _curves(metrics: plots.Metrics) -> dict[str, Markup]:
    """By what is told of each."""
    if not metrics.get("epoch"):
        return {}
    drawn = {
        "Loss over epochs, of training and of the validation part": plots.loss,
        "Learning rate over epochs": plots.learning_rate,
    }
    if metrics.get("validation"):
        drawn["Error rates of the validation part over epochs"] = plots.rates
    return {told: plots.svg(partial(draw, metrics)) for told, draw in drawn.items()}


def _tuning(decoder: str, found: Mapping[str, Any]) -> dict[str, Any]:
    before, best = found["before"], found["best"]
    rows = [
        [name, f"{before['settings'][name]:.3g}", f"{value:.3g}"]
        for name, value in best["settings"].items()
    ]
    rows += [
        [name.upper(), tables.rate(before.get(name)), tables.rate(best.get(name))]
        for name in ("wer", "cer")
    ]
    return {
        "decoder": decoder,
        "plot": plots.svg(lambda: plots.tuning(found)),
        "table": Table(["", "before", "found"], rows),
        "found": found,
    }


def _commands(run: Run, recipe: Recipe | None) -> Iterator[str]:
    """What carries the kept recipe out again, beside the run; and its other decoders."""
    files = [row[2] for row in tables.parts(recipe).rows if not row[3]] if recipe else []
    before = ["speechkit", *(f"--plugin={file}" for file in dict.fromkeys(files)), "run"]
    folder = run.folder
    command = [*before, str(folder / "recipe.toml"), "--run", f"{folder.resolve().name}-again"]
    yield shlex.join(command)
    others = {row.decoder: row.test for row in run.scores if row.decoder != run.decoder}
    for name, test in others.items():
        made_from = run.stages.get(f"decode {name} {test}", {}).get("inputs", {})
        use = made_from.get("decoder", {}).get("use", name)
        yield shlex.join([*command, "--set", f"decoder.use={use}"])
