"""The command line: what it prints, where, and how it ends."""

import importlib.metadata
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import speechkit
from speechkit import cli
from speechkit.cli import lazy

TOYS = Path(__file__).parent / "toy_plugin.py"
RECIPE = """\
[recipe]
name = "small"
[corpus.train]
use = "tone"
path = "train.parquet"
[text]
alphabet = "abc"
[features]
use = "plain"
[model]
use = "linear"
[decoder.beam]
[profiles.quick]
train.epochs = 1
"""


@pytest.fixture
def commands(monkeypatch, no_entry_points):
    """Commands as if plugins added them: `commands(("name", "module:attribute", "dist"), …)`."""

    def add(*given: tuple[str, str, str | None]) -> None:
        points = []
        for name, target, distribution in given:
            entry = importlib.metadata.EntryPoint(name, target, lazy.GROUP)
            if distribution:
                entry._for(FakeDistribution(distribution))
            points.append(entry)
        monkeypatch.setattr(lazy, "entry_points", lambda group: points)

    add()
    return add


class FakeDistribution:
    version = "7.1"

    def __init__(self, name: str) -> None:
        self.name = name


@pytest.fixture
def call(commands):
    """Call speechkit with the toy plugin: (exit code, stdout, stderr)."""

    def call(*arguments: object, toys: bool = True) -> tuple[int, str, str]:
        options = ["--plugin", str(TOYS)] if toys else []
        result = CliRunner().invoke(cli.app, [*options, *map(str, arguments)])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.stdout, result.stderr

    return call


@pytest.fixture
def recipe(tmp_path):
    file = tmp_path / "small.toml"
    file.write_text(RECIPE)
    return file


def speechkit_process(*arguments: str, **options) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "speechkit", *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, **options)


# speechkit


def test_help_is_instant_and_imports_no_torch():
    code = (
        "import sys; sys.argv = ['speechkit', '--help']\n"
        "from speechkit.cli import main\n"
        "try: main()\n"
        "finally: print([name for name in ('torch', 'datasets', 'numba', 'speechkit.discovery')"
        " if name in sys.modules], file=sys.stderr)"
    )
    begin = time.perf_counter()
    arguments = [sys.executable, "-c", code]
    result = subprocess.run(arguments, check=False, capture_output=True, text=True)
    assert result.stderr == "[]\n"
    assert time.perf_counter() - begin < 5  # far below on an idle machine
    for name in cli.COMMANDS:
        assert name in result.stdout


def test_version(call):
    assert call("--version") == (0, f"speechkit {speechkit.__version__}\n", "")


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_core_command_has_help(call, command):
    code, out, _ = call(command, "--help", toys=False)
    assert code == 0
    assert f"Usage: root {command}" in out


def test_an_unknown_command_has_near_names(call):
    code, _, error = call("plugin", toys=False)
    assert code == 2
    assert "Did you mean 'plugins'?" in error


def test_a_plugin_file_that_does_not_load_is_an_error(call, tmp_path):
    code, out, error = call("--plugin", tmp_path / "none.py", "plugins", "show", "model", "linear")
    assert (code, out) == (2, "")
    assert error.startswith(f"error: --plugin {tmp_path}/none.py: FileNotFoundError")


def test_debug_shows_where(call):
    quiet = call("plugins", "show", "model", "linea", toys=True)
    loud = call("--debug", "plugins", "show", "model", "linea", toys=True)
    assert quiet[2] == "error: no plugin offers the model `linea`\nhint: did you mean `linear`?\n"
    assert "Traceback" in loud[2]
    assert loud[2].endswith(quiet[2])


@pytest.mark.parametrize(
    ("raised", "code", "told"),
    [
        (speechkit.DataError("no data", hint="get some"), 2, "error: no data\nhint: get some\n"),
        (speechkit.DataError("no data"), 2, "error: no data\n"),
        (KeyboardInterrupt(), 130, "error: interrupted\n"),
    ],
)
def test_how_a_command_ends(call, commands, monkeypatch, raised, code, told):
    def fail() -> None:
        raise raised

    monkeypatch.setattr(sys.modules[__name__], "fail", fail, raising=False)
    commands(("failing", f"{__name__}:fail", "some-dist"))
    assert call("failing", toys=False) == (code, "", told)


def test_a_defect_has_a_traceback_and_a_line(monkeypatch, capsys):
    def fail() -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(cli, "app", fail)
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 1
    error = capsys.readouterr().err
    assert "Traceback" in error
    assert "ZeroDivisionError: oops" in error
    assert "please report it" in error


RAISES = """
from speechkit import Component, Config, DataError, Field, hookimpl

class TextConfig(Config):
    error: str = "ValueError"

class Text:
    def __init__(self, config):
        kinds = (ValueError, EOFError, SystemExit, DataError)
        raise {kind.__name__: kind for kind in kinds}[config.error]("of theirs")

@hookimpl
def speechkit_corpora():
    return [Component("theirs", TextConfig, Text)]
"""


@pytest.mark.parametrize("is_installed", [False, True])
@pytest.mark.parametrize("error", ["ValueError", "EOFError", "SystemExit", "DataError"])
def test_whose_code_raised_is_told(error, is_installed, tmp_path, monkeypatch, capsys):
    file = tmp_path / "raising_plugin.py"
    file.write_text(RAISES)
    shown = f"the plugin {file}"
    options = ["--plugin", str(file)]
    if is_installed:
        info = tmp_path / "raising_dist-3.1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Name: raising-dist\nVersion: 3.1\n")
        (info / "entry_points.txt").write_text("[speechkit]\nraising = raising_plugin\n")
        monkeypatch.syspath_prepend(tmp_path)
        shown, options = "the plugin `raising` of raising-dist 3.1, raising_plugin.py", []
    recipe = tmp_path / "r.toml"
    shipped = Path(__file__).parents[2] / "recipes" / "quickstart.toml"
    text = shipped.read_text().replace(
        'use = "synthetic"\npart = "train"\nutterances = 1400',
        (f'use = "theirs"\nerror = "{error}"'),
    )
    recipe.write_text(text)
    monkeypatch.setattr(sys, "argv", ["speechkit", *options, "data", "look", str(recipe)])
    monkeypatch.setenv("SPEECHKIT_CACHE", str(tmp_path / "cache"))
    with pytest.raises(SystemExit) as ended:
        cli.main()
    told = capsys.readouterr().err
    if error == "DataError":
        assert ended.value.code == 2
        assert f"error: of theirs\nfrom: {shown}, line 10" in told
    else:
        assert ended.value.code == 1
        assert f"error: this is a defect of {shown}, line 10" in told
    sys.modules.pop("raising_plugin", None)


@pytest.mark.parametrize("size", [1, 1_000_000])
def test_a_reader_who_leaves_is_no_error(size):
    code = (
        "from speechkit import cli\n"
        f"def x(): print('x' * {size})\n"
        "cli._Root.core = {'x': ('__main__:x', '')}\n"
        "cli.main()\n"
    )
    environment = {key: each for key, each in os.environ.items() if key != "PYTHONUNBUFFERED"}
    reader, writer = os.pipe()
    os.close(reader)
    arguments = [sys.executable, "-c", code, "x"]
    result = subprocess.run(
        arguments, check=False, stdout=writer, stderr=subprocess.PIPE, env=environment
    )
    os.close(writer)
    assert (result.returncode, result.stderr) == (1, b"")


ENDED = """
import multiprocessing, os, signal, time
from pathlib import Path
from speechkit import cli

def wait(there):
    there.send("here")
    time.sleep(60)

def x():
    here, there = multiprocessing.Pipe()
    child = multiprocessing.get_context("fork").Process(target=wait, args=(there,))
    child.start()
    here.recv()
    child.terminate()
    child.join(30)
    held = Path("held")
    held.touch()
    try:
        print(child.exitcode, flush=True)
        time.sleep(60)
    finally:
        held.unlink()

cli._Root.core = {"x": ("__main__:x", "")}
cli.main()
"""


def test_sigterm_ends_a_command_tidily_and_its_forks_at_once(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", ENDED, "x"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == f"{-signal.SIGTERM}\n"
    assert (tmp_path / "held").exists()
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=30) == ("", "stopped: asked to end\n")
    assert process.returncode == 143
    assert not (tmp_path / "held").exists()


# Commands of plugins

group = typer.Typer(help="A group.")


@group.command()
def greet(name: str) -> None:
    """Say hello."""
    typer.echo(f"hello {name}")


def single(context: typer.Context, times: int = 1) -> None:
    """Do one thing."""
    typer.echo(f"{times} {len(context.find_root().obj.plugin_files)}")


def test_a_plugin_adds_a_group_or_a_function(call, commands):
    commands(("greeting", f"{__name__}:group", "some-dist"), ("single", f"{__name__}:single", None))
    assert call("greeting", "greet", "you") == (0, "hello you\n", "")
    assert call("single", "--times", "3") == (0, "3 1\n", "")
    code, out, _ = call("greeting", "--help")
    assert code == 0
    assert "Say hello." in out
    for command in ("greeting", "single"):
        assert "completion" not in call(command, "--help")[1]
    assert "(from some-dist)" in call("--help")[1]


def test_a_plugins_command_is_not_imported_before_it_is_called(call, commands):
    commands(("broken", "not_installed:app", "some-dist"))
    assert "broken" in call("--help")[1]
    code, out, error = call("broken")
    assert (code, out) == (2, "")
    assert error.startswith(
        "error: the command `broken` of some-dist did not load "
        "(ModuleNotFoundError: No module named 'not_installed')\nhint: "
    )


def test_what_is_no_command_is_told(call, commands):
    commands(("odd", f"{__name__}:RECIPE", "some-dist"))
    assert "neither a typer app nor a function" in call("odd")[2]


def test_core_commands_cannot_be_shadowed(call, commands):
    commands(("plugins", "not_installed:app", "some-dist"))
    code, out, _ = call("plugins", "list", "--kind", "command", "--json")
    assert code == 0
    (row,) = json.loads(out)
    assert row["distribution"] == "some-dist"
    assert row["error"].startswith("`plugins` is a command of speechkit itself")


def test_our_own_commands_cannot_be_shadowed(call, commands):
    commands(("lm", "not_installed:app", "a-dist"), ("lm", f"{__name__}:single", "speechkit"))
    assert call("lm")[:2] == (0, "1 1\n")


def test_two_plugins_with_one_command(call, commands):
    commands(("x", f"{__name__}:single", "b-dist"), ("x", f"{__name__}:single", "a-dist"))
    assert call("x")[2].startswith("error: the command `x` is added by a-dist and by b-dist\n")


# speechkit plugins


def test_plugins_list(call):
    code, out, error = call("plugins", "list")
    assert (code, error) == (0, "")
    lines = [line.split() for line in out.splitlines()]
    assert lines[0] == ["kind", "name", "distribution", "version"]
    assert lines[1] == ["corpus", "tone", str(TOYS)]
    starts = {line.index(str(TOYS)) for line in out.splitlines()[1:]}
    assert len(starts) == 1  # aligned


def test_plugins_list_as_json(call):
    code, out, _ = call("plugins", "list", "--json", "--kind", "model")
    assert code == 0
    row = {"kind": "model", "distribution": str(TOYS), "version": "", "error": None}
    assert json.loads(out) == [{**row, "name": "linear"}, {**row, "name": "other"}]


def test_plugins_list_shows_what_is_broken_last_and_ends_well(call, tmp_path):
    broken = tmp_path / ("a_long_name_" * 12 + ".py")
    broken.write_text("import not_installed\n")
    code, out, _ = call("--plugin", broken, "plugins", "list", "--kind", "decoder")
    assert code == 0
    *_, row, cause, remedy = out.splitlines()
    assert row.split() == ["plugin", broken.stem, str(broken)]
    assert cause == f"    ModuleNotFoundError: No module named 'not_installed' ({broken.name}:1)"
    assert remedy.startswith("    remedy: install what")
    rows = json.loads(call("--plugin", broken, "plugins", "list", "--json")[1])
    assert "not_installed" in rows[-1]["error"]


def test_plugins_list_tells_of_two_with_one_name(call, tmp_path):
    twin = tmp_path / "twin.py"
    twin.write_text(TOYS.read_text())
    _, out, _ = call("--plugin", twin, "plugins", "list", "--kind", "model")
    assert out.count("is offered by") == 4
    assert out.count("remedy: name its owner in the recipe") == 4


def test_plugins_list_of_an_unknown_kind(call):
    assert call("plugins", "list", "--kind", "modle") == (
        2,
        "",
        "error: there is no kind of part `modle`\nhint: did you mean `model`?\n",
    )


def test_plugins_show(call):
    code, out, _ = call("plugins", "show", "model", "linear")
    assert code == 0
    lines = out.splitlines()
    assert lines[0] == f"model linear  {TOYS}, plugin toy_plugin, revision 3"
    assert lines[1] == "A part."
    rows = {line.split()[0]: line for line in lines if line.startswith("  ")}
    assert rows["rnn_layers"].split() == ["rnn_layers", "int", "5", ">", "0"]
    assert '"relu" or "swish"' in rows["activation"]
    assert ">= 0, < 1" in rows["dropout"]
    assert "start_from" in rows  # the engine's
    features = call("plugins", "show", "corpus", "tone")[1]
    assert "path" in features
    assert "required" in features
    assert "where it is" in features
    assert "no settings" in call("plugins", "show", "decoder", "greedy")[1]


def test_plugins_show_as_json(call):
    shown = json.loads(call("plugins", "show", "corpus", "tone", "--json")[1])
    assert shown["revision"] == 1
    path, splits, *_ = shown["settings"]
    assert path == {
        "name": "path",
        "type": "Path",
        "required": True,
        "default": None,
        "constraints": "",
        "description": "where it is",
    }
    assert splits["default"] == ["all"]


# speechkit recipe


def test_recipe_check(call, recipe):
    code, out, error = call("recipe", "check", recipe)
    assert (code, error) == (0, "")
    assert out == (
        f"{recipe}: OK: 1 corpus, features plain, no augmentations, model linear, "
        "decoder greedy of 2, 1 profile\n"
    )


def test_recipe_check_tells_every_problem(call, recipe):
    recipe.write_text(RECIPE.replace("alphabet", "alphabt").replace('"plain"', '"plane"'))
    code, out, error = call("recipe", "check", recipe, "--set", "train.epoch=3")
    assert (code, out) == (2, "")
    assert error.startswith(f"error: {recipe} has 3 problems\n\n{recipe}:7: ")
    assert "\n\n--set train.epoch=3: [train] has no `epoch`\n" in error


def test_recipe_show_prints_what_reads_back(call, recipe, tmp_path):
    code, out, _ = call("recipe", "show", recipe, "--profile", "quick", "--set", "decoder.use=beam")
    assert code == 0
    assert "epochs = 1\n" in out
    again = tmp_path / "again.toml"
    again.write_text(out)
    assert call("recipe", "show", again)[1] == out


def test_python_m_speechkit(tmp_path):
    result = speechkit_process("recipe", "check", "none.toml", cwd=tmp_path)
    assert result.returncode == 2
    assert result.stderr.startswith("error: none.toml: no such file\nhint: ours, by name: ")
    assert result.stdout == ""


def test_colours_are_for_terminals_alone(call):
    assert "\x1b" not in "".join(call("plugins", "list")[1:])
    assert "\x1b" not in call("plugins", "show", "modle", "x")[2]
