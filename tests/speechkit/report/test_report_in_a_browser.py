"""The report as a browser has it: it sorts, filters, plays, and has nothing to complain of."""

from itertools import pairwise

import pytest
from browser import Browser, installed
from report_runs import leave, leave_two, said
from test_report import store
from typer.testing import CliRunner

from speechkit import cli
from speechkit.report import write_report

pytestmark = pytest.mark.skipif(not installed(), reason="no chromium or google-chrome is installed")

COLUMN = (
    "[...document.querySelectorAll({!r} + ' tbody tr:not([hidden])')]"
    ".map(row => row.cells[{}].textContent)"
)
SPEAKERS = '[aria-label="lj: errors by speaker"] table'


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Browser(tmp_path_factory.mktemp("browser")) as started:
        yield started


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    return write_report(leave_two(tmp_path_factory.mktemp("runs")), stores=lambda test: store())


@pytest.fixture
def page(report, browser):
    browser.screen(1280)
    browser.open(report)
    yield browser
    assert browser.problems == []
    assert [each[:5] for each in browser.requests if not each.startswith("data:")] == ["file:"]


def click(page, what, text):
    page.evaluate(
        f"[...document.querySelectorAll({what!r})].find(e => e.textContent === {text!r}).click()"
    )


def test_tables_sort_by_numbers_and_texts(page):
    column = COLUMN.format(SPEAKERS, 1)
    before = page.evaluate(column)
    click(page, f"{SPEAKERS} th button", "utterances")
    down = page.evaluate(column)
    assert down == sorted(before, key=int, reverse=True)
    heading = f"document.querySelector({SPEAKERS!r} + ' [aria-sort]')"
    assert page.evaluate(f"{heading}.ariaSort + {heading}.textContent") == "descendingutterances"
    click(page, f"{SPEAKERS} th button", "utterances")
    assert page.evaluate(column) == sorted(before, key=int)
    click(page, f"{SPEAKERS} th button", "speaker")
    names = page.evaluate(COLUMN.format(SPEAKERS, 0))
    assert names == [f"s{number}" for number in range(11)]  # s10 is last: numbers in texts count


def test_tables_filter_and_say_how_much_is_left(page):
    field = "document.querySelector('[aria-label=\"Filter: lj: errors by speaker\"]')"
    page.evaluate(f"{field}.value = 'S1'; {field}.dispatchEvent(new Event('input'))")
    assert sorted(page.evaluate(COLUMN.format(SPEAKERS, 0))) == ["s1", "s10"]
    status = f"{field}.closest('.filter').querySelector('[role=status]').textContent"
    assert page.evaluate(status) == "2 of 11 rows"
    page.evaluate(f"{field}.value = ''; {field}.dispatchEvent(new Event('input'))")
    assert len(page.evaluate(COLUMN.format(SPEAKERS, 0))) == 11


def test_a_word_plays_itself_and_no_more(page):
    found = page.evaluate(
        """(async () => {
          const word = document.querySelectorAll('.utterance button[data-start]')[1];
          const audio = word.closest('.utterance').querySelector('audio');
          const ended = new Promise(done => audio.addEventListener('pause', done, {once: true}));
          const began = new Promise(done => audio.addEventListener('playing', done, {once: true}));
          word.click();
          await began;
          const first = audio.currentTime, marked = word.classList.contains('now');
          await ended;
          return {duration: audio.duration, first, last: audio.currentTime,
                  start: Number(word.dataset.start), end: Number(word.dataset.end)};
        })()"""
    )
    assert found["duration"] == pytest.approx(2, abs=0.1)
    assert found["start"] <= found["first"] < found["end"]
    assert found["end"] <= found["last"] < found["end"] + 0.2


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("dark", [False, True])
def test_a_page_fits_its_screen_and_has_its_colours(page, width, dark):
    page.screen(width, dark=dark)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(20, 23, 28)" if dark else "rgb(255, 255, 255)")


def test_what_is_there_can_be_named_and_reached(page):
    unnamed = """[...document.querySelectorAll('button, input, audio, [role=img], [role=group]')]
        .filter(e => !(e.ariaLabel || e.textContent.trim() || e.labels?.length)).length"""
    assert page.evaluate(unnamed) == 0
    levels = page.evaluate(
        "[...document.querySelectorAll('h1,h2,h3,h4,h5')].map(e => +e.tagName[1])"
    )
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    lost = "[...document.querySelectorAll('nav a')].filter(a => !document.querySelector(a.hash))"
    assert page.evaluate(f"{lost}.length") == 0
    page.evaluate("document.querySelector('th button').focus()")
    assert page.evaluate("document.activeElement.tagName") == "BUTTON"


ATTACKS = [
    "<script>document.title='broken'</script>",
    "<img src=x onerror=document.title='broken'>",
    "</article></main><!--",
    "\u202e\u2066 \ud800 \x00",
    "x" * 1_000_000,
]


def attacked(folder, wrong, decoder):
    """A run whose texts and names are attacks."""
    lines = said(1, wrong=wrong, decoder=decoder)
    for line, attack in zip(lines, ATTACKS, strict=False):
        line |= {"id": attack, "speaker": attack, "reference": attack}
        line |= {"hypothesis": attack if decoder == "better" else f"{attack} a b c d"}
    folder.mkdir()
    leave(folder, {ATTACKS[0].replace("/", "-"): {decoder: lines}})
    recipe = f'[recipe]\nname = "{ATTACKS[1]}{decoder}"\nlanguage = "{ATTACKS[1]}{decoder}"\n'
    (folder / "recipe.toml").write_text(f'{recipe}[decoder]\nuse = "{decoder}"\n')
    return folder


def untouched(browser):
    assert browser.problems == []
    assert "broken" not in browser.evaluate("document.title")
    assert browser.evaluate("document.querySelectorAll('script, img').length") == 1
    assert browser.evaluate("document.documentElement.scrollWidth") <= 360


def test_hostile_text_runs_nothing(tmp_path, browser):
    browser.screen(360)
    browser.open(write_report(attacked(tmp_path / "one", 0.2, "greedy")))
    untouched(browser)
    assert browser.evaluate("document.querySelectorAll('main article').length") == 15


def test_hostile_text_runs_nothing_in_a_comparison(tmp_path, browser):
    runs = [attacked(tmp_path / name, 0.2, name) for name in ("worse", "better")]
    called = CliRunner().invoke(cli.app, ["compare", *map(str, runs), "--format", "html"])
    place = tmp_path / "compare.html"
    place.write_text(called.stdout, encoding="utf-8")
    browser.screen(360)
    browser.open(place)
    untouched(browser)
    shown = browser.evaluate("document.body.innerText")
    for attack in ("<script>", "<img", "</article>", "[U+202E]", "[1,000,000 characters]"):
        assert attack in shown
