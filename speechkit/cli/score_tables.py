"""Scores as a table, and in words."""

from collections.abc import Iterator, Sequence

from rich import box
from rich.table import Table

from speechkit.scoring.scores import Score
from speechkit.scoring.told import errors_cut, interval_shown, interval_told


def score_table(rows: Sequence[Score], *, title: str, wide: bool) -> Table:
    """A row a score; with `wide`, every count.

    WER, CER and SER are the shares of words, characters and sentences that are wrong, 95 % where
    the WER is with 95 % confidence, cut the share of greedy's WER saved, and RTF the seconds that
    decoding took for a second of speech.
    """
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("test", overflow="fold")
    table.add_column("decoder", overflow="fold")
    counts = ["sub", "del", "ins", "words"] if wide else []
    for heading in ["WER", "95 %", "cut", "CER", "SER", *counts, "RTF"]:
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        cells = [
            f"{row.wer:.4f}",
            interval_shown(row),
            errors_cut(row, rows),
            f"{row.cer:.4f}",
            "" if row.ser is None else f"{row.ser:.4f}",
        ]
        if wide:
            cells += map(str, (row.substitutions, row.deletions, row.insertions, row.words))
        table.add_row(row.test, row.decoder, *cells, f"{row.real_time_factor:.5f}")
    return table


def told(rows: Sequence[Score]) -> Iterator[str]:
    """What the rows of a table do not say of themselves."""
    for row in {row.test: row for row in rows}.values():
        yield f"{row.test}: {interval_told(row)}"
    for row in rows:
        if row.measures:
            measures = ", ".join(f"{name} {value:.4f}" for name, value in row.measures.items())
            yield f"{row.test}, {row.decoder}: {measures}"
