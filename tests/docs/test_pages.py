"""What pages say can be typed: commands and options exist, recipes are right, plugins hold."""

import re
import shlex
import tomllib
from itertools import pairwise

import pytest
import typer
from page_blocks import ROOT, fenced, indented
from typer.core import TyperGroup

from speechkit.cli import app
from speechkit.cli.context import Options
from speechkit.discovery import load_plugins
from speechkit.recipe import find_recipe, read_recipe
from speechkit.recipe.toml_text import toml_key, toml_value
from speechkit.testing import check

EXAMPLES = ROOT / "examples"
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted(EXAMPLES.glob("*/README.md")),
]
NAMES = {page: page.relative_to(ROOT).as_posix() for page in PAGES}
PROMPTS = re.compile(r"^\$ ")
INLINE = re.compile(r"(?<!`)`(speechkit [^`]+)`(?!`)")
PLACEHOLDERS = re.compile(r"^[A-Z_.…]+$")

every_page = pytest.mark.parametrize("page", PAGES, ids=NAMES.values())


def commands(page):
    """The commands of a page that begin with `speechkit`, in blocks and within the text."""
    blocks = [each for each in fenced(page) if each.language in {"", "sh", "console"}]
    for block in [*blocks, *indented(page)]:
        for line in block.text.replace("\\\n", " ").splitlines():
            for part in re.split(r" && |; ", PROMPTS.sub("", line)):
                if part.startswith("speechkit "):
                    yield part
    text = page.read_text(encoding="utf-8")
    for block in (*fenced(page), *indented(page)):
        text = text.replace(block.text, "")
    yield from (" ".join(found.split()) for found in INLINE.findall(text))


def unknown(words):
    """What of a command's words speechkit does not know; none where all is right."""
    command = typer.main.get_command(app)
    while words:
        word = words.pop(0)
        if (
            word in {"…", "..."} or "|" in word
        ):  # something is left out, or several are told at once
            return None
        if word.startswith("-"):
            options = {name: each for each in command.params for name in each.opts}
            name = word.split("=")[0]
            if name == "--help":
                continue
            if name not in options:
                return word
            if not options[name].is_flag and "=" not in word and words:
                words.pop(0)
        elif isinstance(command, TyperGroup) and word.isupper():
            return None  # a name the reader puts there
        elif isinstance(command, TyperGroup):
            context = typer.Context(command, obj=Options(()))
            try:
                _, command, _ = command.resolve_command(context, [word])
            except Exception:  # click's, or that of the click typer brings along
                return word
    return None


@every_page
def test_commands_exist(page):
    for command in commands(page):
        words = shlex.split(command, comments=True)[1:]
        assert unknown(words) is None, f"{NAMES[page]}: {command}"


def test_a_wrong_command_is_seen():
    assert unknown(["run", "quickstart", "--profil", "x"]) == "--profil"
    assert unknown(["plugins", "shew", "model"]) == "shew"
    assert unknown(["--plugin", "a.py", "plugins", "show", "model", "n2"]) is None


def test_the_commands_of_readme_are_seen():
    found = list(commands(ROOT / "README.md"))
    assert "speechkit transcribe speech.wav --model runs/quickstart" in found
    assert "speechkit run mine.toml --set model.layers=12 --run deeper" in found
    assert len(found) > 20


@every_page
def test_shipped_recipes_and_what_is_set_in_them_exist(page):
    carried = {each.stem for each in (ROOT / "recipes").glob("*.toml")}
    for command in commands(page):
        words = shlex.split(command, comments=True)
        if words[1] == "run" and len(words) > 2 and words[2] in carried:
            changes = [each for before, each in pairwise(words) if before == "--set"]
            read_recipe(find_recipe(words[2]), load_plugins(), overrides=changes)


@pytest.fixture(scope="module")
def quickstart():
    return tomllib.loads((ROOT / "recipes" / "quickstart.toml").read_text())


def tables(document, path=()):
    """A recipe as `KEY=VALUE` lines with dotted keys, lists whole."""
    for key, value in document.items():
        if isinstance(value, dict):
            yield from tables(value, (*path, key))
        else:
            yield f"{'.'.join(map(toml_key, (*path, key)))} = {toml_value(value)}"


@pytest.fixture
def examples(monkeypatch):
    """The files of the plugins in examples/, as if their packages were installed."""
    found = [
        each for each in EXAMPLES.glob("*/speechkit_*/__init__.py") if "broken" not in str(each)
    ]
    for each in found:
        monkeypatch.syspath_prepend(each.parents[1])
    return found


def test_recipes_of_examples_are_right(examples, monkeypatch):
    for variable in ("CHECKPOINT", "LM_TEXT"):
        monkeypatch.setenv(variable, "/somewhere")
    recipes = [*EXAMPLES.glob("*/*.toml"), *EXAMPLES.glob("*/recipes/*.toml")]
    recipes = [each for each in recipes if each.name != "pyproject.toml"]
    assert {"conformer.toml", "hf_ctc.toml", "tiny.toml"} <= {each.name for each in recipes}
    for recipe in recipes:
        read_recipe(recipe, load_plugins(examples))


@every_page
def test_recipes_are_right(page, quickstart, examples, tmp_path, monkeypatch):
    monkeypatch.setenv("SPEECHKIT_DATA", "/data")
    for block in fenced(page):
        if block.language != "toml" or 'use = "NAME"' in block.text:
            continue
        document = tomllib.loads(block.text)
        if "project" in document or "build-system" in document:
            continue
        # A part of a recipe stands for itself: the rest is that of quickstart.
        whole = quickstart | document if "recipe" not in document else document
        whole["corpus"] = quickstart["corpus"] | document.get("corpus", {})
        file = tmp_path / "recipe.toml"
        file.write_text("\n".join(tables(whole)))
        own = [each for each in fenced(page) if each.title.endswith(".py")]
        for each in own:
            (tmp_path / each.title).write_text(each.text)
        plugins = load_plugins([*examples, *(tmp_path / each.title for each in own)])
        read_recipe(file, plugins)  # raises with every problem


HOW_TO = [page for page in PAGES if page.parent.name == "how-to"]


@pytest.mark.parametrize("page", HOW_TO, ids=NAMES.get)
def test_plugins_of_how_tos_hold(page, tmp_path):
    files = [each for each in fenced(page) if each.title.endswith(".py")]
    if not files:
        pytest.skip("the page has no plugin of its own")
    for block in files:
        file = tmp_path / block.title
        file.write_text(block.text)
        offers = [
            each for each in load_plugins([file]).all_offers if each.distribution == str(file)
        ]
        assert offers
        for offer in offers:
            results = check(offer.component, offer.kind)
            failed = [each for each in results if each.outcome == "failed"]
            assert failed == [], NAMES[page]
