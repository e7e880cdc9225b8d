"""`speechkit data get`: options from a plugin's settings, what is printed, and where."""

import os
import subprocess
import sys
import tomllib

import pytest
from typer.testing import CliRunner
from web_server import packed

from speechkit import cli

PLUGIN = """\
from typing import Literal
from speechkit import Archive, Component, Config, Field, hookimpl

class ToyConfig(Config):
    base_url: str
    parts: list[Literal["one", "two"]] = Field(min_length=1, description="which")
    speaker: list[str] = Field([], description="who")
    sessions: int | None = Field(None, gt=0)
    growth: float = 1.5
    is_loud: bool = False

class Toy:
    '''A toy of two parts.'''
    def __init__(self, config):
        self.config = config
    def archives(self, read):
        base = self.config.base_url
        return [Archive(f"{base}/{part}.tgz", f"toy/{part}") for part in self.config.parts]
    def corpora(self, folder):
        shown = self.config.model_dump(exclude={"base_url"})
        return {"train": {"use": "toy", "path": str(folder / "toy"), **shown}}

class ClashConfig(Config):
    to: str = ""

@hookimpl
def speechkit_downloads():
    return [Component("toy", ToyConfig, Toy), Component("clash", ClashConfig, Toy)]
"""


@pytest.fixture
def call(tmp_path, no_entry_points, monkeypatch):
    plugin = tmp_path / "toys.py"
    plugin.write_text(PLUGIN)
    monkeypatch.chdir(tmp_path)

    def call(*arguments) -> tuple[int, str, str]:
        options = ["--plugin", str(plugin), "data", "get"]
        result = CliRunner().invoke(cli.app, [*options, *map(str, arguments)])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.stdout, result.stderr

    return call


@pytest.fixture
def toy(server):
    for part in ("one", "two"):
        server.put(f"/{part}.tgz", packed({f"{part}/a.wav": b"a" * 100}))
    return ["toy", "--base-url", server.url]


def test_parts_as_arguments_settings_as_options_and_a_table_on_stdout(call, toy, server, tmp_path):
    code, out, err = call(
        *toy, "one", "two", "--to", "there", "--speaker", "12", "--speaker", "ann",
        "--sessions", 3, "--growth", "2.5", "--is-loud", "--jobs", 2,
    )  # fmt: skip
    assert code == 0, err
    assert tomllib.loads(out) == {
        "corpus": {
            "train": {
                "use": "toy",
                "path": str(tmp_path / "there" / "toy"),
                "parts": ["one", "two"],
                "speaker": ["12", "ann"],
                "sessions": 3,
                "growth": 2.5,
                "is_loud": True,
            }
        }
    }
    assert (tmp_path / "there" / "toy" / "two" / "a.wav").is_file()
    assert "toy/one: 1 files, 0.0 MB" in err
    assert "there: 2 of 2 archives fetched" in err
    server.asked.clear()
    code, again, err = call(*toy, "one", "--to", "there")
    assert (code, err) == (0, "there: all of it is here, whole: nothing was fetched\n")
    assert tomllib.loads(again)["corpus"]["train"]["path"] == str(tmp_path / "there" / "toy")
    assert server.asked == []


def test_without_a_folder_it_is_data(call, toy, tmp_path):
    assert call(*toy, "one")[0] == 0
    assert (tmp_path / "data" / "toy" / "one" / "a.wav").is_file()


def test_an_archive_that_fails_is_told_and_the_others_are_there(call, toy, server, tmp_path):
    del server.pages["/two.tgz"]
    code, out, err = call(*toy, "one", "two")
    assert code == 2
    assert "error: 1 of 2 archives could not be fetched:" in err
    assert f"toy/two: {server.url}/two.tgz: the server says 404 Not Found" in err
    assert "hint: is it moved?" in err
    assert tomllib.loads(out)
    code, out, err = call(*toy, "two")
    assert (code, out) == (2, "")
    assert f"error: {server.url}/two.tgz: the server says 404" in err


def test_those_not_tried_are_told_and_not_taken_for_whole(call, toy, monkeypatch):
    monkeypatch.setattr("speechkit.download.corpus.MOST_FAILURES", 1)
    code, out, err = call(*toy, "one", "two", "--base-url", f"{toy[-1]}/none", "--jobs", "1")
    assert (code, out) == (2, "")
    assert "1 of 2 archives could not be fetched:" in err
    assert "after so many in a row, 1 others were not tried" in err
    assert "whole" not in err


@pytest.mark.parametrize(
    ("arguments", "said", "hint"),
    [
        (["one", "three"], "PART three: should be 'one' or 'two'", "known: one, two"),
        (["tow"], "PART tow: should be", "did you mean `two`?"),
        ([], "PART is needed", ""),
        (["one", "--sessions", "0"], "--sessions 0: should be greater than 0", ""),
        (["one", "--sessions", "x"], "--sessions x: should be a valid integer", ""),
    ],
)
def test_settings_that_are_wrong(call, toy, arguments, said, hint):
    code, out, err = call(*toy, *arguments)
    assert (code, out) == (2, "")
    assert f"error: {said}" in err
    assert hint in err


def test_all_that_is_wrong_at_once(call):
    _, _, err = call("toy", "one", "--sessions", "0")
    assert "error: --base-url is needed; --sessions 0: should be greater than 0" in err


def test_help_says_what_the_settings_are(call):
    code, out, _ = call("toy", "--help")
    assert code == 0
    for each in ("A toy of two parts.", "one of: one, two", "default: 1.5", "--speaker", "FOLDER"):
        assert each in out


def test_names_that_are_not_there(call):
    code, _, err = call("toi")
    assert code == 2
    assert "no plugin offers the download `toi`" in err
    assert "did you mean `toy`?" in err
    _, _, err = call("clash")
    assert "has a setting `to`, which is an option of the command" in err


def test_help_needs_no_plugins():
    code = "import sys, typer; from speechkit.cli import app\n"
    code += "try: app(['data', 'get', '--help'])\n"
    code += "finally: print([each for each in ('torch', 'numpy') if each in sys.modules])"
    command = [sys.executable, "-c", code]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "data get [OPTIONS] CORPUS [PART]..." in shown
    assert shown.rstrip().endswith("[]")


def test_the_installed_command(server, tmp_path):
    session = "natali-20110507-jum"
    here = "/v/Russian/Trunk/Audio/Main/16kHz_16bit/"
    server.put(here, f'<a href="{session}.tgz">x</a><a href="urp.tgz">y</a>'.encode())
    server.put(f"{here}{session}.tgz", packed({f"{session}/etc/PROMPTS": b"P"}))
    options = ["--language", "ru", "--speaker", "natali", "--base-url", f"{server.url}/v"]
    done = subprocess.run(
        [sys.executable, "-m", "speechkit", "data", "get", "voxforge", *options],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "no_proxy": "*"},
    )
    assert done.returncode == 0, done.stderr
    path = tmp_path / "data" / "voxforge" / "ru"
    assert tomllib.loads(done.stdout)["corpus"]["train"] == {"use": "voxforge", "path": str(path)}
    assert [each.name for each in path.iterdir()] == [session]
