"""The reference says what the code says, and the site is built from it without a warning."""

import importlib.util
import os
import re
import subprocess
import sys

import pytest
from browser import Browser, installed
from page_blocks import ROOT

from speechkit.hookspecs import KINDS
from speechkit.scaffold import KINDS as SCAFFOLDS
from speechkit.settings import TrainSettings
from speechkit.testing import checks_of


@pytest.fixture(scope="module")
def pages():
    folder = str(ROOT / "docs" / "_site")
    sys.path.insert(0, folder)
    try:
        import reference

        return reference.pages()
    finally:
        sys.path.remove(folder)


def test_each_interface_has_a_page_with_shapes_and_checks(pages):
    assert {f"reference/{kind}.md" for kind in KINDS} < set(pages)
    model = pages["reference/model.md"]
    assert "(B, T, D) features, (B,) frames -> (B, T', V) log probabilities, (B,) frames." in model
    assert "def speechkit_models() -> Iterable[Component[AcousticModel]]:" in model
    assert "num_features=D, num_labels=V" in model
    assert "raise " not in model  # no bodies
    for kind in SCAFFOLDS:
        page = pages[f"reference/{kind}.md"]
        missing = [each.name for each in checks_of(kind) if f"`{each.name}`" not in page]
        assert missing == []
    decoder = pages["reference/decoder.md"]
    for record in ("Decoder", "Emissions", "Hypothesis", "Word"):
        assert f"class {record}" in decoder
    assert "text              string, as written" in pages["reference/corpus.md"]


def test_parts_are_there_with_their_settings(pages):
    assert "### n2 {: #n2 }" in pages["reference/model.md"]
    assert re.search(
        r"\| `lm_weight` \| float \| `0.8` \| &gt;= 0 \|", pages["reference/decoder.md"]
    )
    for key in TrainSettings.model_fields:
        assert f"| `{key}` |" in pages["reference/recipe.md"]


def test_commands_are_there_with_their_options(pages):
    commands = pages["reference/commands.md"]
    assert "## speechkit run\n" in commands
    assert "### speechkit plugins check\n" in commands
    assert "### speechkit lm build\n" in commands
    assert "| `--set` | `KEY=VALUE` |" in commands


def test_tables_hold_together(pages):
    for place, text in pages.items():
        for table in re.findall(r"(?:^\|.*\|\n?)+", text, re.M):
            rows = re.sub(r"`[^`]*`", "", table).splitlines()  # in code a | parts nothing
            cells = {len(re.findall(r"(?<!\\)\|", row)) for row in rows}
            assert len(cells) == 1, f"{place}: {table[:200]}"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    for needed in ("mkdocs", "material"):
        if importlib.util.find_spec(needed) is None:
            pytest.skip(f"{needed}, which makes the site, is not installed: the extra `docs`")
    place = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(place)]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return place


def test_nothing_of_the_site_is_fetched_from_elsewhere(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) > 30
    fetched = re.compile(
        r'<(?:script|img|iframe|source)[^>]* src="?(https?:)?//|<link[^>]* href="?(https?:)?//'
    )
    assert [each.name for each in pages if fetched.search(each.read_text())] == []
    assert [each for each in site.rglob("*.css") if "url(http" in each.read_text()] == []


def test_pages_show_the_files_they_name(site):
    named = re.compile(r'^--8<-- "(.+)"$', re.M)
    shown = {page: named.findall(page.read_text()) for page in (ROOT / "docs").rglob("*.md")}
    assert sum(map(len, shown.values())) >= 2
    for page, files in shown.items():
        for file in files:
            [name, *_] = re.findall(r"^(?:class|def) (\w+)", (ROOT / file).read_text(), re.M)
            built = site / page.relative_to(ROOT / "docs").with_suffix(".html")
            assert name in built.read_text(), f"{page.name}: {file}"


@pytest.mark.skipif(not installed(), reason="no chromium or google-chrome is installed")
def test_pages_open_as_files(site, tmp_path):
    with Browser(tmp_path) as browser:
        for width in (1280, 400):
            browser.screen(width)
            for page in ("index.html", "reference/model.html", "tutorials/first_plugin.html"):
                browser.open(site / page)
                assert browser.problems == []
                strangers = [
                    each for each in browser.requests if each[:5] not in {"file:", "data:"}
                ]
                assert strangers == []
                assert browser.evaluate("document.documentElement.scrollWidth <= innerWidth")
