"""The code blocks of a page of documentation."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

_FENCED = re.compile(
    r"^```(?P<language>\w*)(?: title=\"(?P<title>[^\"]*)\")?\n(?P<text>.*?)^```$", re.M | re.S
)
_INDENTED = re.compile(r"(?:^    .*\n(?:^\n(?=    ))?)+", re.M)


@dataclass(frozen=True)
class Block:
    """A code block: its language ("" where none is named), its title, its text and its line."""

    language: str
    title: str
    text: str
    line: int


def fenced(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(
            found["language"],
            found["title"] or "",
            found["text"],
            text.count("\n", 0, found.start()) + 1,
        )
        for found in _FENCED.finditer(text)
    ]


def indented(page: Path) -> list[Block]:
    """Blocks that are indented by four spaces, outside of fenced ones."""
    text = page.read_text(encoding="utf-8")
    text = _FENCED.sub(lambda found: "\n" * found[0].count("\n"), text)
    return [
        Block(
            "",
            "",
            re.sub("^    ", "", found[0], flags=re.M),
            text.count("\n", 0, found.start()) + 1,
        )
        for found in _INDENTED.finditer(text)
    ]
