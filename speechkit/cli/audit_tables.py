"""How `speechkit audit` shows what was found: a table, then each kind with examples."""

from collections.abc import Iterator
from itertools import groupby

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from speechkit.audit import Audit, Example, Finding
from speechkit.cli.look_tables import visible
from speechkit.recipe import Recipe

_STYLES = {"error": "bold red", "warning": "yellow", "note": "cyan"}
_EXAMPLES = 3


def show(audit: Audit, recipe: Recipe, console: Console) -> None:
    """Print what was looked at, what was found, and the verdict."""
    profile = f"  profile {recipe.profile}" if recipe.profile else ""
    console.print()
    console.print(Text.assemble((recipe.settings.name, "bold"), (profile, "dim")))
    console.print()
    for line in _looked_at(audit):
        console.print(Padding(line, (0, 0, 0, 2), expand=False))
    if audit.findings:
        console.print()
        console.print(_table(audit))
        for _, alike in groupby(audit.findings, key=lambda each: (each.severity, each.kind)):
            _details(list(alike), console)
    console.print()
    console.print(Text.assemble(("Verdict: ", "bold"), audit.verdict()))


def _looked_at(audit: Audit) -> Iterator[Text]:
    for name, part in audit.parts.items():
        several = "s" * (part.speakers > 1)
        speakers = f"{part.speakers:,} speaker{several}" if part.speakers else "speakers not named"
        numbers = f"{part.utterances:,} utterances, {part.seconds / 3600:.2f} h, {speakers}"
        yield Text.assemble(f"{name}  ", (numbers, "dim"))
    for file in audit.lm_text:
        yield Text.assemble("LM text  ", (file, "dim"))


def _table(audit: Audit) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("")
    table.add_column("where", overflow="fold")
    table.add_column("finding", overflow="fold")
    table.add_column("found", justify="right", no_wrap=True)
    table.add_column("of", justify="right", no_wrap=True)
    table.add_column("", overflow="fold")
    for each in audit.findings:
        severity = Text(each.severity, _STYLES[each.severity])
        numbers = (f"{each.count:,}", f"{each.total:,}", each.unit)
        table.add_row(severity, Text(each.where), _title(each), *numbers)
    return table


def _title(finding: Finding) -> str:
    return finding.kind.replace("-", " ")


def _details(alike: list[Finding], console: Console) -> None:
    """Findings of one kind: where, in words, examples, and once what to do."""
    console.print()
    first = alike[0]
    console.print(Text.assemble((_title(first), _STYLES[first.severity])))
    for each in alike:
        console.print(Padding(Text(visible(each.line())), (0, 0, 0, 2), expand=False))
        for example in each.examples[:_EXAMPLES]:
            console.print(_example(example), no_wrap=True, overflow="ellipsis")
    console.print(Padding(Text(f"→ {first.remedy}", "italic"), (0, 0, 0, 2), expand=False))


def _example(example: Example) -> Text:
    parts = ((example.id, "dim"), (example.note, ""), (example.text, "dim"))
    line = Text("      ")
    line.append_text(Text("  ").join(Text(visible(each), style) for each, style in parts if each))
    return line
