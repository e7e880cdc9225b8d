"""What a page is made of, whether it is for a terminal, Markdown or HTML."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True)
class Heading:
    """Of the page (level 1), of a section (2), or of a part of one (3)."""

    text: str
    level: int = 2


@dataclass(frozen=True)
class Paragraph:
    """Some sentences."""

    text: str


@dataclass(frozen=True)
class Table:
    """Rows of cells. The first `texts` columns are texts, the others numbers."""

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    texts: int = 1


Block: TypeAlias = Heading | Paragraph | Table
