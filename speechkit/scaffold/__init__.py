"""Begins a plugin: a distribution that installs and works at once, from the templates beside it.

In a template `${package}`, `${part}`, `${distribution}`, `${Class}`, `${kind}`, `${called}`,
`${Called}`, `${hook}` and `${asked}` are replaced.
"""

import keyword
import re
import shutil
import tempfile
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from string import Template

from speechkit.errors import PluginError
from speechkit.hookspecs import KINDS as HOOKS
from speechkit.near import near

KINDS = tuple(each for each in HOOKS if each != "download")
"""Kinds of parts there are templates for."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*([_-][A-Za-z0-9]+)*")
_OURS = "speechkit_"  # a prefix that the part's name goes without
_ASKED = {"text_rule": 'rules = ["NAME"]', "score_protocol": 'protocol = "NAME"'}


def asked_for(kind: str, name: str) -> str:
    """The line of a recipe's table that asks for a part.

    >>> asked_for("model", "n2")
    'use = "n2"'
    """
    return _ASKED.get(kind, 'use = "NAME"').replace("NAME", name)


def part_name(folder: Path) -> str:
    """How recipes will ask for the part of a plugin in `folder`.

    >>> part_name(Path("work/speechkit-my-model"))
    'my_model'

    Raises:
        PluginError: the folder's name can be no package's.
    """
    package = _package(folder)
    return package.removeprefix(_OURS) or package


def write_plugin(folder: Path, kind: str) -> list[Path]:
    """Write a distribution with one part into `folder`, whole or not at all.

    Args:
        folder: is made; its name is the distribution's.
        kind: of the part, one of `KINDS`.

    Returns:
        The files, in their order.

    Raises:
        PluginError: there is no such kind; the folder is there and not empty; its name can be no
            package's, or is one that is installed.
    """
    if kind not in KINDS:
        raise PluginError(f"there is no template for the kind `{kind}`", hint=near(kind, KINDS))
    package = _package(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise PluginError(f"{folder} is there and not empty", hint="choose another name")
    if find_spec(package) is not None:
        raise PluginError(
            f"a package {package} is installed, which {folder.name} would hide",
            hint="choose another name",
        )
    part = part_name(folder)
    words = {
        "package": package,
        "part": part,
        "distribution": package.replace("_", "-"),
        "Class": "".join(each.capitalize() for each in part.split("_")),
        "kind": kind,
        "called": kind.replace("_", " "),
        "Called": kind.replace("_", " ").capitalize(),
        "hook": HOOKS[kind],
        "asked": asked_for(kind, part),
    }
    places = {
        "pyproject.toml": "pyproject.toml",
        "README.md": "README.md",
        f"{package}/__init__.py": f"{kind}.py",
        f"tests/test_{package}.py": "test.py",
        f"recipes/{part}.toml": f"{kind}.toml",
    }
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        for place, template in places.items():
            _write(beside / place, template, words)
        beside.chmod(0o755)  # not as private as a temporary folder
        beside.replace(folder)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    return [folder / place for place in places]


def _package(folder: Path) -> str:
    name = folder.name
    package = name.lower().replace("-", "_")
    if not _NAME.fullmatch(name) or keyword.iskeyword(package):
        raise PluginError(
            f"`{name}` is no name for a package",
            hint="letters, digits and single hyphens, a letter first: my-model",
        )
    return package


def _write(place: Path, template: str, words: dict[str, str]) -> None:
    text = files(__name__).joinpath(f"{template}.txt").read_text(encoding="utf-8")
    place.parent.mkdir(exist_ok=True)
    place.write_text(Template(text).substitute(words), encoding="utf-8")
