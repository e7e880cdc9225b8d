"""What importing a plugin does beside defining things, seen from a fresh process."""

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

from speechkit.testing.checks import NotApplicable, Unmet
from speechkit.testing.subject import Subject

_SECONDS = 120
_WATCH = r"""
import importlib, io, json, os, sys, tempfile
import numpy, torch
from importlib.util import module_from_spec, spec_from_file_location
from speechkit.processwide import kept

done, watching = [], True
LOOKING = ("ldconfig", "gcc", "cc", "ld", "objdump")  # ctypes' way to find a library
ALLOWED = ("__pycache__", "/dev/", "numba", "matplotlib", "fontlist")

def watch(event, arguments):
    if not watching:
        return
    if event in {"socket.connect", "socket.getaddrinfo"}:
        done.append(f"connects to {arguments[-1] if event == 'socket.connect' else arguments[0]!r}")
    elif event in {"subprocess.Popen", "os.system"}:
        if os.path.basename(str(arguments[0])) in LOOKING:
            return
        done.append(f"starts the program {arguments[0]!r}")
    elif event == "open" and isinstance(arguments[0], str):
        flags = arguments[2] if isinstance(arguments[2], int) else 0
        if flags & (os.O_WRONLY | os.O_RDWR) and not any(a in arguments[0] for a in ALLOWED):
            done.append(f"writes the file {arguments[0]!r}")

place, out = sys.argv[1], sys.stdout
tempfile.gettempdir()  # which tries, once a process, where it may write
sys.stdout = printed = io.StringIO()
sys.addaudithook(watch)
with kept() as changes:
    if place.endswith(".py"):
        spec = spec_from_file_location("speechkit_watched", place)
        module = module_from_spec(spec)
        sys.modules["speechkit_watched"] = module
        spec.loader.exec_module(module)
    else:
        importlib.import_module(place)
    watching = False
done += [f"changes {each}" for each in changes]
if printed := printed.getvalue().strip():
    done.append(f"prints {printed[:80]!r}")
if torch.cuda.is_initialized():
    done.append("occupies the GPU")
for name, module in list(sys.modules.items()):
    if name.split(".")[0] not in {"speechkit_watched", place.split(".")[0]}:
        continue
    for key, value in vars(module).items():
        if isinstance(value, (torch.nn.Module, torch.Tensor)):
            done.append(f"makes the {type(value).__name__} `{key}`")
json.dump(sorted(set(done)), out)
"""


def does_nothing(subject: Subject) -> str:
    """See what importing the part's module does; for `Check.run`."""
    home = getattr(sys.modules.get(subject.module), "__file__", None)
    if home is None:
        raise NotApplicable("what builds it is in no module that could be imported")
    alone = "." not in subject.module and Path(home).name != "__init__.py"
    done = effects(home if alone else subject.module)
    if done:
        raise Unmet(f"importing {Path(home).name if alone else subject.module} {'; '.join(done)}")
    return "nothing but definitions"


@cache
def effects(place: str) -> tuple[str, ...]:
    """What importing a module, or a file that ends in .py, does.

    Raises:
        Unmet: it cannot be imported in a fresh process.
    """
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-B", "-c", _WATCH, place]
    done = subprocess.run(  # noqa: S603 - our own program
        command, env=environment, capture_output=True, text=True, check=False, timeout=_SECONDS
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise Unmet(f"a fresh process cannot import it: {last}")
    return tuple(json.loads(done.stdout))
