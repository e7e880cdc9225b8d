"""`speechkit mic`."""

from typing import Annotated

import typer

from speechkit.cli.transcribe import DECODER_HELP, MODEL_HELP


def mic(
    context: typer.Context,
    model: Annotated[str, typer.Option(help=MODEL_HELP)],
    seconds: Annotated[
        float, typer.Option(min=0.5, max=3600, help="A recording ends by itself after so long.")
    ] = 60.0,
    device: Annotated[
        str | None, typer.Option(help="The microphone: its number or a part of its name.")
    ] = None,
    decoder: Annotated[str | None, typer.Option(help=DECODER_HELP)] = None,
) -> None:
    """Write what is said into the microphone, again and again: Enter stops, q ends."""
    from speechkit.cli.listen import listen  # noqa: PLC0415 - torch comes with it

    listen(context, model=model, seconds_limit=seconds, device=device, decoder=decoder)
