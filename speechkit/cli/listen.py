"""What `speechkit mic` does, apart from its options, since torch comes with it."""

import typer
from rich.console import Console
from rich.text import Text

from speechkit.cli.terminal import Ending, Keyboard, Studio, is_quit
from speechkit.cli.transcribe_files import open_transcriber
from speechkit.data.audio import from_int16
from speechkit.errors import DataError
from speechkit.inference.microphone import Microphone


def listen(
    context: typer.Context,
    *,
    model: str,
    seconds_limit: float,
    device: str | None,
    decoder: str | None,
) -> None:
    """Record and print what was said, until q or Ctrl-C; texts go to stdout, all else to stderr."""
    Microphone(device, 16_000)  # is there one? A model takes longer to load
    transcriber = open_transcriber(context, model=model, decoder=decoder, device="auto")
    microphone = Microphone(device, transcriber.recogniser.sample_rate)
    console = Console(stderr=True, highlight=False)
    studio = Studio(microphone, Keyboard(), console)
    console.print(f"listening with {microphone.name}; Ctrl-C ends", markup=False)
    try:
        while True:
            recording, ending = studio.record(seconds_limit)
            studio.warn(recording)
            if recording.seconds:
                try:
                    samples = from_int16(recording.samples)
                    found = transcriber.transcribe(
                        samples, recording.sample_rate, name="the recording"
                    )
                    typer.echo(found.text)
                except DataError as error:
                    console.print(Text(f"warning: {error}", "yellow"))
            if ending is Ending.QUIT or not _again(studio):
                return
    except KeyboardInterrupt:
        console.print()


def _again(studio: Studio) -> bool:
    studio.console.print(Text("Enter: listen again   q: quit ", "cyan"), end="")
    return not is_quit(studio.keyboard.line())
