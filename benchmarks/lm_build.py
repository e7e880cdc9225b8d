"""Building a language model, against lmplz: time, memory, and every number of the model.

    python benchmarks/lm_build.py [--text FILE] [--order 3] [--runs 5] [--cores 2]

Both programs read the same plain text file and are whole processes, start and imports included.
They take turns, and medians are shown, since other work may share the machine. (The limits are for
the default text and order: with little text the start of Python is most of our time.) lmplz runs a
thread for every step of its pipeline and cannot be told otherwise; our program computes in one
thread. So the processor time is shown, too, and `--cores 1` gives both one core.

lmplz is taken from the PATH, or built from kenlm's source where pip, cmake, a compiler and
boost's headers (Debian: libboost-all-dev) are there.
"""

import argparse
import gzip
import json
import os
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

OURS = (sys.executable, "-c", "from speechkit_lm.cli import app; app()")
LIMITS = {"arrays": 2.0, "ARPA": 3.0}  # times lmplz's time
MEMORY_LIMIT_GIB = 2.0
LOG10_LIMIT = 1e-4


@dataclass(frozen=True)
class Measured:
    """One run of a program, as the kernel counts."""

    seconds: float
    processor_seconds: float
    peak_gib: float


def main() -> None:
    """Measure, compare, tell."""
    options = _options()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.cores])
    with tempfile.TemporaryDirectory(prefix="lm_build.", dir=options.work) as work_name:
        work = Path(work_name)
        lmplz = shutil.which("lmplz") or _built_lmplz(work)
        text = _unpacked(options.text, work / "text.txt")
        outputs = {
            "arrays": work / "ours.safetensors",
            "ARPA": work / "ours.arpa",
            "lmplz": work / "lmplz.arpa",
        }
        order = str(options.order)
        build = [*OURS, "build", "--order", order, "--memory", "2", str(text), "--output"]
        theirs = [lmplz, "--order", order, "--memory", "2G", "--temp_prefix", f"{work}/"]
        commands = {
            "arrays": [*build, str(outputs["arrays"])],
            "ARPA": [*build, str(outputs["ARPA"])],
            "lmplz": [*theirs, "--text", str(text), "--arpa", str(outputs["lmplz"])],
        }
        runs: dict[str, list[Measured]] = {name: [] for name in commands}
        for turn in range(options.runs):
            for name, command in commands.items():
                outputs[name].unlink(missing_ok=True)
                runs[name].append(_run(command))
                print(f"run {turn + 1} {name}: {runs[name][-1].seconds:.2f} s", file=sys.stderr)
        report = _report(runs, options)
        report["largest_difference_log10"] = largest_difference(outputs["ARPA"], outputs["lmplz"])
        report["arpa_bytes"] = outputs["ARPA"].stat().st_size
    _tell(report)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1), encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    data = os.environ.get("SPEECHKIT_DATA", ".")
    parser.add_argument("--text", type=Path, default=Path(data) / "text" / "en.txt.gz")
    parser.add_argument("--order", type=int, default=3)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--cores", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--work", type=Path, help="folder for temporary files")
    parser.add_argument("--json", type=Path, help="write the figures here, too")
    return parser.parse_args()


def _built_lmplz(work: Path) -> str:
    """Build lmplz from kenlm's source distribution."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--no-binary", "kenlm", "--dest", str(work), "kenlm"], check=True)
    (source,) = work.glob("kenlm-*.tar.gz")
    with tarfile.open(source) as packed:
        packed.extractall(work, filter="data")
    (folder,) = [each for each in work.glob("kenlm-*") if each.is_dir()]
    build = work / "build"
    print("building lmplz", file=sys.stderr)
    _run(["cmake", "-S", str(folder), "-B", str(build), "-DCMAKE_BUILD_TYPE=Release"])
    _run(["cmake", "--build", str(build), "--parallel", "2", "--target", "lmplz"])
    return str(build / "bin" / "lmplz")


def _unpacked(text: Path, to: Path) -> Path:
    """Packed text unpacked, so that both programs read it themselves."""
    if text.suffix != ".gz":
        return text.resolve()
    with gzip.open(text) as packed, to.open("wb") as plain:
        shutil.copyfileobj(packed, plain)
    return to


def _run(command: Sequence[str]) -> Measured:
    began = time.monotonic()
    with tempfile.TemporaryFile() as said:
        running = subprocess.Popen(command, stdout=said, stderr=said)
        _, status, used = os.wait4(running.pid, 0)
        running.returncode = os.waitstatus_to_exitcode(status)
        if status:
            said.seek(0)
            sys.exit(f"{command[0]} failed: {said.read().decode(errors='replace')}")
    return Measured(
        seconds=time.monotonic() - began,
        processor_seconds=used.ru_utime + used.ru_stime,
        peak_gib=used.ru_maxrss / 2**20,
    )


def _report(runs: dict[str, list[Measured]], options: argparse.Namespace) -> dict[str, Any]:
    medians = {
        name: Measured(
            *(
                statistics.median(getattr(each, field) for each in measured)
                for field in ("seconds", "processor_seconds", "peak_gib")
            )
        )
        for name, measured in runs.items()
    }
    base = medians["lmplz"]
    return {
        "text": options.text.name,
        "order": options.order,
        "cores": len(os.sched_getaffinity(0)),
        "runs": {name: [asdict(each) for each in measured] for name, measured in runs.items()},
        "medians": {name: asdict(each) for name, each in medians.items()},
        "times_lmplz": {name: medians[name].seconds / base.seconds for name in LIMITS},
    }


def largest_difference(ours: Path, theirs: Path) -> float:
    """The largest difference of a log10 probability or back-off weight, over all n-grams.

    Read line by line without any of our code. `inf` if one has an n-gram that the other lacks.
    """
    numbers = dict(_ngrams(theirs))
    largest = 0.0
    for ngram, found in _ngrams(ours):
        expected = numbers.pop(ngram, None)
        if expected is None:
            return float("inf")
        largest = max(largest, *(abs(a - b) for a, b in zip(found, expected, strict=True)))
    return float("inf") if numbers else largest


def _ngrams(path: Path) -> Iterator[tuple[str, tuple[float, ...]]]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            fields = line.split("\t")
            if len(fields) > 1:
                yield fields[1].rstrip("\n"), tuple(map(float, [fields[0], *fields[2:]]))


def _tell(report: dict[str, Any]) -> None:
    print(f"{report['text']}, order {report['order']}, {report['cores']} cores, medians:")
    print("| | seconds | processor seconds | peak GiB | times lmplz | limit |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, each in report["medians"].items():
        times = report["times_lmplz"].get(name, 1.0)
        limit = LIMITS.get(name, "")
        print(
            f"| {name} | {each['seconds']:.2f} | {each['processor_seconds']:.2f} | "
            f"{each['peak_gib']:.2f} | {times:.2f} | {limit} |"
        )
    print(f"largest difference of log10: {report['largest_difference_log10']:.2g}")
    held = (
        all(report["times_lmplz"][name] <= limit for name, limit in LIMITS.items())
        and all(report["medians"][name]["peak_gib"] <= MEMORY_LIMIT_GIB for name in LIMITS)
        and report["largest_difference_log10"] <= LOG10_LIMIT
    )
    print("within the limits" if held else "NOT within the limits")


if __name__ == "__main__":
    main()
