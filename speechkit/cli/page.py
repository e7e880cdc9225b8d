"""A page of headings, paragraphs and tables, written for a terminal, as Markdown, or as HTML."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import TypeAlias

from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { padding: .25rem .75rem; border-bottom: 1px solid #ccc; text-align: left; }
th.number, td.number { text-align: right; font-variant-numeric: tabular-nums; }
"""


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


def to_terminal(page: Iterable[Block], console: Console) -> None:
    """Print it, as wide as the terminal is."""
    for block in page:
        match block:
            case Heading(text, level):
                console.print()
                console.print(Text(text, "bold" if level < 3 else "dim"))
            case Paragraph(text):
                console.print(Text(text))
            case Table(headings, rows, texts):
                table = RichTable(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
                for place, heading in enumerate(headings):
                    is_text = place < texts
                    table.add_column(
                        heading,
                        justify="left" if is_text else "right",
                        overflow="fold",
                        no_wrap=not is_text,
                    )
                for row in rows:
                    table.add_row(*map(Text, row))
                console.print(table)


def to_markdown(page: Iterable[Block]) -> str:
    """As GitHub and others read it."""
    parts = []
    for block in page:
        match block:
            case Heading(text, level):
                parts.append(f"{'#' * level} {_marked(text)}")
            case Paragraph(text):
                parts.append(_marked(text))
            case Table(headings, rows, texts):
                line = ["---" if place < texts else "---:" for place, _ in enumerate(headings)]
                marked = [[_marked(cell) for cell in row] for row in (headings, *rows)]
                lines = [marked[0], line, *marked[1:]]
                parts.append("\n".join(f"| {' | '.join(cells)} |" for cells in lines))
    return "\n\n".join(parts)


def _marked(text: str) -> str:
    r"""Text as it is: no sign in it means a table, emphasis, a link or HTML.

    >>> print(_marked("a_b | <c>"))
    a\_b \| \<c>
    """
    return "".join(f"\\{each}" if each in r"\`*_[]<|" else each for each in text)


def to_html(page: Iterable[Block], *, title: str) -> str:
    """A whole file that needs no other."""
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style>'
    body = "\n".join(map(_html, page))
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>\n{body}\n</body></html>'


def _html(block: Block) -> str:
    match block:
        case Heading(text, level):
            return f"<h{level}>{escape(text)}</h{level}>"
        case Paragraph(text):
            return f"<p>{escape(text)}</p>"
        case Table(headings, rows, texts):
            lines = [_html_row("th", headings, texts)]
            lines += [_html_row("td", row, texts) for row in rows]
            return "<table>\n" + "\n".join(lines) + "\n</table>"


def _html_row(tag: str, cells: Sequence[str], texts: int) -> str:
    made = [
        f"<{tag}>{escape(cell)}</{tag}>"
        if place < texts
        else f'<{tag} class="number">{escape(cell)}</{tag}>'
        for place, cell in enumerate(cells)
    ]
    return f"<tr>{''.join(made)}</tr>"
