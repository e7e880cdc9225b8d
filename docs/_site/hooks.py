"""What MkDocs does beside the usual: pages from the code, from README and from the examples.

`nav` may name a folder ("decisions/"): all pages in it that no other entry names.
"""

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from reference import pages

ROOT = Path(__file__).parents[2]
FILES = {
    "index.md": "README.md",
    "changelog.md": "CHANGELOG.md",
    "contributing.md": "CONTRIBUTING.md",
}
"""Page -> the file of the repository that it shows."""

_LINK = re.compile(r"\]\((?P<place>[\w/.-]+)\)")
_EXAMPLE = re.compile(r"examples/(\w+)/?")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the pages of a folder in its place in `nav`."""
    config.nav = _expanded(config.nav, set(_named(config.nav)))
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what is generated."""
    examples = {
        f"examples/{readme.parent.name}.md": readme.relative_to(ROOT).as_posix()
        for readme in sorted(ROOT.glob("examples/*/README.md"))
    }
    for place, source in (FILES | examples).items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, place, content=relinked(text, place, source)))
    for place, text in pages().items():
        files.append(File.generated(config, place, content=text))
    return files


def relinked(text: str, place: str, source: str) -> str:
    """A file of the repository as the page at `place`: links between files lead to their pages.

    >>> relinked("[scores](docs/explanation/scores.md)", "index.md", "README.md")
    '[scores](explanation/scores.md)'
    >>> relinked("[ours](../third_party)", "examples/tracker.md", "examples/tracker/README.md")
    '[ours](../examples/third_party.md)'
    """
    up = "../" * place.count("/")

    def page(found: re.Match[str]) -> str:
        file = posixpath.normpath(posixpath.join(posixpath.dirname(source), found["place"]))
        target = _EXAMPLE.sub(r"examples/\1.md", file).removeprefix("docs/")
        return f"]({up}{target})"

    return _LINK.sub(page, text)


def _named(nav: Any) -> list[str]:  # noqa: ANN401 - YAML
    """The pages and folders in `nav`."""
    if isinstance(nav, str):
        return [nav]
    inner = nav.values() if isinstance(nav, dict) else nav
    return [name for each in inner for name in _named(each)]


def _expanded(nav: Any, named: set[str]) -> Any:  # noqa: ANN401 - YAML
    if isinstance(nav, dict):
        return {title: _expanded(each, named) for title, each in nav.items()}
    if isinstance(nav, str):
        return _pages_in(nav, named) if nav.endswith("/") else nav
    folders = [each for each in nav if isinstance(each, str) and each.endswith("/")]
    expanded: list[Any] = []
    for each in nav:
        expanded += _pages_in(each, named) if each in folders else [_expanded(each, named)]
    return expanded


def _pages_in(folder: str, named: set[str]) -> list[str]:
    here = ROOT / "examples" if folder == "examples/" else ROOT / "docs" / folder
    if folder == "examples/":
        found = [f"examples/{readme.parent.name}.md" for readme in here.glob("*/README.md")]
    else:
        found = [f"{folder}{page.name}" for page in here.glob("*.md")]
    return sorted(set(found) - named)
