"""Carries out the systems of docs/results.md, and writes its tables from what the runs left.

    python benchmarks/results.py                       # trains, decodes, prints the tables
    python benchmarks/results.py --output docs/results.md    # puts them between the page's marks
    python benchmarks/results.py --read                # only reads the runs that are there
    python benchmarks/results.py --seed 18 --output docs/results.md   # all again, and compares

`benchmarks/results.toml` lists the systems (`--table` names another list, `--only NAME` one of
them). Each is `speechkit run RECIPE --run NAME`, once for each decoder: what is there already is
not done again, and a training that was stopped goes on. Every number in the tables is from files
of the run's folder. Rows of a page whose runs are not here, since another machine made them, stay
as they are.

With `--seed` the runs are called NAME-seed-N, and each error rate is set beside that of NAME, from
its run or, where that is not here, from the page of `--output`. It is

    within   in the 95 % interval of NAME's: it holds
    overlap  not in it, but the two intervals meet: chance alone may well part them
    apart    neither: one of the two is no number to rely on

and the exit code is 1 if any is apart, or a run failed.
"""

import argparse
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked

from speechkit.data.files import written_whole
from speechkit.errors import RunError
from speechkit.report.blocks import Block, Heading, Paragraph, Table
from speechkit.report.markdown import to_markdown
from speechkit.report.read import Run, read_run
from speechkit.scoring.scores import Score
from speechkit.scoring.told import errors_cut, interval_shown, interval_told

ROOT = Path("runs")
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"
SHARES = (0.1, 0.25, 0.5, 0.75, 1.0)  # of the training, at which its curve is told


def run_name(system: str, seed: int | None) -> str:
    """What the run of a system is called."""
    return system if seed is None else f"{system}-seed-{seed}"


@checked(frozen=True, config=ConfigDict(extra="forbid"))
class System:
    """A recipe with settings, as the table has it."""

    name: str
    recipe: str
    profile: str | None = None
    set: tuple[str, ...] = ()
    start_from: str | None = None  # an earlier system, trained with the same seed
    decoders: tuple[str, ...] = ("greedy",)

    def run(self, seed: int | None) -> str:
        """The name of its run."""
        return run_name(self.name, seed)

    def command(self, decoder: str, seed: int | None) -> list[str]:
        """What carries it out, after `speechkit`."""
        words = ["run", self.recipe, "--run", self.run(seed)]
        words += ["--profile", self.profile] if self.profile else []
        changes = [*self.set, f"decoder.use={decoder}"]
        if self.start_from:
            changes.append(f"model.start_from={run_name(self.start_from, seed)}")
        changes += [] if seed is None else [f"recipe.seed={seed}"]
        return [*words, *(word for each in changes for word in ("--set", each))]


@dataclass(frozen=True)
class Left:
    """What a system's run left."""

    system: System
    seed: int | None
    run: Run

    def score(self, decoder: str, test: str) -> Score | None:
        """The row of a test."""
        rows = (each for each in self.run.scores if (each.decoder, each.test) == (decoder, test))
        return next(rows, None)

    def rows(self) -> Iterator[tuple[str, Score]]:
        """Decoder and score: tests in their order, decoders as the table has them."""
        for test in self.run.decoded:
            for decoder in self.system.decoders:
                if score := self.score(decoder.replace(":", "-"), test):
                    yield decoder, score


def speechkit(arguments: Sequence[str]) -> int:
    """Give a command; its exit code."""
    return subprocess.run([sys.executable, "-m", "speechkit", *arguments], check=False).returncode


def systems_in(file: Path) -> list[System]:
    """The systems of a table.

    Raises:
        SystemExit: it is none, or a system starts from one that is not trained before it.
    """
    try:
        listed = tomllib.loads(file.read_text(encoding="utf-8"))["system"]
        systems = TypeAdapter(list[System]).validate_python(listed)
    except (OSError, KeyError, tomllib.TOMLDecodeError, ValidationError) as error:
        raise SystemExit(f"error: {file}: {error}") from None
    names: list[str] = []
    for each in systems:
        if each.start_from and each.start_from not in names:
            told = ", ".join(names) or "none"
            raise SystemExit(
                f"error: {file}: {each.name} starts from {each.start_from}, which is no system "
                f"above it: {told}"
            )
        names.append(each.name)
    return systems


def carry_out(systems: Sequence[System], seed: int | None) -> list[str]:
    """Train and decode all; gives the commands that failed."""
    failed = []
    for system in systems:
        for decoder in system.decoders:
            command = system.command(decoder, seed)
            print(f"$ {shown(command)}", file=sys.stderr, flush=True)
            if speechkit(command):
                failed.append(shown(command))
    return failed


def left_by(systems: Sequence[System], seed: int | None) -> Iterator[Left]:
    """What the runs left; one that is not there, or was not scored, is told and passed over."""
    for system in systems:
        try:
            yield Left(system, seed, read_run(ROOT / system.run(seed)))
        except RunError as error:
            print(f"left out: {error}", file=sys.stderr)


def shown(command: Sequence[str]) -> str:
    """A command as a reader types it."""
    return shlex.join(["speechkit", *command])


# ---- tables

SYSTEMS, RATES, CURVES, SEEDS = "Systems", "Error rates", "Learning curves", "Seeds"


@dataclass
class Earlier:
    """What a page says already, so that runs of other machines stay in it.

    rows       of each table, by its heading: cells by the headings of their columns
    told       the paragraphs under the error rates
    """

    rows: dict[str, list[dict[str, str]]]
    told: list[str]

    def measures(self) -> list[str]:
        """The names of its score protocols' measures."""
        names = list(self.rows.get(RATES, [{}])[0])
        return names[names.index("CER") + 1 : names.index("words")] if "CER" in names else []

    def table(self, heading: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
        """Rows, after what the page has of systems that are not among them."""
        keys = {RATES: 3, SEEDS: 3}.get(heading, 1)  # columns that say what a row is of
        named = {tuple(row[:keys]) for row in rows}
        stay = [
            [each.get(name, "") for name in headings]
            for each in self.rows.get(heading, [])
            if tuple(each[name] for name in headings[:keys]) not in named
        ]
        texts = {SYSTEMS: 3, RATES: 4, CURVES: 1, SEEDS: 4}[heading]
        return Table(headings, [*stay, *rows], texts=texts)


def earlier(place: Path | None) -> Earlier:
    """What the tables of a page have between its marks; nothing if there is none."""
    found = Earlier({}, [])
    if place is None or not place.is_file():
        return found
    text = place.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]
    heading, names = "", list[str]()
    for line in text.splitlines():
        if line.startswith("#"):
            heading, names = line.lstrip("# "), []
        elif line.startswith("|"):
            cells = [_plain(each).strip() for each in re.split(r"(?<!\\)\|", line)[1:-1]]
            if not names:
                names = cells
            elif not cells[0].startswith("---"):
                found.rows.setdefault(heading, []).append(dict(zip(names, cells, strict=True)))
        elif line and heading == RATES:
            found.told.append(_plain(line))
    return found


def _subject(told: str) -> tuple[str, str]:
    """The test, and its words, that a paragraph under the error rates is of."""
    test, _, rest = told.partition(", ")
    return test, rest.partition(" words: ")[0]


def _plain(marked: str) -> str:
    return re.sub(r"\\(.)", r"\1", marked)


def page(left: Sequence[Left], before: Earlier) -> Iterator[Block]:
    """Systems, error rates, curves, and what the intervals speak of."""
    yield Heading(SYSTEMS)
    headings = ["system", "recipe", "on", "speech, h", "parameters", "epochs", "minutes", "seed"]
    yield before.table(SYSTEMS, headings, [_system(each) for each in left])
    yield Heading(RATES)
    own = [name for each in left for _, score in each.rows() for name in score.measures]
    measures = list(dict.fromkeys([*before.measures(), *own]))
    headings = ["system", "decoder", "test", "command"]
    headings += ["WER", "95 %", "cut", "CER", *measures, "words", "speakers"]
    rates = before.table(RATES, headings, [row for each in left for row in _rates(each, measures)])
    yield rates
    told = (  # two systems may have different tests of one name: the words tell them apart
        f"{score.test}, {score.words:,} words: {interval_told(score)}"
        for each in left
        for _, score in each.rows()
    )
    of = {(row[2], row[headings.index("words")]) for row in rates.rows}
    stay = [each for each in before.told if _subject(each) in of]
    for line in dict.fromkeys([*stay, *told]):
        yield Paragraph(line)
    yield Heading(CURVES)
    yield Paragraph("WER of the validation part, greedy, when so much of the training was done.")
    curves = [[each.run.folder.name, *_curve(each.run)] for each in left]
    yield before.table(CURVES, ["system", *(f"{share:.0%}" for share in SHARES)], curves)


def _system(left: Left) -> list[str]:
    run, recipe = left.run, left.run.recipe
    seconds, speech = run.training_seconds, run.part("train").get("seconds")
    threads, count = run.environment.get("threads"), run.environment.get("processes", 1)
    together = f", {count} processes" if count > 1 else ""
    device = str(run.environment.get("device", ""))
    named = [left.system.recipe, *([left.system.profile] if left.system.profile else [])]
    named += [f"from {left.system.start_from}"] if left.system.start_from else []
    return [
        run.folder.name,
        " ".join([*named, *left.system.set]),
        f"{device}{together}, threads: {threads}" if device == "cpu" else f"{device}{together}",
        "" if speech is None else f"{speech / 3600:.2f}",
        "" if run.parameters is None else f"{run.parameters:,}",
        "" if run.epochs is None else str(run.epochs),
        "" if seconds is None else f"{seconds / 60:.3g}",
        str(recipe.get("recipe", {}).get("seed", "")),
    ]


def _rates(left: Left, measures: Sequence[str]) -> Iterator[list[str]]:
    for decoder, score in left.rows():
        yield [
            left.run.folder.name,
            decoder,
            score.test,
            shown(left.system.command(decoder, left.seed)),
            f"{score.wer:.4f}",
            interval_shown(score),
            errors_cut(score, left.run.scores),
            f"{score.cer:.4f}",
            *(f"{score.measures[name]:.4f}" if name in score.measures else "" for name in measures),
            f"{score.words:,}",
            f"{score.speakers}" if score.speakers else "not named",
        ]


def _curve(run: Run) -> Iterator[str]:
    validations = run.metrics.get("validation", [])
    for share in SHARES:
        until = share * (run.epochs or 0)
        rates = [each["wer"] for each in validations if each["epoch"] <= until]
        yield f"{rates[-1]:.4f}" if rates else ""


@dataclass(frozen=True)
class Rate:
    """A word error rate and its interval, where it has one."""

    wer: float
    wer_low: float | None
    wer_high: float | None

    def __str__(self) -> str:
        return f"{self.wer:.4f}"


def rates_of(left: Sequence[Left], before: Earlier) -> dict[tuple[str, str, str], Rate]:
    """By run, decoder and test: of the runs that are here, else of the page."""
    found = {}
    for row in before.rows.get(RATES, []):
        low, _, high = row["95 %"].partition("–")
        interval = (float(low), float(high)) if high else (None, None)
        found[row["system"], row["decoder"], row["test"]] = Rate(float(row["WER"]), *interval)
    for each in left:
        for decoder, score in each.rows():
            rate = Rate(score.wer, score.wer_low, score.wer_high)
            found[each.run.folder.name, decoder, score.test] = rate
    return found


def comparison(
    first: Sequence[Left], again: Sequence[Left], before: Earlier
) -> tuple[Table, list[str]]:
    """Each error rate beside that of another seed, and the verdicts."""
    published = rates_of(first, before)
    rows, verdicts = [], []
    for each in again:
        for (_, decoder, test), now in rates_of([each], Earlier({}, [])).items():
            was = published.get((each.system.name, decoder, test))
            if was is None:
                continue
            verdicts.append(verdict(was, now))
            cells = [each.system.name, decoder, test, verdicts[-1]]
            cells += [str(was), interval_shown(was), str(now), interval_shown(now)]
            rows.append([*cells, f"{now.wer - was.wer:+.4f}"])
    headings = ["system", "decoder", "test", "it is", "WER", "95 %", "again", "95 % again"]
    return before.table(SEEDS, [*headings, "difference"], rows), verdicts


def verdict(was: Rate, now: Rate) -> str:
    """Whether an error rate holds, counted again with another seed."""
    if was.wer_low is None or was.wer_high is None:
        return "no interval"
    if was.wer_low <= now.wer <= was.wer_high:
        return "within"
    if now.wer_low is None or now.wer_high is None:
        return "apart"
    overlap = now.wer_low <= was.wer_high and was.wer_low <= now.wer_high
    return "overlap" if overlap else "apart"


# ---- writing


def put(text: str, place: Path) -> None:
    """Put the tables between the marks of a page, or make a page of them.

    Raises:
        SystemExit: the page has no marks.
    """
    whole = place.read_text(encoding="utf-8") if place.is_file() else f"{BEGIN}\n{END}\n"
    before, begins, rest = whole.partition(BEGIN)
    _, ends, after = rest.partition(END)
    if not begins or not ends:
        raise SystemExit(f"error: {place} has no lines {BEGIN} and {END} to put the tables between")
    with written_whole(place) as beside:
        beside.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what is asked for; the exit code."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--table", type=Path, default=Path(__file__).with_name("results.toml"))
    parser.add_argument(
        "--only", action="append", metavar="NAME", help="this system; may be given again"
    )
    parser.add_argument("--seed", type=int, help="train again with it, and compare")
    parser.add_argument("--read", action="store_true", help="carry nothing out")
    parser.add_argument(
        "--output", type=Path, help="a page with marks; else the tables are printed"
    )
    asked = parser.parse_args(arguments)
    systems = systems_in(asked.table)
    names = [each.name for each in systems]
    if strangers := sorted(set(asked.only or []) - set(names)):
        raise SystemExit(f"error: --only {strangers[0]}: {asked.table} has {', '.join(names)}")
    systems = [each for each in systems if not asked.only or each.name in asked.only]
    failed = [] if asked.read else carry_out(systems, asked.seed)
    left = list(left_by(systems, asked.seed))
    before = earlier(asked.output)
    blocks, verdicts = list(page(left, before)), list[str]()
    if asked.seed is not None:
        table, verdicts = comparison(list(left_by(systems, None)), left, before)
        blocks += [Heading(SEEDS), table]
    elif SEEDS in before.rows:
        headings = list(before.rows[SEEDS][0])
        blocks += [Heading(SEEDS), before.table(SEEDS, headings, [])]
    text = to_markdown(blocks)
    if asked.output:
        put(text, asked.output)
    else:
        print(text)
    for each in failed:
        print(f"failed: {each}", file=sys.stderr)
    if asked.seed is not None and not verdicts:
        print(
            f"with seed {asked.seed}: nothing to compare with: neither a run is here of another "
            "seed, nor does a page (--output) have its rates",
            file=sys.stderr,
        )
    if verdicts:
        counts = {each: verdicts.count(each) for each in dict.fromkeys(verdicts)}
        told = ", ".join(f"{count} {each}" for each, count in counts.items())
        print(f"with seed {asked.seed}: {told}", file=sys.stderr)
    return 1 if failed or "apart" in verdicts else 0


if __name__ == "__main__":
    sys.exit(main())
