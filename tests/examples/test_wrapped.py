"""The examples that wrap other libraries' models install, and are found by their owners' names."""

import zipfile
from pathlib import Path

import pytest

from speechkit.discovery import load_plugins

ROOT = Path(__file__).parents[2]

PARTS = {
    "conformer": {("model", "conformer")},
    "hf_ctc": {("features", "hf_ctc"), ("units", "hf_ctc"), ("model", "hf_ctc")},
}


@pytest.mark.parametrize("name", PARTS)
def test_its_wheel_offers_its_parts(name, tmp_path, monkeypatch):
    builders = pytest.importorskip("hatchling.builders.wheel", reason="hatchling builds the wheel")
    builder = builders.WheelBuilder(str(ROOT / "examples" / name))
    [wheel] = builder.build(directory=str(tmp_path / "wheels"), versions=["standard"])
    with zipfile.ZipFile(wheel) as opened:
        opened.extractall(tmp_path / "site")
    monkeypatch.syspath_prepend(tmp_path / "site")
    distribution = f"speechkit-{name.replace('_', '-')}"
    plugins = load_plugins()
    found = [each for each in plugins.all_offers if each.distribution == distribution]
    assert {(each.kind, each.component.name) for each in found} == PARTS[name]
    assert not [row for row in plugins.broken if row.distribution == distribution]
