"""The page about hooks says what the code says, and knows every hook."""

import importlib.util
import inspect
from dataclasses import fields
from pathlib import Path

import pytest

from speechkit import hookspecs, interfaces
from speechkit.hookspecs import HOOKS, KINDS, TRACKER_HOOKS

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "docs" / "_site" / "hooks_page.py"

pytestmark = pytest.mark.skipif(not SCRIPT.is_file(), reason="docs/ is not here")


@pytest.fixture
def script():
    spec = importlib.util.spec_from_file_location("hooks_page", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_what_the_code_makes(script):
    page = script.PLACE.read_text(encoding="utf-8")
    assert page == script.page(), "write it again: python docs/_site/hooks_page.py"


def test_the_page_has_every_hook_with_its_arguments_and_every_field(script):
    page = script.page()
    for hook in HOOKS:
        signature = inspect.signature(getattr(hookspecs, hook))
        section = page.partition(f"### {hook}")[2].partition("\n### ")[0]
        assert f"def {hook}(" in section
        for argument in signature.parameters:
            assert f"- `{argument}`: " in section
    records = (interfaces.RunInfo, interfaces.StepEnd, interfaces.EpochEnd, interfaces.RunEnd)
    for record in records:
        section = page.partition(f"### {record.__name__}\n")[2].partition("\n### ")[0]
        for each in fields(record):
            assert f"\n{each.name} " in section


def test_every_function_of_hookspecs_is_a_hook_that_is_called():
    functions = {name for name in vars(hookspecs) if name.startswith("speechkit_")}
    assert functions == set(HOOKS)
    assert len(set(HOOKS)) == len(HOOKS)
    source = "".join(
        file.read_text(encoding="utf-8")
        for file in Path(hookspecs.__file__).parent.rglob("*.py")
        if file.name != "hookspecs.py"
    )
    assert [hook for hook in TRACKER_HOOKS if f'tell("{hook}"' not in source] == []
    assert "manager.hook.speechkit_recipes" in source
    assert set(KINDS.values()) < set(HOOKS)
