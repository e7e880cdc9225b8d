"""Whatever a text holds, a page shows it, and is neither broken nor scripted by it."""

import base64
import hashlib
import re
import unicodedata
from html.parser import HTMLParser

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from speechkit.report.blocks import Heading, Paragraph, Table
from speechkit.report.html import LONGEST, shown, to_html

HOSTILE = [
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "</style></script><!--",
    "abc\u202egnp.exe\u2066",
    "{{ 7 * 7 }}{% raw %}",
    "\x00\x1b[31m\r\n\ud800",
]


class Tags(HTMLParser):
    """What a browser would make of a page: its tags, with attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, tuple(attrs)))


@given(st.text(st.characters(codec=None), max_size=400), st.integers(1, 400))
@example("a\u202eb\ud800\x00", 300)
def test_no_character_is_unseen_and_none_too_many(text, longest):
    seen = shown(text, longest)
    categories = {unicodedata.category(each) for each in seen if each not in "\u200c\u200d"}
    assert not categories & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    seen.encode()
    assert ("characters]" in seen) == (len(text) > longest) or "characters]" in text
    assert len(seen) <= 10 * longest + 41


def test_joiners_of_scripts_that_need_them_stay():
    assert shown("می\u200cخواهم") == "می\u200cخواهم"


def test_marks_do_not_pile_up():
    assert shown("e" + "\u0301" * 6 + "x\u0301") == "e" + "\u0301" * 5 + "[U+0301]x\u0301"
    assert shown("\u0301a") == "◌\u0301a"
    assert shown("שָׁלוֹם") == "שָׁלוֹם"


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_adds_no_tag(text):
    def page(word):
        table = Table([word, "n"], [[word, word], ["b", "1"]])
        return to_html([Heading(word, 1), Paragraph(word), table], title=word)

    assert Tags(page(text)).found == Tags(page("harmless")).found
    page(text).encode()


def test_a_line_of_a_megabyte_is_cut_with_a_mark():
    page = to_html([Paragraph("x" * 1_000_000)], title="t")
    assert "x" * LONGEST + "… [1,000,000 characters]" in page
    assert len(page) < 30_000


def test_only_the_script_of_the_page_may_run():
    page = to_html([], title="t")
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    sum_ = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy.startswith("default-src 'none'")
    assert f"script-src 'sha256-{sum_}'" in policy
    assert not re.search(r"https?://|//[a-z]", page)
