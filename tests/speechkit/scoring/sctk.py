"""NIST's scoring programs, where they are installed (Debian: the package sctk)."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest


def command(name: str) -> list[str]:
    """How to call one of the programs; skips the test where there is none."""
    if shutil.which(name):
        return [name]
    if shutil.which("sctk"):  # Debian's wrapper
        return ["sctk", name]
    pytest.skip(f"{name} is not on PATH: install NIST's SCTK (Debian: apt install sctk)")


def aligned(folder: Path, references: list[str], *systems: list[str]) -> str:
    """What sclite writes as SGML of each system's alignments."""
    write(folder / "reference", references)
    call = [*command("sclite"), "-r", str(folder / "reference"), "trn", "-i", "rm", "-s"]
    for number, texts in enumerate(systems):
        write(folder / f"system{number}", texts)
        call += ["-h", str(folder / f"system{number}"), "trn", f"system{number}"]
    call += ["-e", "utf-8", "-o", "sgml", "stdout"]
    return subprocess.run(call, capture_output=True, text=True, check=True).stdout


def write(place: Path, texts: list[str]) -> None:
    lines = [f"{text} (speaker-{number:05d})\n" for number, text in enumerate(texts)]
    place.write_text("".join(lines), encoding="utf-8")


def kinds(sgml: str) -> dict[int, str]:
    """By utterance, C, S, D or I of each step of its alignment."""
    paths = re.findall(r'<PATH id="\(speaker-(\d+)\)"[^>]*>\n(.*?)\n?</PATH>', sgml, re.DOTALL)
    return {int(number): "".join(re.findall(r"(?:^|:)([CSDI]),", steps)) for number, steps in paths}
