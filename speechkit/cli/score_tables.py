"""Scores as a table, and in words."""

from collections.abc import Iterator, Sequence

from rich import box
from rich.table import Table

from speechkit.scoring.scores import Score
from speechkit.scoring.uncertainty import MIN_UTTERANCES


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
    greedy = {row.test: row.wer for row in rows if row.decoder == "greedy"}
    for row in rows:
        compared = row.decoder != "greedy" and greedy.get(row.test)
        cells = [
            f"{row.wer:.4f}",
            interval_shown(row),
            f"{1 - row.wer / compared:.0%}" if compared else "",
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
        if row.n2_wer is not None:
            name = f"{row.test}, {row.decoder}"
            yield f"{name}: as N2 counts, WER {row.n2_wer:.4f}, CER {row.n2_cer:.4f}"


def interval_shown(row: Score) -> str:
    """`0.112–0.138`, or nothing."""
    if row.wer_low is None or row.wer_high is None:
        return ""
    return f"{row.wer_low:.3f}–{row.wer_high:.3f}"


def interval_told(row: Score) -> str:
    """What the interval of a score stands on, and whom it speaks of."""
    utterances = _count(row.utterances, "utterance")
    if row.speakers:
        utterances += f" of {_count(row.speakers, 'speaker')}"
    if row.wer_low is None:
        if row.utterances < MIN_UTTERANCES:
            return f"{utterances}: too few for an interval"
        if not row.wer:
            return f"{utterances}: no error, and so no interval"
        return f"{utterances}: no interval: hardly an error, or hardly a word right"
    if row.interval == "speakers":
        return f"{utterances}: the interval speaks of others like them"
    if not row.speakers:
        return f"{utterances}, of unknown speakers: the interval takes each for another"
    these = "this one" if row.speakers == 1 else "these"
    return f"{utterances}: too few to speak of others; the interval is of {these} alone"


def _count(number: int, one: str) -> str:
    return f"{number:,} {one}" + ("" if number == 1 else "s")
