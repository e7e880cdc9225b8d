"""What tests of several packages share."""

from pathlib import Path

import pytest

from speechkit import discovery
from speechkit.discovery import Plugins, load_plugins

TOYS = Path(__file__).parent / "speechkit" / "toy_plugin.py"


@pytest.fixture
def no_entry_points(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if no plugin were installed."""
    monkeypatch.setattr(discovery, "entry_points", lambda group: [])


@pytest.fixture
def toys(no_entry_points: None) -> Plugins:
    """The parts in `toy_plugin.py`, and no others."""
    return load_plugins([TOYS])
