"""What `speechkit transcribe` does, apart from its options, since torch comes with it."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import typer

from speechkit.cli.context import plugins_of
from speechkit.device import choose_device, prepare_process
from speechkit.errors import DataError, RunError
from speechkit.inference.transcriber import Transcriber, read_and_transcribe
from speechkit.pretrained.loading import load_pretrained, load_run
from speechkit.recogniser import load_recogniser
from speechkit.trained import find_model, is_pretrained


def open_transcriber(
    context: typer.Context, *, model: str, decoder: str | None, device: str
) -> Transcriber:
    """A trained model with a decoder, on a device."""
    prepare_process(0)
    plugins = plugins_of(context)
    chosen, place = choose_device(device), find_model(model, Path("runs"))
    if is_pretrained(place):
        recogniser, part = load_pretrained(place, plugins, decoder=decoder)
    elif decoder and (place / "recipe.toml").is_file():
        recogniser, part = load_run(place, plugins, decoder=decoder)
    else:
        recogniser = load_recogniser(place, plugins)
        component = plugins.find("decoder", decoder or "greedy").component
        vocabulary = recogniser.units.vocabulary
        part = component.build(component.config(), vocabulary=vocabulary, language_model=None)
    return Transcriber(recogniser.to(chosen), part)


def transcribe_files(
    context: typer.Context,
    files: Sequence[str],
    *,
    model: str,
    decoder: str | None,
    device: str,
    as_json: bool,
) -> None:
    """Print a line for each file; one that cannot be read is told, and the others go on."""
    if device not in {"auto", "cpu", "cuda"}:
        raise RunError(f"--device {device}: no such device", hint="known: auto, cpu, cuda")
    transcriber = open_transcriber(context, model=model, decoder=decoder, device=device)
    failed = 0
    for file in files:
        shown = file.encode("utf-8", "replace").decode()  # a name may be no text at all
        try:
            found, seconds = read_and_transcribe(transcriber, file)
        except DataError as error:
            failed += 1
            hint = f"\nhint: {error.hint}" if error.hint else ""
            told = f"error: {error}{hint}".encode("utf-8", "replace").decode()
            typer.echo(told, err=True)
            continue
        if as_json:
            words = [asdict(word) for word in found.words]
            line = {"file": shown, "seconds": seconds, "text": found.text, "words": words}
            typer.echo(json.dumps(line, ensure_ascii=False))
        else:
            typer.echo(found.text if len(files) == 1 else f"{shown}\t{found.text}")
    if failed:
        raise typer.Exit(1)
