"""The contract kit itself: each defect is found by the check for it, a right part by none."""

import pytest
import torch

from speechkit import Component
from speechkit.discovery import load_plugins
from speechkit.testing import check, checks_of
from speechkit.testing.subject import Subject

from . import right
from .wrong import WRONG, DropoutInEval, GivesNoSources, SetsAFlagForAll, said_otherwise

USES = {"decoder": frozenset({"language_model"})}
AT_IMPORT = {
    "prints": "print('hello')",
    "writes the file": "open('left.txt', 'w').close()",
    "changes the global generator of torch": "torch.manual_seed(1)",
    "changes torch's number of threads": "torch.set_num_threads(torch.get_num_threads() + 1)",
    "makes the Linear `layer`": "layer = torch.nn.Linear(2, 2)",
    "starts the program": "import subprocess; subprocess.run(['true'])",
    "connects to": (
        "import socket\ntry: socket.create_connection(('127.0.0.1', 9), 0.1)\nexcept OSError: pass"
    ),
}
PLUGIN = """
import torch
from speechkit import Component, Config, hookimpl
{statement}

class Letters:
    def __init__(self, config, *, alphabet): ...

@hookimpl
def speechkit_units():
    return [Component("letters", Config, Letters)]
"""


def component(kind, build, settings):
    return Component("small", settings, build, uses=USES.get(kind, frozenset()))


def name_of(value):
    return getattr(value, "__name__", None)


@pytest.mark.parametrize("kind", right.RIGHT)
def test_no_check_accuses_a_right_part(kind):
    results = check(component(kind, *right.RIGHT[kind]), kind, skip=["nothing_happens_at_import"])
    assert [(each.check, each.saw) for each in results if each.outcome == "failed"] == []
    assert len(results) == len(checks_of(kind)) - 1


def test_no_check_accuses_a_right_augmentation_of_features():
    part = component("augmentation", right.LouderFrames, right.LouderSettings)
    results = check(part, "augmentation", skip=["nothing_happens_at_import"])
    assert [(each.check, each.saw) for each in results if each.outcome == "failed"] == []


@pytest.mark.parametrize(("kind", "build", "settings", "name"), WRONG, ids=name_of)
def test_each_defect_is_found_by_the_check_for_it(kind, build, settings, name):
    [wanted] = [each for each in checks_of(kind) if each.name == name]
    result = wanted(Subject(component(kind, build, settings), kind))
    assert result.outcome == "failed", result.saw
    assert result.saw
    assert result.cause
    # It is built: a check that fails since nothing can be built would say nothing.
    assert (
        name == checks_of(kind)[0].name
        or checks_of(kind)[0](Subject(component(kind, build, settings), kind)).outcome == "passed"
    )


def test_there_are_enough_and_every_check_finds_one():
    assert len(WRONG) + len(AT_IMPORT) >= 40
    found = {(kind, name) for kind, _, _, name in WRONG}
    for kind in right.RIGHT:
        names = {each.name for each in checks_of(kind)} - {"nothing_happens_at_import"}
        assert names == {name for of, name in found if of == kind}


@pytest.mark.usefixtures("no_entry_points")
def test_what_happens_at_import_is_seen(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "mine.py"
    file.write_text(PLUGIN.format(statement=""))
    quiet = load_plugins([file]).find("units", "letters").component
    file.write_text(PLUGIN.format(statement="\n".join(AT_IMPORT.values())))
    [wanted] = [each for each in checks_of("units") if each.name == "nothing_happens_at_import"]
    result = wanted(Subject(quiet, "units"))
    assert result.outcome == "failed"
    assert [said for said in AT_IMPORT if said not in result.saw] == []


@pytest.mark.usefixtures("no_entry_points")
def test_a_plugin_that_only_defines_does_nothing_at_import(tmp_path):
    file = tmp_path / "quiet.py"
    file.write_text(PLUGIN.format(statement="import random, numpy, numba, datasets, torchaudio"))
    quiet = load_plugins([file]).find("units", "letters").component
    [wanted] = [each for each in checks_of("units") if each.name == "nothing_happens_at_import"]
    result = wanted(Subject(quiet, "units"))
    assert result.outcome == "passed", result.saw


def test_noise_in_eval_mode_is_told_first_as_noise():
    results = check(component("model", DropoutInEval, right.RIGHT["model"][1]), "model")
    failed = [each for each in results if each.outcome == "failed"]
    assert len(failed) > 1
    assert failed[0].check == "the_same_twice_in_eval_mode"
    assert "self.training" in failed[0].cause


class RaisesForward(right.Net):
    def forward(self, features, lengths, **given):
        raise IndexError("index 17 is out of bounds")


def test_where_the_part_itself_raises_that_comes_before_the_usual_cause():
    [forward, *_] = [
        each
        for each in check(component("model", RaisesForward, right.RIGHT["model"][1]), "model")
        if each.outcome == "failed"
    ]
    assert "IndexError: index 17 is out of bounds (test_mutants.py:" in forward.saw
    assert forward.cause.startswith("a mistake there; if there is none, a ")


def first_failure(kind, build):
    results = check(component(kind, build, right.RIGHT[kind][1]), kind)
    return next(each for each in results if each.outcome == "failed").saw


def test_a_flag_that_is_left_set_is_named_and_put_back():
    assert "torch's float32 matmul precision from 'highest' to 'medium'" in first_failure(
        "model", SetsAFlagForAll
    )
    assert torch.get_float32_matmul_precision() == "highest"


def test_what_is_missing_or_another_is_named():
    assert (
        first_failure("augmentation", GivesNoSources) == "its sources are a NoneType, not a tensor"
    )
    assert "row 0 is another: its text '" in first_failure("corpus", said_otherwise)
