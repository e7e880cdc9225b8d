"""`speechkit transcribe`."""

from typing import Annotated

import typer

MODEL_HELP = "An installed model's name, or the folder of a model or run, or a model file."
DECODER_HELP = "What decodes; else what the model comes with, or greedy."


def transcribe(
    context: typer.Context,
    audio: Annotated[list[str], typer.Argument(help="Files: WAV, FLAC, MP3, Ogg, any rate.")],
    model: Annotated[str, typer.Option(help=MODEL_HELP)],
    decoder: Annotated[str | None, typer.Option(help=DECODER_HELP)] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    as_json: Annotated[  # noqa: FBT002 - an option of a command, given by name
        bool, typer.Option("--json", help="A JSON object a file, with the words' times.")
    ] = False,
) -> None:
    """Write what is said in AUDIO."""
    from speechkit.cli.transcribe_files import transcribe_files  # noqa: PLC0415 - torch comes too

    transcribe_files(context, audio, model=model, decoder=decoder, device=device, as_json=as_json)
