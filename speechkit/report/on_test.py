"""What a report says of a test set."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from speechkit.decoding.emissions import emissions_of
from speechkit.errors import SpeechkitError
from speechkit.interfaces import Units
from speechkit.recipe import Recipe
from speechkit.report import plots
from speechkit.report.blocks import Table
from speechkit.report.clips import Clips
from speechkit.report.confusions import confusions
from speechkit.report.html import shown
from speechkit.report.read import Run
from speechkit.report.tables import rate
from speechkit.report.utterances import Utterance, chosen, utterance
from speechkit.scoring.edits import Edits, Match
from speechkit.scoring.scores import Lines, by_length, by_speaker
from speechkit.scoring.told import interval_told

_CONFUSIONS = 20  # rows of a table
_LONGEST_WORD = 60  # characters
_SPEAKERS = 200  # rows of a table
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


def counted(run: Run, name: str, *, draw: bool) -> dict[str, Any]:
    """The errors of a test set, by groups and by what is confused; with figures, or without."""
    decoder, decoded = run.chosen_decoder(name), run.decoded[name]
    lengths = {each: by_length(lines) for each, lines in decoded.items()}
    speakers = {each: by_speaker(lines) for each, lines in decoded.items()}
    said = Counter(line.get("speaker") or "" for line in decoded[decoder])
    known = any(said)
    order = sorted(speakers[decoder], key=lambda speaker: -speakers[decoder][speaker].rate)
    drawn = {}
    if draw:
        drawn["by length of the reference"] = lambda: plots.by_length(lengths, run.decoders)
    if draw and known:
        drawn["by speaker"] = lambda: plots.by_speaker(speakers, run.decoders)
    found = confusions(decoded[decoder])
    (row,) = (row for row in run.scores if (row.test, row.decoder) == (name, decoder))
    return {
        "name": name,
        "decoder": decoder,
        "told": interval_told(row),
        "plots": {f"Word error rate {told}": plots.svg(figure) for told, figure in drawn.items()},
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
    """All, this one before the others."""
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
            *(rate(found[name].rate) for found in groups.values()),
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


def utterances(
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
