"""A run's folder to the page that tells of it."""

import json
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from markupsafe import Markup

from speechkit.decoding.emissions import emissions_of
from speechkit.errors import SpeechkitError
from speechkit.interfaces import Units
from speechkit.recipe import Recipe
from speechkit.report import plots
from speechkit.report.blocks import Table
from speechkit.report.clips import Clips, Stores
from speechkit.report.confusions import confusions
from speechkit.report.html import render, shown
from speechkit.report.read import Run
from speechkit.report.utterances import Utterance, chosen, utterance
from speechkit.scoring.edits import Edits, Match
from speechkit.scoring.scores import Lines, Score, by_length, by_speaker
from speechkit.scoring.told import errors_cut, interval_shown, interval_told

MOST = 5_000_000  # bytes of a page
_UTTERANCES = (5, 2, 1, 0)  # of a kind and test: as many as fit
_CONFUSIONS = 20  # rows of a table
_LONGEST_WORD = 60  # characters
_SPEAKERS = 200  # as well
_LINES = 1000  # of the recipe
_SHORT_SECONDS = 10.0  # of the utterance whose emissions are drawn, if there is one


@dataclass(frozen=True)
class TestPart:
    """What the page says of a test set.

    told          what its interval stands on
    utterances    by heading
    clips         addresses of recordings, by utterance
    why_no_clips  what to say where some are missing
    """

    name: str
    decoder: str
    told: str
    plots: Mapping[str, Markup]
    lengths: Table
    speakers: Table | None
    speakers_more: int
    confusions: Mapping[str, Mapping[str, Table]]
    left_out: int
    utterances: Mapping[str, Sequence[Utterance]]
    clips: Mapping[str, Markup]
    why_no_clips: str
    emissions: "EmissionsPart | None"


@dataclass(frozen=True)
class EmissionsPart:
    """The emissions of an utterance, drawn."""

    id: str
    plot: Markup


def page(run: Run, recipe: Recipe | None = None, stores: Stores | None = None) -> str:
    """The report of a run, HTML of `MOST` bytes at most.

    Args:
        run: what it left.
        recipe: it was made with, for the labels' names and the parts' versions; None: without.
        stores: for recordings; None: without.
    """
    fixed = _fixed(run, recipe)
    tests = {name: _counted(run, name) for name in run.decoded}
    for each in _UTTERANCES:
        clips = Clips(stores, tests=len(tests))
        parts = [
            TestPart(**counted, **_utterances(run, name, recipe, clips, each=each))
            for name, counted in tests.items()
        ]
        made = render("report.html", **fixed, tests=parts)
        if len(made.encode()) <= MOST:
            break
    return made


# ---- what the page says of the whole run


def _fixed(run: Run, recipe: Recipe | None) -> dict[str, Any]:
    about = run.recipe.get("recipe", {})
    return {
        "title": f"{run.folder.resolve().name}: speechkit report",
        "name": run.folder.resolve().name,
        "description": about.get("description", ""),
        "facts": _facts(run),
        "tiles": [row for row in run.scores if row.decoder == run.chosen_decoder(row.test)],
        "interval": interval_shown,
        "scores": _scores(run.scores),
        "intervals_plot": plots.svg(lambda: plots.intervals(_ordered(run.scores), _decoders(run))),
        "text_rules": _text_rules(run.recipe.get("text", {})),
        "curves": _curves(run.metrics),
        "epochs": _epochs(run),
        "tunings": [_tuning(name, found) for name, found in run.tunings.items()],
        "audit": None if run.audit is None else _audit(run.audit),
        "efficiency": _efficiency(run),
        "environment": _environment(run),
        "parts": _parts(recipe) if recipe else None,
        "commands": list(_commands(run, recipe)),
        "recipe_lines": run.recipe_lines[:_LINES],
        "recipe_more": max(0, len(run.recipe_lines) - _LINES),
    }


def _facts(run: Run) -> list[str]:
    facts = [f"Language {run.recipe.get('recipe', {}).get('language', 'unknown')}"]
    if model := run.recipe.get("model", {}).get("use"):
        facts.append(f"model {model}")
    if size := _parameters(run):
        facts.append(f"{size:,} parameters")
    if "speechkit" in run.environment:
        facts.append(f"speechkit {run.environment['speechkit']}")
    return facts


def _parameters(run: Run) -> int | None:
    sizes = (each.get("measured", {}).get("parameters") for each in run.stages.values())
    return next((int(size) for size in sizes if size), None)


def _ordered(rows: Sequence[Score]) -> list[Score]:
    """Those of a test together."""
    tests = list(dict.fromkeys(row.test for row in rows))
    return sorted(rows, key=lambda row: tests.index(row.test))


def _decoders(run: Run) -> list[str]:
    return list(dict.fromkeys(row.decoder for row in run.scores))


def _scores(rows: Sequence[Score]) -> Table:
    """All rows; a column in which nothing stands is left out."""
    headings = ["test", "decoder", "WER", "95 %", "cut", "CER", "SER", "N2's WER", "N2's CER"]
    headings += ["sub", "del", "ins", "words", "utterances", "RTF"]
    cells = [
        [
            row.test,
            row.decoder,
            _rate(row.wer),
            interval_shown(row),
            errors_cut(row, rows),
            *map(_rate, (row.cer, row.ser, row.n2_wer, row.n2_cer)),
            *map("{:,}".format, (row.substitutions, row.deletions, row.insertions)),
            *map("{:,}".format, (row.words, row.utterances)),
            f"{row.real_time_factor:.5f}",
        ]
        for row in _ordered(rows)
    ]
    kept = [place for place, _ in enumerate(headings) if any(row[place] for row in cells)]
    return Table(
        [headings[place] for place in kept],
        [[row[place] for place in kept] for row in cells],
        texts=2,
    )


def _rate(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _text_rules(rules: Mapping[str, Any]) -> Table:
    return Table(["rule", "value"], [[key, _told(each)] for key, each in rules.items()], texts=2)


def _told(value: Any) -> str:  # noqa: ANN401 - JSON
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


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


def _epochs(run: Run) -> Table | None:
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


def _tuning(decoder: str, found: Mapping[str, Any]) -> dict[str, Any]:
    before, best = found["before"], found["best"]
    rows = [
        [name, f"{before['settings'][name]:.3g}", f"{value:.3g}"]
        for name, value in best["settings"].items()
    ]
    rows += [
        [name.upper(), _rate(before.get(name)), _rate(best.get(name))] for name in ("wer", "cer")
    ]
    return {
        "decoder": decoder,
        "plot": plots.svg(lambda: plots.tuning(found)),
        "table": Table(["", "before", "found"], rows),
        "found": found,
    }


def _audit(findings: Sequence[Mapping[str, Any]]) -> Table:
    keys = ("severity", "kind", "parts", "examples", "remedy")
    rows = [
        [*(_listed(each.get(key, "")) for key in keys), f"{each.get('count', '')}"]
        for each in findings
    ]
    return Table([*keys, "count"], rows, texts=len(keys))


def _listed(value: Any) -> str:  # noqa: ANN401 - JSON
    return "; ".join(map(_told, value)) if isinstance(value, list) else _told(value)


def _efficiency(run: Run) -> Table:
    lines = run.metrics.get("efficiency", [])
    rows = []
    if size := _parameters(run):
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
        for row in _ordered(run.scores)
        if row.real_time_factor
    ]
    return Table(["measure", "value"], rows)


def _environment(run: Run) -> Table:
    rows = [
        [key, _told(value)] for key, value in run.environment.items() if not isinstance(value, dict)
    ]
    packages = run.environment.get("packages")
    if isinstance(packages, dict):
        rows += [[name, _told(version)] for name, version in packages.items()]
    data = run.stages.get("train", {}).get("inputs", {}).get("data") or {}
    rows += [[f"data of {name}, its fingerprint", _told(each)] for name, each in data.items()]
    return Table(["what", "value"], rows, texts=2)


def _parts(recipe: Recipe) -> Table:
    choices = [
        recipe.train_corpus,
        recipe.validation_corpus,
        *recipe.test_corpora.values(),
        recipe.features,
        *recipe.augment,
        recipe.units,
        recipe.model,
        recipe.lm,
        recipe.decoder,
    ]
    rows = [[each.kind, each.use, each.distribution, each.version] for each in choices if each]
    return Table(["kind", "part", "from", "version"], _once(rows), texts=4)


def _once(rows: Sequence[list[str]]) -> list[list[str]]:
    return [list(row) for row in dict.fromkeys(map(tuple, rows))]


def _commands(run: Run, recipe: Recipe | None) -> Iterator[str]:
    """What carries the kept recipe out again, beside the run; and its other decoders."""
    files = [row[2] for row in _parts(recipe).rows if not row[3]] if recipe else []
    before = ["speechkit", *(f"--plugin={file}" for file in dict.fromkeys(files)), "run"]
    folder = run.folder
    command = [*before, str(folder / "recipe.toml"), "--run", f"{folder.resolve().name}-again"]
    yield shlex.join(command)
    others = {row.decoder: row.test for row in run.scores if row.decoder != run.decoder}
    for name, test in others.items():
        made_from = run.stages.get(f"decode {name} {test}", {}).get("inputs", {})
        use = made_from.get("decoder", {}).get("use", name)
        yield shlex.join([*command, "--set", f"decoder.use={use}"])


# ---- what it says of a test set


def _counted(run: Run, name: str) -> dict[str, Any]:
    """The errors of a test set, by groups and by what is confused."""
    decoder, decoded = run.chosen_decoder(name), run.decoded[name]
    lengths = {each: by_length(lines) for each, lines in decoded.items()}
    speakers = {each: by_speaker(lines) for each, lines in decoded.items()}
    said = Counter(line.get("speaker") or "" for line in decoded[decoder])
    known = any(said)
    order = sorted(speakers[decoder], key=lambda speaker: -speakers[decoder][speaker].rate)
    drawn = {"by length of the reference": lambda: plots.by_length(lengths, _decoders(run))}
    if known:
        drawn["by speaker"] = lambda: plots.by_speaker(speakers, _decoders(run))
    found = confusions(decoded[decoder])
    (row,) = (row for row in run.scores if (row.test, row.decoder) == (name, decoder))
    return {
        "name": name,
        "decoder": decoder,
        "told": interval_told(row),
        "plots": {f"Word error rate {told}": plots.svg(draw) for told, draw in drawn.items()},
        "lengths": _groups("words in the reference", list(lengths[decoder]), lengths),
        "speakers": _groups("speaker", order[:_SPEAKERS], speakers, said) if known else None,
        "speakers_more": max(0, len(order) - _SPEAKERS),
        "confusions": {
            "Words": _confused(found.words),
            "Characters": _confused(found.characters),
        },
        "left_out": found.left_out,
    }


def _first(decoded: Mapping[str, Lines], decoder: str) -> dict[str, Lines]:
    return {decoder: decoded[decoder], **decoded}


def _groups(
    heading: str,
    names: Sequence[str],
    groups: Mapping[str, Mapping[str, Edits]],
    utterances: Mapping[str, int] | None = None,
) -> Table:
    """A row a group, with the errors and the rate of every decoder."""
    first = next(iter(groups.values()))
    rows = [
        [
            name or "not known",
            *([f"{utterances[name]:,}"] if utterances else []),
            f"{first[name].reference_length:,}",
            *(f"{found[name].total:,}" for found in groups.values()),
            *(_rate(found[name].rate) for found in groups.values()),
        ]
        for name in names
    ]
    headings = [heading, *(["utterances"] if utterances else []), "words"]
    headings += [f"{what} {each}" for what in ("errors", "WER") for each in groups]
    return Table(headings, rows)


def _confused(found: Counter[Match]) -> dict[str, Table]:
    """The most frequent ones, by what they are."""
    kinds = {
        "taken for others": (["said", "heard"], [each for each in found if None not in each]),
        "left out": (["said"], [each for each in found if each[1] is None]),
        "put in": (["heard"], [each for each in found if each[0] is None]),
    }
    tables = {}
    for kind, (headings, matches) in kinds.items():
        most = sorted(matches, key=lambda match: (-found[match], str(match)))[:_CONFUSIONS]
        rows = [[*(_sign(each) for each in match if each), f"{found[match]:,}"] for match in most]
        tables[kind] = Table([*headings, "times"], rows, texts=len(headings))
    return {kind: table for kind, table in tables.items() if table.rows}


def _sign(text: str) -> str:
    """A word, cut where it is none of a language; or a character, of which a space is not seen.

    >>> _sign(" "), _sign("a")
    ('␣', 'a')
    """
    return "␣" if text == " " else shown(text, _LONGEST_WORD)


def _utterances(
    run: Run, name: str, recipe: Recipe | None, clips: Clips, *, each: int
) -> dict[str, Any]:
    """Those that are shown, and what goes with them."""
    decoder = run.chosen_decoder(name)
    decoded = _first(run.decoded[name], decoder)
    lines = decoded[decoder]
    by_id = {other: {line["id"]: line for line in found} for other, found in decoded.items()}
    groups = {
        heading: [
            utterance(
                lines[place],
                {
                    other: found[lines[place]["id"]]
                    for other, found in by_id.items()
                    if lines[place]["id"] in found
                },
            )
            for place in places
        ]
        for heading, places in chosen(lines, each=each).items()
    }
    ordered = [one for places in groups.values() for one in places]
    addresses = clips.of(name, [one.id for one in ordered]) if ordered else {}
    return {
        "utterances": groups,
        "clips": addresses,
        "why_no_clips": clips.why_none.get(name, ""),
        "emissions": _emissions(run, name, recipe, ordered),
    }


def _emissions(
    run: Run, name: str, recipe: Recipe | None, among: Sequence[Utterance]
) -> EmissionsPart | None:
    """Of the longest utterance that is short enough to be seen whole, if there is one."""
    short = [one for one in among if (one.seconds or 0) <= _SHORT_SECONDS]
    if recipe is None or not short:
        return None
    one = max(short, key=lambda one: one.seconds or 0)
    units: Units = recipe.units.build(alphabet=recipe.text.alphabet)
    labels = units.vocabulary.labels
    try:
        found = emissions_of(run.emissions(name), one.id)
    except SpeechkitError:
        return None
    if found is None or found.log_probs.shape[2] != len(labels) or not found.log_probs.shape[1]:
        return None
    frames = found.log_probs.shape[1]
    begin = [found.start_seconds(0, frame) for frame in range(frames)]
    seconds = np.array([*begin, begin[-1] + found.frame_shift_seconds])
    probabilities = found.log_probs[0].exp().double().numpy()
    words = one.decoded[0].shown
    drawn = plots.svg(lambda: plots.emissions(probabilities, seconds, labels, words))
    return EmissionsPart(one.id, drawn)
