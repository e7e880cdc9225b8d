"""`speechkit data record`."""

from pathlib import Path
from typing import Annotated

import typer


def record(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where recordings go.")],
    sentences: Annotated[
        Path, typer.Option(metavar="FILE", help="What to read: a sentence a line, UTF-8 or .gz.")
    ],
    speaker: Annotated[
        str | None, typer.Option(metavar="NAME", help="Who reads; each reads every sentence.")
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="The microphone: its number or a part of its name.")
    ] = None,
    sample_rate: Annotated[int, typer.Option(min=4_000, max=192_000, help="Hertz.")] = 16_000,
    seconds_limit: Annotated[
        float, typer.Option(min=0.5, max=600, help="A recording ends by itself after so long.")
    ] = 30.0,
) -> None:
    """Record sentences one by one into FOLDER; goes on after those recorded already.

    The corpus `files` reads the folder: [corpus.train] use = "files", path = "FOLDER".
    """
    from speechkit.cli.record_sentences import record_sentences  # noqa: PLC0415 - numpy comes too

    record_sentences(
        folder,
        sentences,
        speaker=speaker,
        device=device,
        sample_rate=sample_rate,
        seconds_limit=seconds_limit,
    )
