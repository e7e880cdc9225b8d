"""How `speechkit data look` shows what was measured: tables that fit 80 columns."""

import unicodedata
from collections.abc import Iterator, Mapping, Sequence

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from speechkit.data.look import Histogram, Look
from speechkit.recipe import Recipe

_BAR_COLUMNS = 14
_EIGHTHS = " ▏▎▍▌▋▊▉"
_GAP = 3  # columns between things side by side
_SHOWN = 8  # characters outside the alphabet, or signs, of one part
_INDENT = 2
_DIRECTIONS = "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def show(looks: Sequence[Look], recipe: Recipe, console: Console) -> None:
    """Print what every part holds, side by side where they can be compared."""
    profile = f"  profile {recipe.profile}" if recipe.profile else ""
    console.print()
    console.print(Text.assemble((recipe.settings.name, "bold"), (profile, "dim")))
    width = console.width - _INDENT
    _section(console, "", _overview(looks))
    _section(console, "Length in seconds", _lengths(looks), *_histograms(looks, width))
    _section(console, "Letters", *(_letters(each, width) for each in looks))
    if any(each.punctuation for each in looks):
        _section(console, "Other signs, not kept", _signs(looks))
    if any(each.outside for each in looks):
        _section(console, f"Outside the alphabet, {_fate(recipe)}", _outside(looks))
    _section(console, "To look at", _oddities(looks))


def _section(console: Console, heading: str, *parts: RenderableType) -> None:
    console.print()
    if heading:
        console.print(Text(heading, "bold"))
    for part in parts:
        console.print(Padding(part, (0, 0, 0, _INDENT), expand=False))


def _table(*headings: str) -> Table:
    """A table without lines: a row a part, and numbers of it."""
    table = Table(box=None, padding=(0, _GAP, 0, 0), header_style="dim", pad_edge=False)
    table.add_column("", no_wrap=True, overflow="ellipsis")
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _overview(looks: Sequence[Look]) -> Table:
    headings = ("utterances", "hours", "speakers", "words", "distinct", "characters")
    table = _table(*headings)
    for each in looks:
        table.add_row(
            each.name,
            f"{each.utterances:,}",
            f"{each.seconds / 3600:.2f}",
            f"{each.speakers:,}" if each.speakers else "–",
            f"{each.words:,}",
            f"{each.distinct_words:,}",
            f"{sum(each.characters.values()):,}",
        )
    return table


def _lengths(looks: Sequence[Look]) -> Table:
    table = _table("shortest", "median", "longest")
    for each in looks:
        lengths = (each.shortest.seconds, each.median_seconds, each.longest.seconds)
        table.add_row(each.name, *(f"{seconds:.2f}" for seconds in lengths))
    return table


def _histograms(looks: Sequence[Look], width: int) -> Iterator[RenderableType]:
    """A histogram of each part, as many side by side as there is room for."""
    panels = [Group(Text(each.name, "dim"), _histogram(each.histogram)) for each in looks]
    sizes = [Console(width=width).measure(each).maximum for each in panels]
    across = max(1, (width + _GAP) // (max(sizes) + _GAP))
    for first in range(0, len(panels), across):
        grid = Table.grid(padding=(0, _GAP, 0, 0), pad_edge=False)
        for _ in range(across):  # the last row, too, so that all columns stand below each other
            grid.add_column(min_width=max(sizes))
        grid.add_row(*panels[first : first + across])
        yield Padding(grid, (1, 0, 0, 0), expand=False)


def _histogram(found: Histogram) -> Table:
    table = Table.grid(padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(width=_BAR_COLUMNS, no_wrap=True, style="cyan")
    table.add_column(justify="right", no_wrap=True)
    most = max(found.counts)
    for place, count in enumerate(found.counts):
        begin = found.first + place * found.width
        label = f"{begin:g}–{begin + found.width:g}"
        table.add_row(label, _bar(count / most), f"{count:,}" if count else Text("·", "dim"))
    return table


def _bar(share: float) -> str:
    """`share` of the columns a bar may fill; what is more than nothing can be seen.

    >>> _bar(1.0) == "█" * _BAR_COLUMNS, _bar(0.0), _bar(1e-6)
    (True, '', '▏')
    """
    eighths = round(share * _BAR_COLUMNS * 8) or (share > 0)
    return ("█" * (eighths // 8) + _EIGHTHS[eighths % 8]).rstrip()


def _letters(found: Look, width: int) -> RenderableType:
    """The letters of a part's texts with their counts, most frequent first, in columns."""
    cells = [f"{visible(letter)} {count:,}" for letter, count in found.characters.items()]
    size = max(map(len, cells), default=0)
    across = max(1, (width + _GAP) // (size + _GAP))
    grid = Table.grid(padding=(0, _GAP, 0, 0), pad_edge=False)
    for first in range(0, len(cells), across):
        grid.add_row(*cells[first : first + across])
    never = [visible(each) for each in found.unused]
    told = [Text(f"never: {' '.join(never)}", "yellow")] if never else []
    return Group(Text(found.name, "dim"), grid, *told)


def _signs(looks: Sequence[Look]) -> RenderableType:
    table = Table.grid(padding=(0, _GAP, 0, 0), pad_edge=False)
    for each in looks:
        if each.punctuation:
            table.add_row(each.name, _listed(each.punctuation))
    return table


def _listed(counts: Mapping[str, int]) -> str:
    shown = [f"{visible(sign)} {count:,}" for sign, count in list(counts.items())[:_SHOWN]]
    more = len(counts) - _SHOWN
    return "   ".join(shown) + (f"   and {more} more" if more > 0 else "")


def _fate(recipe: Recipe) -> str:
    return {
        "remove": "taken out",
        "space": "made a space",
        "error": "an error: a run stops at them",
    }[recipe.text.outside]


def _outside(looks: Sequence[Look]) -> RenderableType:
    """The characters outside the alphabet in each part: how often, and a place of each."""
    lines: list[RenderableType] = []
    for each in looks:
        for outsider in each.outside[:_SHOWN]:
            inside = f"{outsider.utterances:,} of {each.utterances:,} utterances"
            count = f"{outsider.count:,}× in {inside}"
            sign = (visible(outsider.character), "yellow")
            lines.append(Text.assemble(f"{each.name}: ", sign, f"  {count}"))
            excerpt = visible(outsider.excerpt)
            lines.append(_one_line("    ", (outsider.id, "dim"), f"  {excerpt}"))
        if (more := len(each.outside) - _SHOWN) > 0:
            lines.append(Text(f"{each.name}: and {more} more"))
    return Group(*lines)


def _oddities(looks: Sequence[Look]) -> RenderableType:
    """What is odd in each part, with examples: their id, length, and text."""
    lines: list[RenderableType] = []
    for each in looks:
        if each.skipped:
            lines.append(_finding(each, each.skipped, "cannot be read, left out"))
        for odd in each.oddities:
            lines.append(_finding(each, odd.count, odd.what))
            for one in odd.examples:
                seconds = f"    {one.seconds:.2f} s  "
                lines.append(_one_line(seconds, (one.id, "dim"), f"  {visible(one.text)}"))
    return Group(*lines) if lines else Text("nothing", "green")


def _finding(part: Look, count: int, what: str) -> Text:
    return Text.assemble(
        f"{part.name}: ", (f"{count:,}", "yellow"), f" of {part.utterances:,}: {what}"
    )


def _one_line(*parts: str | tuple[str, str]) -> Text:
    line = Text.assemble(*parts)
    line.no_wrap, line.overflow = True, "ellipsis"
    return line


def visible(text: str) -> str:
    r"""`text` on one line, and a character that has no shape of its own by its number.

    >>> visible(" "), visible("\u0301"), visible("a\nb")
    ('␣', 'U+0301', 'a b')
    >>> visible("\x1b[2J"), visible("abc\u202ecba")
    ('�[2J', 'abc�cba')
    """
    if text == " ":
        return "␣"
    if len(text) == 1 and unicodedata.category(text)[0] in "MCZ":
        return f"U+{ord(text):04X}"
    # Controls would move the cursor; marks of direction would turn the line around.
    return " ".join("".join(map(_harmless, text)).split())


def _harmless(character: str) -> str:
    is_control = unicodedata.category(character) == "Cc" and not character.isspace()
    return "\ufffd" if is_control or character in _DIRECTIONS else character
