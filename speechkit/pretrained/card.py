"""The model card: what model.json says, for people."""

from collections.abc import Iterator

from speechkit.report.blocks import Block, Heading, Paragraph, Table
from speechkit.scoring.told import interval_shown
from speechkit.trained.folder import Facts, Result


def card(facts: Facts) -> Iterator[Block]:
    """The whole of it."""
    yield Heading(facts.name, 1)
    if facts.description:
        yield Paragraph(facts.description)
    yield Table(["what", "it is"], list(_about(facts)), texts=2)
    yield Heading("Scores")
    yield Paragraph(
        "Of the files in this folder, decoded and counted when it was made; 95 % intervals. "
        "“Before” is the run's own WER, with weights in float32 and its own language model; "
        "“changed” are utterances whose text is another than with weights in float32."
    )
    headings = ["test", "decoder", "WER", "95 %", "CER", "words", "utterances", "speakers"]
    rows = [_row(each) for each in facts.results]
    yield Table([*headings, "before", "changed"], rows, texts=2)
    yield Heading("What it learnt from")
    yield Table(["what", "it is"], list(_learnt(facts)), texts=2)
    yield Heading("Limits")
    for each in _limits(facts):
        yield Paragraph(each)
    if facts.notes:
        yield Heading("Notes of its maker")
        for each in facts.notes:
            yield Paragraph(each)
    yield Heading("Files")
    files = [[name, f"{each.bytes:,}", each.sha256] for name, each in facts.files.items()]
    yield Table(["file", "bytes", "SHA-256"], files, texts=1)


def _about(facts: Facts) -> Iterator[list[str]]:
    yield ["language", facts.language]
    yield ["licence", facts.licence]
    yield ["size", f"{facts.parameters:,} parameters in {facts.precision}; {facts.bytes:,} bytes"]
    yield ["parts", ", ".join(f"{kind} {use}" for kind, use in facts.parts.items())]
    yield ["decoder", facts.decoder]
    yield ["writes", facts.alphabet.strip()]
    yield ["hears", f"{facts.sample_rate:,} Hz; other rates are resampled"]
    yield ["frames", f"{1 / facts.frame_shift_seconds:.4g} a second"]
    yield ["made by", facts.command]


def _row(each: Result) -> list[str]:
    return [
        each.test,
        each.decoder,
        f"{each.wer:.4f}",
        interval_shown(each),
        f"{each.cer:.4f}",
        f"{each.words:,}",
        f"{each.utterances:,}",
        f"{each.speakers:,}" if each.speakers else "not named",
        "" if each.run_wer is None else f"{each.run_wer:.4f}",
        "" if each.changed is None else f"{each.changed} of {each.utterances}",
    ]


def _learnt(facts: Facts) -> Iterator[list[str]]:
    learnt = facts.learnt
    yield ["run", learnt.run]
    yield from ([name, corpus] for name, corpus in learnt.corpora.items())
    if learnt.hours is not None:
        speakers = f", {learnt.speakers:,} speakers" if learnt.speakers else ""
        yield ["speech", f"{learnt.hours:.2f} h, {learnt.utterances or 0:,} utterances{speakers}"]
    if learnt.epochs is not None:
        took = "" if learnt.seconds is None else f" in {learnt.seconds / 60:,.0f} minutes"
        together = f", {learnt.processes} processes" if (learnt.processes or 1) > 1 else ""
        threads = f", threads: {learnt.threads}" if learnt.threads else ""
        yield ["time", f"{learnt.epochs} epochs{took}; {learnt.device}{together}{threads}"]
    yield ["seed", str(learnt.seed)]
    yield ["speechkit", learnt.speechkit]


def _limits(facts: Facts) -> Iterator[str]:
    yield (
        "It writes the characters above and no others: no capitals, digits or punctuation that is "
        "not among them."
    )
    if facts.learnt.hours is not None:
        yield (
            f"It has heard {facts.learnt.hours:.1f} hours of speech. Of other voices, rooms, "
            "microphones and ways of speaking it will get more wrong than the tests say."
        )
    few = [each for each in facts.best() if 0 < each.speakers < 10]
    for each in few:
        yield (
            f"The test {each.test} has {each.speakers} speaker{'s' * (each.speakers > 1)}: it "
            "says little about others, whatever its interval."
        )
