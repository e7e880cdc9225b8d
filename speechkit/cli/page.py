"""A page of headings, paragraphs and tables, written for a terminal."""

from collections.abc import Iterable

from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from speechkit.report.blocks import Block, Heading, Paragraph, Table
from speechkit.report.html import LONGEST_LINE, shown, to_html
from speechkit.report.markdown import to_markdown

__all__ = ["Block", "Heading", "Paragraph", "Table", "to_html", "to_markdown", "to_terminal"]


def to_terminal(page: Iterable[Block], console: Console) -> None:
    """Print it, as wide as the terminal is.

    As in HTML, texts are cut where they are long, and show what would move the cursor or turn the
    line around.
    """
    for block in page:
        match block:
            case Heading(text, level):
                console.print()
                console.print(Text(shown(text), "bold" if level < 3 else "dim"))
            case Paragraph(text):
                console.print(Text(shown(text, LONGEST_LINE)))
            case Table(headings, rows, texts):
                table = RichTable(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
                for place, heading in enumerate(headings):
                    is_text = place < texts
                    table.add_column(
                        Text(shown(heading)),
                        justify="left" if is_text else "right",
                        overflow="fold",
                        no_wrap=not is_text,
                    )
                for row in rows:
                    table.add_row(*(Text(shown(cell)) for cell in row))
                console.print(table)
