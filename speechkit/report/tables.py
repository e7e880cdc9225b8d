"""Tables of what a report says of the whole run."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from speechkit.recipe import Recipe
from speechkit.report.blocks import Table
from speechkit.report.read import Run
from speechkit.scoring.scores import Score
from speechkit.scoring.told import errors_cut, interval_shown

_EXAMPLES = 3  # of a finding


def ordered(rows: Sequence[Score]) -> list[Score]:
    """Those of a test together."""
    tests = list(dict.fromkeys(row.test for row in rows))
    return sorted(rows, key=lambda row: tests.index(row.test))


def scores(rows: Sequence[Score]) -> Table:
    """All rows; a column in which nothing stands is left out."""
    measures = list(dict.fromkeys(name for row in rows for name in row.measures))
    headings = ["test", "decoder", "WER", "95 %", "cut", "CER", "SER", *measures]
    headings += ["sub", "del", "ins", "words", "utterances", "RTF"]
    cells = [
        [
            row.test,
            row.decoder,
            rate(row.wer),
            interval_shown(row),
            errors_cut(row, rows),
            *map(rate, (row.cer, row.ser, *map(row.measures.get, measures))),
            *map("{:,}".format, (row.substitutions, row.deletions, row.insertions)),
            *map("{:,}".format, (row.words, row.utterances)),
            f"{row.real_time_factor:.5f}",
        ]
        for row in ordered(rows)
    ]
    kept = [place for place, _ in enumerate(headings) if any(row[place] for row in cells)]
    return Table(
        [headings[place] for place in kept],
        [[row[place] for place in kept] for row in cells],
        texts=2,
    )


def rate(value: float | None) -> str:
    """Four digits, or nothing."""
    return "" if value is None else f"{value:.4f}"


def text_rules(rules: Mapping[str, Any]) -> Table:
    """What texts are put under before they are compared."""
    return Table(["rule", "value"], [[key, _told(each)] for key, each in rules.items()], texts=2)


def _told(value: Any) -> str:  # noqa: ANN401 - JSON
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def epochs(run: Run) -> Table | None:
    """A row an epoch: what the curves show, for those who read numbers."""
    rows: dict[int, dict[str, str]] = {}
    for kind in ("epoch", "validation"):
        for each in run.metrics.get(kind, []):
            row = rows.setdefault(each["epoch"], {})
            row |= {
                f"{kind} {key}": f"{each[key]:.4f}" for key in ("loss", "wer", "cer") if key in each
            }
    rates = {each["epoch"] + 1: each["learning_rate"] for each in run.metrics.get("train", [])}
    if not rows:
        return None
    keys = ("epoch loss", "validation loss", "validation wer", "validation cer")
    cells = [
        [str(epoch), *(row.get(key, "") for key in keys), f"{rates.get(epoch, 0):.3g}"]
        for epoch, row in sorted(rows.items())
    ]
    headings = ["epoch", "loss", "validation loss", "WER", "CER", "learning rate at its end"]
    return Table(headings, cells, texts=0)


def audit(audit: Mapping[str, Any]) -> dict[str, Any]:
    """The verdict, and a row a finding; whatever a finding does not say stays empty."""
    rows = [
        [
            _told(each.get("severity", "")),
            " → ".join(map(_told, each.get("parts") or [])),
            _told(each.get("what") or each.get("kind", "")),
            "; ".join(map(_example, (each.get("examples") or [])[:_EXAMPLES])),
            _told(each.get("remedy", "")),
            _how_many(each),
        ]
        for each in audit["findings"]
    ]
    headings = ["severity", "where", "what", "examples", "remedy", "how many"]
    return {"verdict": audit.get("verdict", ""), "table": Table(headings, rows, texts=5)}


def _example(example: Any) -> str:  # noqa: ANN401 - JSON
    """`id · text · note`, or whatever it is."""
    values = example.values() if isinstance(example, dict) else [example]
    return " · ".join(_told(each) for each in values if each)


def _how_many(finding: Mapping[str, Any]) -> str:
    """`3 of 4 speakers`, as far as it is known."""
    count, total, unit = (finding.get(key) for key in ("count", "total", "unit"))
    known = [count, "of" if total else None, total, unit]
    return " ".join(_told(each) for each in known if each is not None)


def efficiency(run: Run) -> Table:
    """What training and decoding took."""
    lines = run.metrics.get("efficiency", [])
    rows = []
    if size := run.parameters:
        rows.append(["parameters of the model", f"{size:,}"])
    if lines:
        mean = {
            key: float(np.mean([each[key] for each in lines]))
            for key in ("speed", "padding", "waiting")
        }
        rows += [
            ["training: seconds of speech in a second", f"{mean['speed']:,.1f}"],
            ["training: share of the batches that is padding", f"{mean['padding']:.1%}"],
            ["training: share of the time that waits for data", f"{mean['waiting']:.1%}"],
            ["training: steps", f"{lines[-1]['step']:,}"],
        ]
    rows += [
        [
            f"{row.test}, {row.decoder}: seconds of speech decoded in a second",
            f"{1 / row.real_time_factor:,.0f}",
        ]
        for row in ordered(run.scores)
        if row.real_time_factor
    ]
    return Table(["measure", "value"], rows)


def environment(run: Run) -> Table:
    """What the run was made with."""
    rows = [
        [key, _told(value)] for key, value in run.environment.items() if not isinstance(value, dict)
    ]
    packages = run.environment.get("packages")
    if isinstance(packages, dict):
        rows += [[name, _told(version)] for name, version in packages.items()]
    data = run.stages.get("train", {}).get("inputs", {}).get("data") or {}
    rows += [[f"data of {name}, its fingerprint", _told(each)] for name, each in data.items()]
    return Table(["what", "value"], rows, texts=2)


def parts(recipe: Recipe) -> Table:
    """Who offers the parts of the recipe."""
    rows = [[each.kind, each.use, each.distribution, each.version] for each in recipe.choices]
    return Table(["kind", "part", "from", "version"], _once(rows), texts=4)


def _once(rows: Sequence[list[str]]) -> list[list[str]]:
    return [list(row) for row in dict.fromkeys(map(tuple, rows))]
