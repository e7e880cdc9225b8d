"""What tests of several packages share."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import settings
from tones import furnish
from web_server import Server, serving

from speechkit import discovery
from speechkit.discovery import Plugins, load_plugins

# A busy machine is slow now and then; nothing is wrong with what is tested.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

# Tests that run beside one another have a core each: OpenMP threads that share one spin.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # of processes that tests start
    torch.set_num_threads(1)

TOYS = Path(__file__).parent / "speechkit" / "toy_plugin.py"


@pytest.fixture
def no_entry_points(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if no plugin were installed."""
    monkeypatch.setattr(discovery, "entry_points", lambda group: [])


@pytest.fixture
def toys(no_entry_points: None) -> Plugins:
    """The parts in `toy_plugin.py`, and no others."""
    return load_plugins([TOYS])


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports without figures, which take a second or two to draw."""
    monkeypatch.setattr("speechkit.report.plots.svg", lambda draw: "")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A web server on this machine, and a client that waits no longer than a test can."""
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr("speechkit.download.web.FIRST_WAIT_SECONDS", 0.001)
    with serving() as started:
        yield started


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a recipe and three parts of a corpus, and a cache of its own."""
    monkeypatch.setenv("SPEECHKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    furnish(tmp_path)
    yield tmp_path
    torch.set_flush_denormal(False)  # a run sets it for its process, which here is the tests'
