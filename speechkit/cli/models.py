"""`speechkit models`: trained models that are installed, and making one of a run."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from speechkit.errors import ModelError

if TYPE_CHECKING:
    from rich.console import Console

    from speechkit.report.blocks import Block
    from speechkit.trained import InstalledModel

app = typer.Typer(help="List and show trained models, and make one of a run.")

ROOT = Path("runs")
AsJson = Annotated[bool, typer.Option("--json", help="JSON on stdout, for scripts.")]


@app.callback(invoke_without_command=True)
def models(context: typer.Context) -> None:
    """List and show trained models, and make one of a run. Alone, it lists them."""
    if context.invoked_subcommand is None:
        list_()


@app.command("list")
def list_(as_json: AsJson = False) -> None:  # noqa: FBT002 - a flag
    """List the models that `--model NAME` knows, whoever ships them."""
    from speechkit.trained import installed_models  # noqa: PLC0415 - pydantic comes with it

    found = installed_models()
    if as_json:
        shown = [_row_for_scripts(each) for each in found]
        typer.echo(json.dumps(shown, ensure_ascii=False, indent=2))
    elif found:
        _print(_listed(found))
    else:
        typer.echo("no model is installed; `speechkit models make RUN FOLDER` makes one", err=True)


@app.command()
def show(
    model: Annotated[str, typer.Argument(metavar="NAME", help="An installed model, or a folder.")],
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Show a model's card: what it is, its scores, what it learnt from, its licence and limits."""
    from speechkit.pretrained.card import card  # noqa: PLC0415 - as above
    from speechkit.trained import find_model, is_pretrained, verified  # noqa: PLC0415 - as above

    folder = find_model(model, ROOT)
    if not is_pretrained(folder):
        raise ModelError(
            f"{folder} is no pretrained model (no model.json)",
            hint="`speechkit report` shows what a run is",
        )
    facts = verified(folder)
    if as_json:
        typer.echo((folder / "model.json").read_text(encoding="utf-8"), nl=False)
    else:
        _print(card(facts))


@app.command()
def make(
    context: typer.Context,
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="A run's folder, or its name in runs/.")
    ],
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="To be made; its name is the model's.")
    ],
    licence: Annotated[
        str, typer.Option(help="Of the weights, and of the speech they learnt from.")
    ],
    precision: Annotated[
        str, typer.Option(help="Of the weights: float32, float16 or int8.")
    ] = "float16",
    note: Annotated[
        list[str] | None, typer.Option(metavar="TEXT", help="A sentence for the card.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Of [decoder], [lm] or [tune]."),
    ] = None,
) -> None:
    """Write a trained model as a folder that others can load by name.

    Its weights are packed, and the run's tests are decoded with them: the card's scores are of the
    very files that are in the folder. The decoder, and a language model if it uses one, go along.
    """
    from speechkit.cli.make_model import make_model  # noqa: PLC0415 - torch comes with it

    make_model(
        context,
        run,
        folder,
        precision=precision,
        licence=licence,
        notes=note or [],
        overrides=set_ or [],
        root=ROOT,
    )


def _listed(models: "list[InstalledModel]") -> "Iterator[Block]":
    from speechkit.report.blocks import Paragraph, Table  # noqa: PLC0415 - as above
    from speechkit.scoring.told import interval_shown  # noqa: PLC0415 - as above

    rows = []
    for each in models:
        if (facts := each.facts) is None:
            continue
        about = [each.name, facts.language, f"{facts.bytes / 1e6:.1f} MB"]
        for result in facts.best():
            chance = interval_shown(result)
            rows.append([*about, result.test, f"{result.wer:.4f}", chance])
            about = ["", "", ""]
    if rows:
        yield Table(["name", "language", "size", "test", "WER", "95 %"], rows, texts=4)
    for each in models:
        owner = f"{each.distribution} {each.version}".strip()
        what = f"licence: {each.facts.licence}" if each.facts else f"cannot be used: {each.error}"
        yield Paragraph(f"{each.name} of {owner}; {what}")


def _row_for_scripts(model: "InstalledModel") -> dict[str, object]:
    facts = model.facts
    return {
        "name": model.name,
        "folder": str(model.folder),
        "distribution": model.distribution,
        "version": model.version,
        "language": facts.language if facts else None,
        "licence": facts.licence if facts else None,
        "bytes": facts.bytes if facts else None,
        "parameters": facts.parameters if facts else None,
        "wer": {each.test: each.wer for each in facts.best()} if facts else None,
        "error": model.error or None,
    }


def _print(page: "Iterable[Block]") -> None:
    from speechkit.cli.page import to_terminal  # noqa: PLC0415 - rich, and the report, come with it

    to_terminal(page, _console())


def _console() -> "Console":
    from rich.console import Console  # noqa: PLC0415 - as above

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 120  # a pipe has no width, and rows must not be cut
    return console
