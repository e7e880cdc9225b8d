"""Templates to one HTML file that needs no other.

Every text that a template shows goes through `shown` and is escaped, whoever wrote it: no template
can forget to. The policy in the page's head refuses any script but the page's own, and any network.
"""

import base64
import hashlib
import unicodedata
from collections.abc import Iterable
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from speechkit.report.blocks import Block, Heading, Paragraph, Table

LONGEST = 300  # characters of a text; what is longer is cut, with a mark
LONGEST_LINE = 1000  # of a recipe, or of a paragraph
_MARKS = 5  # one on the other: scripts have three or four
_JOINERS = "\u200c\u200d"  # of Persian and Indic scripts: their letters need them


def render(template: str, **values: object) -> str:
    """A template of this package with `values` filled in."""
    return _environment().get_template(template).render(values)


def to_html(page: Iterable[Block], *, title: str) -> str:
    """A page of headings, paragraphs and tables as a whole file."""
    return render("blocks.html", title=title, page=list(page))


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("speechkit.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalized,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    assert made.loader is not None
    style, script = (
        made.loader.get_source(made, name)[0].strip() for name in ("page.css", "page.js")
    )
    sum_of_script = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    made.globals |= {
        "style": Markup(style),  # noqa: S704 - a file of this package
        "script": Markup(script),  # noqa: S704 - as well
        "script_sum": f"sha256-{sum_of_script}",
    }
    made.filters["line"] = _line
    made.tests |= {
        "heading": lambda block: isinstance(block, Heading),
        "paragraph": lambda block: isinstance(block, Paragraph),
        "table": lambda block: isinstance(block, Table),
    }
    return made


def _finalized(value: Any) -> Any:  # noqa: ANN401 - whatever a template shows
    return shown(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _line(text: str) -> Markup:
    """A line of a file, or a paragraph: it may be longer than other texts."""
    return escape(shown(text, LONGEST_LINE))


def shown(text: str, longest: int = LONGEST) -> str:
    r"""`text` on one line, cut where it is long; a character that is not seen is its number.

    Among those are the controls that turn the direction of what stands after them. Marks stand on
    a letter, or on a circle, a few of them: a pile would reach into other lines.

    >>> shown("a\nb\u202ec"), shown("x" * 1000, 3)
    ('a b[U+202E]c', 'xxx… [1,000 characters]')
    """
    seen = "◌" if text and _is_mark(text[0]) else ""
    marks = 0
    for each in text[:longest]:
        marks = marks + 1 if _is_mark(each) else 0
        seen += _seen(each) if marks <= _MARKS else _number(each)
    return seen if len(text) <= longest else f"{seen}… [{len(text):,} characters]"


def _seen(character: str) -> str:
    if character.isspace():
        return " "
    if unicodedata.category(character)[0] == "C" and character not in _JOINERS:
        return _number(character)
    return character


def _number(character: str) -> str:
    return f"[U+{ord(character):04X}]"


def _is_mark(character: str) -> bool:
    return unicodedata.category(character)[0] == "M"
