"""A page of headings, paragraphs and tables as Markdown."""

from collections.abc import Iterable

from speechkit.report.blocks import Block, Heading, Paragraph, Table
from speechkit.report.html import LONGEST_LINE, shown


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
    marked = (f"\\{each}" if each in r"\`*_[]<|" else each for each in shown(text, LONGEST_LINE))
    return "".join(marked)
