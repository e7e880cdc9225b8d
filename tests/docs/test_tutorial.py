"""The tutorial as it stands: its files are written, its commands run, its output is what comes."""

import os
import re
import site
import subprocess
import venv
from itertools import pairwise

import pytest
from page_blocks import ROOT, fenced

TUTORIAL = ROOT / "docs" / "tutorials" / "first_plugin.md"
COMMANDS = {"pip": "pip", "pytest": "pytest -p no:cacheprovider", "speechkit": "speechkit"}


@pytest.fixture
def environment(tmp_path):
    """As in a virtual environment of the reader's, which sees what is installed here."""
    for needed in ("hatchling", "pip"):
        pytest.importorskip(needed, reason=f"{needed}, which installs the package, is needed")
    home = tmp_path / "venv"
    venv.create(home)
    packages = next(home.glob("lib/python*/site-packages"))
    here = [*os.environ.get("PYTHONPATH", "").split(os.pathsep), *site.getsitepackages()]
    # `addsitedir`, so that what is installed editable here is found there, too.
    added = "".join(f"import site; site.addsitedir({each!r})\n" for each in here if each)
    (packages / "here.pth").write_text(added)
    for name, module in COMMANDS.items():
        script = home / "bin" / name
        script.write_text(f'#!/bin/sh\nexec "{home}/bin/python" -m {module} "$@"\n')
        script.chmod(0o755)
    changes = {
        "PATH": f"{home / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "COLUMNS": "200",
        "OMP_NUM_THREADS": "1",
        "SPEECHKIT_CACHE": str(tmp_path / "cache"),
        "PIP_NO_INDEX": "1",
        "PIP_NO_DEPS": "1",
        "PIP_NO_BUILD_ISOLATION": "0",  # which means: no isolation
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    return {name: value for name, value in (os.environ | changes).items() if name != "PYTHONPATH"}


def pattern(line: str) -> re.Pattern[str]:
    """A line of output: numbers and widths of gaps may be others, and `...` stands for anything."""
    plain = re.escape(" ".join(line.split()))
    return re.compile(re.sub(r"\d+", r"\\d+", plain).replace(r"\.\.\.", ".*"))


def as_shown(shown: str, output: str) -> list[str]:
    """Lines that the page shows and the output lacks, or has in another order."""
    lines = iter(" ".join(each.split()) for each in output.splitlines())
    lacking = []
    for line in filter(str.strip, shown.splitlines()):
        if line.strip() != "...":
            wanted = pattern(line)
            if not any(wanted.fullmatch(each) for each in lines):
                lacking.append(line)
                lines = iter(())
    return lacking


@pytest.mark.slow
@pytest.mark.timeout(1200)  # many short programs: slow on a busy machine
def test_as_it_stands(environment, tmp_path):
    work = tmp_path / "work"
    work.mkdir()
    blocks = fenced(TUTORIAL)
    assert {each.language for each in blocks} == {"python", "toml", "sh", "text"}
    for block, after in pairwise([*blocks, None]):
        where = f"{TUTORIAL.name}:{block.line}"
        if block.language in {"python", "toml"}:
            (work / block.title).write_text(block.text)
        elif block.language == "sh":
            done = subprocess.run(
                ["bash", "-e", "-c", block.text],
                cwd=work,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            expected = int(block.title.removeprefix("ends with ") or 0)
            assert done.returncode == expected, f"{where}\n{done.stdout}"
            if after and after.language == "text":
                assert as_shown(after.text, done.stdout) == [], f"{where}\n{done.stdout}"


def test_output_is_compared_but_for_its_numbers():
    shown = "...\nmodel  n2   0.3 s\n...\n21 passed, 0 failed\n"
    assert as_shown(shown, "x\nmodel n2 12.5 s\ny\n7 passed, 1 failed\n") == []
    assert as_shown(shown, "model n2 12.5 s\n7 passed, none failed\n") == ["21 passed, 0 failed"]
    assert as_shown("b\na\n", "a\nb\n") == ["a"]
    assert as_shown("row ... is\n", "row 0 of 3 is\n") == []
