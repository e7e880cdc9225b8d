"""The models that come with speechkit: whole, small enough, and in its wheel."""

import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

from speechkit.trained import verified
from speechkit.trained.installed import GROUP

ROOT = Path(__file__).parents[3]
MOST_BYTES = 12_000_000  # of all models together: everybody who installs speechkit fetches them
[PACKAGE] = find_spec("speechkit_pretrained").submodule_search_locations
SHIPPED = sorted(each.parent for each in Path(PACKAGE).glob("*/model.json"))
PLACE = "plugins/speechkit_pretrained"


def test_they_are_small_together():
    files = [each for folder in SHIPPED for each in folder.rglob("*") if each.is_file()]
    assert sum(each.stat().st_size for each in files) <= MOST_BYTES


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda each: each.name)
def test_they_are_what_their_cards_say(folder):
    facts = verified(folder)
    assert facts.name == folder.name
    assert facts.licence
    assert facts.best()


def test_the_wheel_holds_them(tmp_path):
    """As hatchling lists it, of a checkout with a model in it."""
    builders = pytest.importorskip("hatchling.builders.wheel", reason="hatchling builds the wheel")
    names = ["ru-tiny/model.json", "ru-tiny/README.md", "ru-tiny/lm/lm.safetensors"]
    for name in (
        "speechkit/__init__.py",
        "recipes/a.toml",
        "lm/speechkit_lm/__init__.py",
        f"{PLACE}/__init__.py",
        f"{PLACE}/__pycache__/__init__.cpython-311.pyc",
        *(f"{PLACE}/{each}" for each in names),
    ):
        place = tmp_path / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text('__version__ = "1"\n')
    for name in ("pyproject.toml", "README.md", "LICENSE", ".gitignore"):
        if (ROOT / name).is_file():
            shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "LICENSE").touch()
    builder = builders.WheelBuilder(str(tmp_path))
    listed = {each.distribution_path for each in builder.recurse_included_files()}
    assert builder.metadata.core.entry_points[GROUP] == {"speechkit": "speechkit_pretrained"}
    theirs = {each for each in listed if each.startswith("speechkit_pretrained/")}
    assert theirs == {f"speechkit_pretrained/{each}" for each in ("__init__.py", *names)}
