"""`speechkit plugins check`: what it means by a name, what it prints, how it ends."""

import json

import pytest
from typer.testing import CliRunner

from speechkit.cli import app

PLUGIN = """
from speechkit import Component, Config, DataError, Field, Vocabulary, hookimpl

class LettersConfig(Config):
    {setting}

class Letters:
    def __init__(self, config, *, alphabet):
        self.vocabulary = Vocabulary(("", *alphabet))

    def encode(self, text):
        {outside}
        return [self.vocabulary.labels.index(each) for each in text]

@hookimpl
def speechkit_units():
    return [Component("letters", LettersConfig, Letters){more}]
"""
TELLS = "if set(text) - set(self.vocabulary.labels): raise DataError('outside')"
FORGETS = "text = ''.join(each for each in text if each in self.vocabulary.labels)"
NEEDS = 'size: int = Field(description="of what")'


@pytest.fixture
def plugins(no_entry_points, tmp_path, monkeypatch):
    """The command, with the plugin of the settings given."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments, setting="pass", outside=TELLS, more=""):
        file = tmp_path / "mine.py"
        file.write_text(PLUGIN.format(setting=setting, outside=outside, more=more))
        return CliRunner().invoke(app, ["--plugin", str(file), "plugins", "check", *arguments])

    return run


def test_a_right_part_passes(plugins):
    done = plugins("units:letters")
    assert done.exit_code == 0, done.output
    assert "passed   units:letters         text_comes_back" in done.output
    assert done.stdout.splitlines()[-1].startswith("9 passed, 0 failed, 0 skipped")


def test_a_part_called_as_another_is_told(plugins, tmp_path):
    (tmp_path / "theirs.py").write_text(PLUGIN.format(setting="pass", outside=TELLS, more=""))
    plugins("units:letters")  # writes mine.py
    both = ["--plugin", "mine.py", "--plugin", "theirs.py"]
    done = CliRunner().invoke(app, [*both, "plugins", "check", "mine"])
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[-1].startswith("warning: ")
    assert "`letters` is offered by" in done.stdout
    assert "name its owner in the recipe" in done.stdout


def test_what_failed_is_told_with_its_cause_and_ends_with_1(plugins):
    done = plugins("mine", outside=FORGETS)
    assert done.exit_code == 1
    [line] = [each for each in done.stdout.splitlines() if each.startswith("failed")]
    assert "what_is_outside_is_told" in line
    assert "'a☃b' becomes 'ab', and nobody is told" in line
    assert "usually: characters dropped in silence" in done.stdout
    assert "did: Encode a character that is not in the alphabet." in done.stdout


def test_json_is_a_list_of_records(plugins):
    done = plugins("mine", "--json", outside=FORGETS)
    assert done.exit_code == 1
    records = json.loads(done.stdout)
    assert {each["component"] for each in records} == {"units:letters"}
    assert [each["check"] for each in records if each["outcome"] == "failed"] == [
        "what_is_outside_is_told"
    ]
    assert set(records[0]) == {
        *("component", "check", "outcome", "did", "saw", "cause", "seconds"),
    }


def test_settings_that_are_needed_are_asked_for_and_given(plugins):
    done = plugins("units:letters", setting=NEEDS)
    assert done.exit_code == 2
    assert "units:letters needs settings: size" in done.stderr
    assert "--set size=..." in done.stderr
    assert plugins("units:letters", "--set", "size=3", setting=NEEDS).exit_code == 0


def test_a_setting_of_another_type_is_the_first_failure(plugins):
    done = plugins("units:letters", "--set", "size=x", setting=NEEDS)
    assert done.exit_code == 1
    assert "failed   units:letters         is_units" in done.stdout
    assert "0 passed, 1 failed" in done.stdout  # what cannot be built is not tried further


def test_of_several_parts_those_that_need_settings_are_skipped(plugins):
    more = ', Component("other", Config, Letters)'
    done = plugins("mine", setting=NEEDS, more=more)
    assert done.exit_code == 0, done.output
    assert "needs settings: speechkit plugins check units:letters --set size=..." in done.stdout
    assert plugins("mine", "--set", "size=1", setting=NEEDS, more=more).exit_code == 2


def test_a_plugin_that_does_not_load_is_a_failure(plugins, tmp_path):
    done = plugins("mine", more=', "nonsense"')
    assert done.exit_code == 2  # as with every command: the file was asked for
    assert "is not a Component" in done.stderr


def test_a_plugin_that_changes_what_all_share_is_a_failure(plugins):
    at_import = "import os; os.environ['OMP_NUM_THREADS'] = '640'"
    done = plugins("mine", more=f"]\n\n{at_import}\n_ = [1")
    assert done.exit_code == 1, done.output
    loads, imports = [each for each in done.stdout.splitlines() if each.startswith("failed")]
    for line, name in ((loads, "plugin:mine"), (imports, "nothing_happens_at_import")):
        assert name in line
        assert "the environment variable OMP_NUM_THREADS from " in line
    assert "usually: a defect of" in done.stdout


def test_an_installed_plugin_that_does_not_load_is_a_failure(tmp_path, monkeypatch):
    folder = tmp_path / "broken-0.1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Name: broken\nVersion: 0.1.0\n")
    (folder / "entry_points.txt").write_text("[speechkit]\nbroken = broken_module\n")
    monkeypatch.syspath_prepend(tmp_path)
    done = CliRunner().invoke(app, ["plugins", "check", "broken"])
    assert done.exit_code == 1
    assert "No module named 'broken_module'" in done.stdout


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("letters", "did you mean `units:letters`?"),
        ("units:leters", "did you mean `letters`?"),
        ("mien", "did you mean `mine`?"),
        ("download:librispeech", "there are no checks of the kind `download`"),
    ],
)
def test_what_is_not_there_is_told_with_what_is(plugins, name, said):
    done = plugins(name)
    assert done.exit_code == 2
    assert said in done.stderr
