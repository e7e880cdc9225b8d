"""Decoders against one another: word error rate against time, on emissions of a trained model.

    python benchmarks/decoding.py runs/n2 --validation validation --test librispeech ljspeech \
        --sharp seen

Weights are tuned on the validation part for each family of decoders, then kept; every contender
decodes all utterances of all parts once, for its word error rates, and some of them in several
rounds, in which the contenders take turns, for its time: processor time of one thread, medians of
the rounds, since other work may share the machine.

For each setting of a peer (`kenlm` is pyctcdecode, `flashlight` flashlight-text) the fastest one of
`beam` whose word error rate is at most `MARGIN` above the peer's is compared with it: over all
parts but the sharp ones, and over these alone, such as utterances of the training part, of which
the model is sure.
References are read from what the run decoded (`decoded/DECODER/PART.jsonl`). Decoders whose library
is not installed are left out.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

for _threads in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(_threads, "1")

import torch  # noqa: E402 - it reads the number of threads when it is imported

from speechkit import Component, Decoder, Emissions, Vocabulary  # noqa: E402
from speechkit.decoding.emissions import StoredEmissions, load_emissions  # noqa: E402
from speechkit.decoding.tune import Tunable, tune  # noqa: E402
from speechkit.discovery import load_plugins  # noqa: E402
from speechkit.recogniser import load_recogniser  # noqa: E402
from speechkit.scoring.edits import word_edits  # noqa: E402
from speechkit.scoring.scores import read_decoded  # noqa: E402
from speechkit.settings import TuneSettings  # noqa: E402
from speechkit_lm import NgramModel  # noqa: E402

MARGIN = 0.002  # of word error rate
TARGETS = {  # times as fast
    "unseen": {"kenlm 100": 30.0, "flashlight 100": 15.0, "flashlight 500": 50.0},
    "sharp": {"kenlm 100": 60.0},
}
THRESHOLDS = (2.0, 3.0, 4.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0)  # of flashlight; higher is slower
SLACK = 0.001  # of word error rate
WEIGHTS = {"lm_weight": (0.1, 1.3), "word_bonus": (-1.0, 5.0), "oov_penalty": (4.0, 24.0)}


@dataclass(frozen=True)
class Contender:
    """A decoder with settings.

    family  contenders whose weights are tuned together
    tuned   its settings while they are, where they shall be others
    """

    name: str
    decoder: str
    family: str
    settings: Mapping[str, Any]
    tuned: Mapping[str, Any]


def contenders() -> list[Contender]:
    """All that is compared, if it is installed."""
    found = [Contender("greedy", "greedy", "greedy", {}, {})]
    settings: dict[str, Any]
    for beam in (50, 100, 500):
        settings = {"beam": beam, "processes": 1, "cut_seconds": 0.0}
        tuned = settings | {"beam": 50}
        found.append(Contender(f"kenlm {beam}", "kenlm", "kenlm", settings, tuned))
    for beam in (100, 500):
        settings = {"beam": beam}
        found.append(
            Contender(f"flashlight {beam}", "flashlight", "flashlight", settings, {"beam": 100})
        )
    for vocabulary in ("open", "closed"):
        for scores in ("summed", "viterbi"):
            family = f"beam {vocabulary} {scores}"
            common = {"vocabulary": vocabulary, "scores": scores, "threads": 1}
            for beam, beam_threshold, token_threshold in (
                (8, 8.0, -6.0),
                (8, 8.0, -8.0),
                (12, 8.0, -8.0),
                (16, 8.0, -8.0),
                (24, 8.0, -8.0),
                (32, 9.0, -8.0),
                (48, 9.0, -8.0),
                (64, 10.0, -6.0),
                (64, 10.0, -8.0),
                (100, 10.0, -8.0),
                (200, 12.0, -8.0),
                (500, 14.0, -10.0),
            ):
                settings = common | {
                    "beam": beam,
                    "beam_threshold": beam_threshold,
                    "token_threshold": token_threshold,
                }
                name = f"{family} {beam} ({token_threshold:g})"
                tuned = common | {"beam": 32, "beam_threshold": 9.0}
                found.append(Contender(name, "beam", family, settings, tuned))
    return found


@dataclass(frozen=True)
class Part:
    """Utterances that were emitted, with what was said."""

    name: str
    stored: StoredEmissions
    references: Sequence[str]

    def at(self, temperature: float) -> "Part":
        """The same, less sure: log probabilities over the temperature."""
        flat = (self.stored.log_probs / temperature).log_softmax(-1)
        return Part(self.name, replace(self.stored, log_probs=flat), self.references)

    def first(self, count: int) -> "Part":
        """Some of them, spread over the part."""
        chosen = range(0, len(self.stored), max(1, -(-len(self.stored) // count)))
        texts = [self.references[index] for index in chosen]
        return Part(self.name, self.stored.select(chosen), texts)

    def utterances(self) -> list[Emissions]:
        """One by one: a decoder is timed without its threads."""
        return list(self.stored.batches(1))


@dataclass(frozen=True)
class Row:
    """What was measured of a contender."""

    contender: str
    parts: str  # unseen or sharp
    temperature: float
    weights: dict[str, float]
    wer: dict[str, float]
    wer_all: float
    wer_known: float
    milliseconds: float
    real_time_factor: float


@dataclass
class _Rebuilt:
    """A decoder to be tuned, made anew for each setting."""

    build: Callable[..., Decoder]
    tunable: Mapping[str, tuple[float, float]]

    def retuned(self, **settings: float) -> Decoder:
        return self.build(**settings)


class Bench:
    """Builds decoders, tunes them, and measures them."""

    def __init__(self, vocabulary: Vocabulary, language_model: NgramModel) -> None:
        self.vocabulary = vocabulary
        self.language_model = language_model
        self.components: dict[str, Component[Decoder]] = {}
        for plugin in ("speechkit_greedy", "speechkit_ngram", "speechkit_beam"):
            for component in import_module(plugin).speechkit_decoders():
                self.components[component.name] = component

    def build(self, decoder: str, settings: Mapping[str, Any]) -> Decoder:
        """A decoder as recipes get it."""
        component = self.components[decoder]
        config = component.config(**settings)
        found: Decoder = component.build(
            config, vocabulary=self.vocabulary, language_model=self.language_model
        )
        return found

    def has(self, decoder: str) -> bool:
        """Whether it can be built here."""
        try:
            self.build(decoder, {})
        except Exception as error:
            print(f"{decoder} is left out: {error}")
            return False
        return True

    def weights(self, contender: Contender, validation: Part, count: int) -> dict[str, float]:
        """The best weights of a family."""
        config = self.components[contender.decoder].config
        ranges = {name: ends for name, ends in WEIGHTS.items() if name in config.model_fields}
        if contender.settings.get("vocabulary") == "closed":
            ranges.pop("oov_penalty", None)
        if not ranges:
            return {}

        def build(**settings: float) -> Decoder:
            return self.build(contender.decoder, {**contender.tuned, **settings})

        decoder = build()
        tunable = decoder if isinstance(decoder, Tunable) else _Rebuilt(build, ranges)
        found = tune(
            validation.stored,
            validation.references,
            tunable,
            TuneSettings(utterances=count, minutes=30.0),
            advance=lambda *_: None,
        )
        if found.edges:
            print(f"{contender.family}: at the edge of what was tuned: {', '.join(found.edges)}")
        return found.best.settings

    def threshold(
        self, contender: Contender, weights: Mapping[str, float], validation: Part, count: int
    ) -> float:
        """The lowest beam threshold that costs flashlight no more than `SLACK` of its best."""
        some = validation.first(count)
        rates = {}
        for threshold in THRESHOLDS:
            settings = {**contender.settings, **weights, "beam_threshold": threshold}
            found = texts(self.build(contender.decoder, settings), some.utterances())
            rates[threshold] = word_edits(list(zip(some.references, found, strict=True))).rate
        return min(each for each, rate in rates.items() if rate <= min(rates.values()) + SLACK)


def texts(decoder: Decoder, utterances: Sequence[Emissions]) -> list[str]:
    """What a decoder finds."""
    return [decoder(each)[0][0].text for each in utterances]


def measure(
    bench: Bench,
    chosen: Sequence[Contender],
    parts: Sequence[Part],
    weights: Mapping[str, dict[str, float]],
    options: argparse.Namespace,
    *,
    kind: str,
    temperature: float,
) -> list[Row]:
    """Word error rates and times of all contenders."""
    decoders = {
        each.name: bench.build(each.decoder, {**each.settings, **weights[each.family]})
        for each in chosen
    }
    utterances = {part.name: part.utterances() for part in parts}
    timed = [some for part in parts for some in part.first(options.timed).utterances()]
    seconds = sum(float(some.lengths[0]) * some.frame_shift_seconds for some in timed)
    for decoder in decoders.values():
        decoder(timed[0])  # what is compiled or loaded at first use
    times: dict[str, list[float]] = {name: [] for name in decoders}
    for _ in range(options.rounds):
        for name, decoder in decoders.items():
            began = time.process_time()
            texts(decoder, timed)
            times[name].append(time.process_time() - began)
    rows = []
    for each in chosen:
        pairs = {
            part.name: list(
                zip(
                    part.references,
                    texts(decoders[each.name], utterances[part.name]),
                    strict=True,
                )
            )
            for part in parts
        }
        together = [pair for listed in pairs.values() for pair in listed]
        known = [
            pair
            for pair in together
            if all(word in bench.language_model.word_ids for word in pair[0].split())
        ]
        took = statistics.median(times[each.name])
        row = Row(
            contender=each.name,
            parts=kind,
            temperature=temperature,
            weights=weights[each.family],
            wer={name: word_edits(some).rate for name, some in pairs.items()},
            wer_all=word_edits(together).rate,
            wer_known=word_edits(known).rate if known else 0.0,
            milliseconds=1e3 * took / len(timed),
            real_time_factor=took / seconds,
        )
        print(
            f"{kind:6} T {temperature:g}  {row.contender:26} WER {100 * row.wer_all:6.2f} % "
            f"(known words {100 * row.wer_known:6.2f} %)  {row.milliseconds:8.3f} ms "
            f"RTF {row.real_time_factor:.2e}",
            flush=True,
        )
        rows.append(row)
    return rows


def compare(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Each peer's setting with the fastest `beam` that is as good."""
    ours = [row for row in rows if row.contender.startswith("beam")]
    found = []
    for peer in rows:
        if peer.contender.split()[0] not in {"kenlm", "flashlight"}:
            continue
        good = [row for row in ours if row.wer_all <= peer.wer_all + MARGIN]
        best = min(good, key=lambda row: row.milliseconds, default=None)
        ratio = peer.milliseconds / best.milliseconds if best else 0.0
        target = TARGETS[peer.parts].get(peer.contender) if peer.temperature == 1 else None
        found.append(
            {
                "peer": peer.contender,
                "parts": peer.parts,
                "temperature": peer.temperature,
                "beam": best.contender if best else None,
                "times_as_fast": ratio,
                "target": target,
            }
        )
        name = best.contender if best else "none"
        print(
            f"{peer.parts:6} T {peer.temperature:g}  {peer.contender:15} {name:26} "
            f"{ratio:6.1f} times as fast" + (f" (target {target:g})" if target else "")
        )
    return found


def ten_minutes(bench: Bench, part: Part, weights: Mapping[str, float]) -> float:
    """Processor seconds for ten minutes in one piece, at the default settings."""
    stored = part.stored
    frames = round(600 / stored.frame_shift_seconds)
    repeats = -(-frames // len(stored.log_probs))
    log_probs = stored.log_probs.repeat(repeats, 1)[:frames]
    long = Emissions(log_probs[None], torch.tensor([frames]), stored.frame_shift_seconds)
    decoder = bench.build("beam", {"threads": 1, **weights})
    took = []
    for _ in range(3):
        began = time.process_time()
        decoder(long)
        took.append(time.process_time() - began)
    return statistics.median(took)


def hotword_cost(bench: Bench, part: Part, weights: Mapping[str, float]) -> float:
    """Time with 100 hotwords that are said over time without."""
    words = sorted({word for text in part.references for word in text.split() if len(word) > 3})
    some = words[:: max(1, len(words) // 100)][:100]
    plain = bench.build("beam", {"threads": 1, **weights})
    listening = bench.build("beam", {"threads": 1, **weights, "hotwords": some})
    utterances = part.utterances()
    ratios = []
    for number in range(20):
        took = []
        for decoder in (plain, listening)[:: 1 if number % 2 else -1]:
            began = time.process_time()
            texts(decoder, utterances)
            took.append(time.process_time() - began)
        ratios.append(took[1] / took[0] if number % 2 else took[0] / took[1])
    return statistics.median(ratios)


def draw(rows: Sequence[Row], place: Path) -> None:
    """Write word error rate against time as SVG: time on a logarithmic axis."""
    import math  # noqa: PLC0415 - here only

    width, height, left = 720, 480, 60
    times = [math.log10(row.milliseconds) for row in rows]
    rates = [100 * row.wer_all for row in rows]
    low, high = min(times) - 0.1, max(times) + 0.1
    bottom, top = min(rates) - 1, max(rates) + 1
    colours = {"greedy": "#888888", "kenlm": "#d95f02", "flashlight": "#7570b3", "beam": "#1b9e77"}
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-size="11">',
        f'<text x="{width / 2}" y="{height - 8}">milliseconds an utterance (logarithmic)</text>',
        '<text x="4" y="14">word error rate, %</text>',
    ]
    for power in range(math.ceil(low), math.floor(high) + 1):
        x = left + (power - low) / (high - low) * (width - 2 * left)
        lines.append(f'<line x1="{x}" x2="{x}" y1="20" y2="{height - 40}" stroke="#dddddd"/>')
        lines.append(f'<text x="{x}" y="{height - 26}">{10.0**power:g}</text>')
    for mark in range(math.ceil(bottom), math.floor(top) + 1, max(1, round((top - bottom) / 8))):
        y = 20 + (top - mark) / (top - bottom) * (height - 60)
        lines.append(f'<text x="20" y="{y}">{mark}</text>')
    for row, x_value, rate in zip(rows, times, rates, strict=True):
        x = left + (x_value - low) / (high - low) * (width - 2 * left)
        y = 20 + (top - rate) / (top - bottom) * (height - 60)
        colour = colours[row.contender.split()[0]]
        lines.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>')
        lines.append(f'<text x="{x + 6:.1f}" y="{y + 4:.1f}">{row.contender}</text>')
    place.write_text("\n".join([*lines, "</svg>"]), encoding="utf-8")


def read_part(run: Path, name: str, count: int) -> Part:
    """A part of a run: emissions, and what was said."""
    stored = load_emissions(run / "emissions" / f"{name}.safetensors")
    decoded = sorted((run / "decoded").glob(f"*/{name}.jsonl"))
    if not decoded:
        raise SystemExit(f"{run}/decoded: no {name}.jsonl with references: decode it first")
    said = {line["id"]: line["reference"] for line in read_decoded(decoded[0])}
    part = Part(name, stored, [said[each] for each in stored.ids])
    return part.first(count) if count else part


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="folder of a run")
    parser.add_argument("--alphabet", help="labels after the blank; the run's model's if not given")
    parser.add_argument("--lm", type=Path, help="language model; the run's if not given")
    parser.add_argument("--validation", default="validation", help="part to tune on")
    parser.add_argument("--test", nargs="+", default=[], help="parts to score beside it")
    parser.add_argument("--sharp", nargs="*", default=[], help="parts to score by themselves")
    parser.add_argument("--temperatures", nargs="+", type=float, default=[1.0, 2.5])
    parser.add_argument("--decoders", nargs="+", default=["greedy", "kenlm", "flashlight", "beam"])
    parser.add_argument("--only", default="", help="contenders whose names have this in them")
    parser.add_argument("--rounds", type=int, default=5, help="of timing")
    parser.add_argument("--timed", type=int, default=10, help="utterances of each part timed")
    parser.add_argument("--utterances", type=int, default=0, help="of each part; 0: all")
    parser.add_argument("--tuned", type=int, default=60, help="utterances tuned on")
    parser.add_argument("--output", type=Path, default=Path("decoding.json"))
    return parser.parse_args()


def main() -> None:
    """Read the command line, measure, write."""
    options = _options()

    torch.set_num_threads(1)
    if options.alphabet:
        vocabulary = Vocabulary(("", *options.alphabet))
    else:
        vocabulary = load_recogniser(options.run, load_plugins()).units.vocabulary
    bench = Bench(vocabulary, NgramModel.load(options.lm or options.run / "lm"))
    names = [options.validation, *options.test]
    groups = {
        kind: [read_part(options.run, name, options.utterances) for name in listed]
        for kind, listed in (("unseen", names), ("sharp", options.sharp))
        if listed
    }
    here = {name for name in options.decoders if bench.has(name)}
    chosen = [each for each in contenders() if each.decoder in here and options.only in each.name]
    rows: list[Row] = []
    comparisons: list[dict[str, Any]] = []
    for temperature in options.temperatures:
        validation = groups["unseen"][0].at(temperature)
        weights: dict[str, dict[str, float]] = {}
        for each in chosen:
            if each.family not in weights:
                weights[each.family] = bench.weights(each, validation, options.tuned)
                print(f"T {temperature:g}  {each.family}: {weights[each.family]}", flush=True)
        rivals = []
        for each in chosen:
            settings = dict(each.settings)
            if each.decoder == "flashlight":
                given = weights[each.family]
                settings["beam_threshold"] = bench.threshold(each, given, validation, options.tuned)
                print(f"T {temperature:g}  {each.name}: threshold {settings['beam_threshold']:g}")
            rivals.append(replace(each, settings=settings))
        for kind, parts in groups.items():
            warmer = [part.at(temperature) for part in parts]
            found = measure(
                bench, rivals, warmer, weights, options, kind=kind, temperature=temperature
            )
            draw(
                found, options.output.with_name(f"{options.output.stem}-{kind}-{temperature:g}.svg")
            )
            comparisons += compare(found)
            rows += found
    more: dict[str, float] = {}
    if "beam" in here:
        family = next(
            (row.weights for row in rows if row.contender.startswith("beam open viterbi")), {}
        )
        more["ten_minutes_seconds"] = ten_minutes(bench, groups["unseen"][0], family)
        more["hotwords_time_ratio"] = hotword_cost(bench, groups["unseen"][0], family)
        print(more)
    result = {"rows": [asdict(row) for row in rows], "comparisons": comparisons, **more}
    options.output.write_text(json.dumps(result, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
