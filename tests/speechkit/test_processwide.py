"""What a plugin changes of its process while it is loaded: it is put back, and told."""

import os
import random
import subprocess
import sys
import warnings
from collections import Counter

import pytest
import torch
from typer.testing import CliRunner

from speechkit import processwide
from speechkit.cli import app
from speechkit.discovery import load_plugins
from speechkit.processwide import STATES, State, generators, kept

PLUGIN = """
import locale, multiprocessing, os, random, signal, socket, sys, warnings
import numpy, torch
from speechkit import Component, Config, hookimpl

{at_import}

@hookimpl
def speechkit_models():
    {in_hook}
    return [Component("mine", Config, object)]
"""
ONCE = next(each for each in sys.path if sys.path.count(each) == 1)
CHANGES = {
    "torch.set_default_dtype(torch.float64)": "torch's default dtype from torch.float32 to "
    "torch.float64",
    "torch.set_default_device('meta')": "torch's default device from cpu to meta",
    "torch.set_num_threads(torch.get_num_threads() + 1)": "torch's number of threads from ",
    "torch.set_grad_enabled(False)": "torch's gradient mode from True to False",
    "torch.autograd.set_detect_anomaly(True)": "torch's anomaly mode from False to True",
    "torch.use_deterministic_algorithms(True)": "torch's deterministic mode from 'default' to "
    "'error'",
    "torch.set_flush_denormal(True)": "torch's flushing of denormal numbers from False to True",
    "torch.set_autocast_enabled('cpu', True)": "torch's autocast on cpu from False to True",
    "torch.set_autocast_dtype('cpu', torch.float16)": "torch's autocast dtype on cpu from ",
    "torch.set_float32_matmul_precision('medium')": "torch's float32 matmul precision from "
    "'highest' to 'medium'",
    "torch.backends.cuda.matmul.allow_tf32 = True": "torch.backends.cuda.matmul.fp32_precision "
    "from 'none' to 'tf32'",
    "torch.backends.cuda.matmul.fp32_precision = 'tf32'": "torch.backends.cuda.matmul."
    "fp32_precision from 'none' to 'tf32'",
    "torch.backends.cudnn.allow_tf32 = False": "torch.backends.cudnn.allow_tf32 from True to False",
    "torch.backends.cudnn.benchmark = True": "torch.backends.cudnn.benchmark from False to True",
    "torch.backends.mkldnn.enabled = False": "torch.backends.mkldnn.enabled from True to False",
    "torch.backends.cuda.enable_flash_sdp(False)": "torch's flash attention from True to False",
    "torch.multiprocessing.set_sharing_strategy('file_system')": "torch's way to share tensors ",
    "torch.manual_seed(3)": "the global generator of torch",
    "torch.rand(2)": "the global generator of torch",
    "numpy.random.seed(3)": "the global generator of numpy.random",
    "numpy.random.set_bit_generator(numpy.random.PCG64(3))": "numpy.random's bit generator from ",
    "numpy.seterr(divide='raise')": "numpy's errors of divide from 'warn' to 'raise'",
    "random.seed(3)": "the global generator of random",
    "multiprocessing.set_start_method('spawn', force=True)": "multiprocessing's start method from ",
    "socket.setdefaulttimeout(0.5)": "socket's default timeout from nothing to 0.5",
    "os.environ['OMP_NUM_THREADS'] = '640'": "the environment variable OMP_NUM_THREADS from ",
    "os.environ.pop('PATH')": "the environment variable PATH from ",
    "os.chdir('/')": "the working directory from ",
    "sys.path.insert(0, '/nowhere')": "sys.path ('/nowhere' added)",
    f"sys.path.remove({ONCE!r})": f"sys.path ({ONCE!r} removed)",
    "sys.path.reverse()": "sys.path (another order)",
    "warnings.simplefilter('error')": "the warnings' filters ('error Warning' added)",
    "locale.setlocale(locale.LC_NUMERIC, 'C.UTF-8')": "the locale's LC_NUMERIC from 'C' to ",
    "signal.signal(signal.SIGTERM, signal.SIG_IGN)": "the handler of SIGTERM from SIG_DFL to "
    "SIG_IGN",
    "sys.stderr = sys.__stdout__": "sys.stderr from ",
}


@pytest.fixture
def plugin(no_entry_points, tmp_path):
    """Loads a plugin that runs a statement at import, or in its hook."""

    def load(at_import: str = "", in_hook: str = "pass"):
        file = tmp_path / "mine.py"
        file.write_text(PLUGIN.format(at_import=at_import, in_hook=in_hook))
        return load_plugins([file], lenient=True)

    return load


def values() -> dict[str, object]:
    return {state.name: state.value() for of in STATES.values() for state in of()}


@pytest.mark.parametrize("statement", CHANGES)
def test_each_change_is_undone_and_told(plugin, tmp_path, statement):
    before = values()
    plugins = plugin(statement)
    assert values() == before
    (row,) = plugins.meddling
    assert (row.kind, row.name, row.distribution) == ("plugin", "mine", str(tmp_path / "mine.py"))
    assert row.error.startswith("loading it changed what all code shares; it was put back: ")
    assert CHANGES[statement] in row.error
    assert "cannot be undone" not in row.error
    assert "in its constructor or forward, for as long as that runs" in row.remedy
    assert plugins.find("model", "mine")  # it can be used


def test_what_a_hook_or_a_plugin_that_fails_changes_is_undone(plugin):
    before = values()
    for plugins in (
        plugin(in_hook="torch.set_default_dtype(torch.float64)"),
        plugin("torch.set_default_dtype(torch.float64)\nraise OSError('no disk')"),
        plugin("torch.set_default_dtype(torch.float64)\nsys.exit(3)"),
    ):
        assert values() == before
        assert "torch's default dtype" in plugins.meddling[0].error
    (broken,) = plugins.broken
    assert broken.error == "SystemExit: 3 (mine.py:7)"


def test_a_plugin_that_only_defines_is_not_told(plugin, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    own = "warnings.filterwarnings('ignore', module='mine')"
    drawn = random.getstate()
    assert plugin("random.random(), random.shuffle(list(range(40)))").meddling == ()
    assert random.getstate() == drawn  # put back, without a word
    with warnings.catch_warnings():
        assert plugin(f"sys.path.append('/theirs')\n{own}").meddling == ()
        # What hides nothing of others', and what is about its own warnings, is its own affair.
        assert sys.path[-1] == "/theirs"
        assert any(each[3] and each[3].pattern == "mine" for each in warnings.filters)
        plugin(f"sys.path[:0] = ['/first']\nsys.path.append('/last')\n{own}")
        assert "/first" not in sys.path
        assert sys.path[-1] == "/last"


def test_a_signal_is_handled_as_before_and_a_warning_is_no_error(plugin):
    plugin("warnings.simplefilter('error')")
    with warnings.catch_warnings(record=True):
        warnings.warn("once", UserWarning, stacklevel=1)


def test_what_cannot_be_undone_is_told(monkeypatch):
    box = [1]
    once = State("a thing that is set once", lambda: box[0], lambda was: 1 / 0)
    monkeypatch.setattr(processwide, "STATES", {"sys": lambda: iter([once])})
    with kept() as changes:
        box[0] = 2
    assert changes == ["a thing that is set once from 1 to 2 (which cannot be undone)"]


def test_it_can_be_asked_for_a_part():
    with kept(["torch"]) as changes:
        os.environ["SPEECHKIT_TEST"] = "here"
        torch.rand(1)
    assert changes == ["the global generator of torch"]
    assert os.environ.pop("SPEECHKIT_TEST") == "here"


def test_the_generators_are_three():
    assert Counter(each.name.rpartition(" ")[2] for each in generators()) == Counter(
        ["torch", "numpy.random", "random"]
    )


def test_plugins_list_tells(plugin, tmp_path, monkeypatch):
    plugin("random.seed(1)")
    given = ["--plugin", str(tmp_path / "mine.py"), "plugins", "list"]
    done = CliRunner().invoke(app, given)
    assert done.exit_code == 0, done.output
    error = "loading it changed what all code shares; it was put back: the global generator of "
    assert f"    {error}random\n" in done.stdout
    assert "remedy: a defect of" in done.stdout


FIRST = """
import sys
from speechkit.processwide import kept

with kept(["torch", "numpy"]) as changes:
    assert not {"torch", "numpy"} & sys.modules.keys()
    import torch
    loader = torch.__spec__.loader
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(3)
assert torch.get_default_dtype() == torch.float32
assert torch.initial_seed() != 3
assert "exec_module" not in vars(loader)
assert not [each for each in sys.meta_path if type(each).__module__ == "speechkit.processwide"]
print(*changes, sep="; ")
"""


def test_a_library_that_a_plugin_imports_first_is_noted_before_it_can_be_changed():
    done = subprocess.run(
        [sys.executable, "-c", FIRST], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == (
        "torch's default dtype from torch.float32 to torch.float64; the global generator of torch"
    )
