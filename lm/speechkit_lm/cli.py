"""`speechkit lm`: build, measure and change n-gram language models."""

import json
import math
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Timer
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from speechkit_lm.model import NgramModel
    from speechkit_lm.progress import Progress
    from speechkit_lm.text import Block

app = typer.Typer(no_args_is_help=True, help="Build, measure and change n-gram language models.")

_PATIENCE_SECONDS = 2.0  # progress is shown of what lasts longer

Model = Annotated[
    Path,
    typer.Argument(metavar="MODEL", help="An ARPA file (.gz, too), or what `build` wrote."),
]
Texts = Annotated[
    list[str],
    typer.Argument(
        metavar="TEXT...",
        help="Text, one sentence a line; .gz, too; -: stdin; FILE.parquet:COLUMN: of a table.",
    ),
]
Output = Annotated[
    Path,
    typer.Option(
        "--output", "-o", metavar="PATH",
        help="A name in .arpa or .arpa.gz makes an ARPA file, in .safetensors a file of arrays; "
        "any other is a folder for that.",
    ),
]  # fmt: skip
Recipe = Annotated[
    str | None,
    typer.Option(metavar="RECIPE", help="Apply this recipe's text rules to the text."),
]
Alphabet = Annotated[
    str | None,
    typer.Option(metavar="LETTERS", help="Apply the default text rules with this alphabet."),
]
Packed = Annotated[
    bool,
    typer.Option(
        "--packed", help="Keep it in a third of the room, probabilities in float16: to be shipped."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="JSON on stdout, for scripts.")]


@app.command()
def build(
    context: typer.Context,
    *,
    text: Texts,
    output: Output,
    order: Annotated[int, typer.Option(min=1, max=6, help="Words of the longest n-gram.")] = 3,
    cutoffs: Annotated[
        str,
        typer.Option(
            metavar="N,N,...",
            help="Leave out n-grams of order 1, 2, ... that occur so often or less; the last "
            "number goes for all higher orders. lmplz calls it --prune.",
        ),
    ] = "0",
    prune: Annotated[
        float, typer.Option(min=0, help="Then prune by entropy, as `speechkit lm prune`.")
    ] = 0.0,
    vocabulary: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Keep the words listed in FILE only."),
    ] = None,
    vocabulary_limit: Annotated[
        int | None, typer.Option(min=1, help="Keep so many words, the most frequent.")
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            metavar="W,W,...",
            help="A weight for each TEXT: a model of each is estimated, and they are interpolated. "
            "Without it all texts are one.",
        ),
    ] = None,
    recipe: Recipe = None,
    alphabet: Alphabet = None,
    fallback: Annotated[
        str,
        typer.Option(
            metavar="D1,D2,D3|none",
            help="Discounts where the text is too small or too regular to tell; none: an error.",
        ),
    ] = "0.5,1,1.5",
    memory: Annotated[
        float, typer.Option(metavar="GB", help="About what the work may hold at once.")
    ] = 2.0,
    engine: Annotated[
        str, typer.Option(help="speechkit, or lmplz where it is on the PATH.")
    ] = "speechkit",
    packed: Packed = False,
) -> None:
    """Estimate a model of TEXT: interpolated modified Kneser-Ney, as lmplz does it.

    Words are parted by spaces and lines are sentences. The text is taken as it is, unless
    --recipe or --alphabet says how to normalise it.
    """
    from speechkit_lm.building import build as estimate  # noqa: PLC0415 - `--help` needs none
    from speechkit_lm.lmplz import build_with_lmplz  # noqa: PLC0415
    from speechkit_lm.mixing import mix as interpolate  # noqa: PLC0415
    from speechkit_lm.pruning import prune as prune_by_entropy  # noqa: PLC0415

    _packable(output, packed=packed)
    if engine not in {"speechkit", "lmplz"}:
        _usage(f"--engine must be speechkit or lmplz, not {engine!r}")
    normalize = _rules(context, recipe, alphabet)
    settings: dict[str, Any] = {
        "order": order,
        "cutoffs": _whole_numbers(cutoffs, "--cutoffs"),
        "vocabulary": _vocabulary(vocabulary),
        "fallback_discounts": _discounts(fallback),
        "memory_gigabytes": memory,
        "temporary": output.parent,
    }
    if engine == "lmplz" and vocabulary_limit is not None:
        _usage("--vocabulary-limit is for --engine speechkit")
    if engine == "speechkit":
        settings["vocabulary_limit"] = vocabulary_limit
    estimator = estimate if engine == "speechkit" else build_with_lmplz
    shares = None if weights is None else _numbers(weights, "--weights")
    parts = [text] if shares is None else [[each] for each in text]
    if shares is not None and len(shares) != len(text):
        _usage(f"{len(shares)} weights for {len(text)} texts")
    with _shown() as progress, _usage_errors():
        models = [
            estimator(_blocks(part, normalize), progress=progress, **settings) for part in parts
        ]
        model = models[0] if shares is None else interpolate(models, shares)
        if prune:
            model = prune_by_entropy(model, prune)
        model.save(output, packed=packed, progress=progress)
    _tell_size(model, output)


@app.command()
def info(
    *,
    model: Model,
    verify: Annotated[
        bool, typer.Option("--verify", help="Compare the checksum, however large the file.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show what MODEL is: its order, words, n-grams, and how it was made."""
    from speechkit_lm.text import SPECIAL_IDS  # noqa: PLC0415

    opened = _open(model, verify=verify or None)
    known = {
        "model": str(opened.path),
        "order": opened.order,
        "words": len(opened.words),
        "ngrams": list(opened.counts),
        "letters": "".join(sorted(set("".join(opened.words[SPECIAL_IDS:])))),
        "bytes": sum(array.nbytes for array in opened.arrays),
        "file_bytes": opened.path.stat().st_size if opened.path else 0,
    }
    if as_json:
        typer.echo(json.dumps({**known, "facts": opened.facts}, ensure_ascii=False))
        return
    for key, value in [*known.items(), *opened.facts.items()]:
        shown = " ".join(map(str, value)) if isinstance(value, list) else value
        typer.echo(f"{key}: {shown}")


@app.command()
def perplexity(
    context: typer.Context,
    *,
    model: Model,
    text: Texts,
    recipe: Recipe = None,
    alphabet: Alphabet = None,
    as_json: Json = False,
) -> None:
    """Tell how well MODEL foretells TEXT, and how many of its words the model does not have."""
    from speechkit_lm.measuring import perplexity as measure  # noqa: PLC0415

    opened = _open(model)
    normalize = _rules(context, recipe, alphabet)
    rows = []
    for each in text:
        with _shown() as progress:
            progress(f"reading {each}", None)
            found = measure(opened, _blocks([each], normalize))
        rows.append(
            {
                "text": each,
                "sentences": found.sentences,
                "words": found.words,
                "unknown": found.unknown,
                "unknown_rate": found.unknown_rate,
                "perplexity": found.perplexity,
                "perplexity_known": found.perplexity_known,
                "log_prob": found.log_prob,
            }
        )
        if not as_json:
            typer.echo(
                f"{each}: perplexity {found.perplexity:.2f}, without unknown words "
                f"{found.perplexity_known:.2f}; {found.unknown} of {found.words} words unknown "
                f"({found.unknown_rate:.2%}), {found.sentences} sentences"
            )
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False))


@app.command()
def query(
    context: typer.Context,
    *,
    model: Model,
    sentences: Annotated[
        list[str] | None,
        typer.Argument(metavar="SENTENCE...", help="Sentences; without any, lines of stdin."),
    ] = None,
    recipe: Recipe = None,
    alphabet: Alphabet = None,
    as_json: Json = False,
) -> None:
    """Show how MODEL reads sentences: each word's n-gram length and natural log probability."""
    opened = _open(model)
    normalize = _rules(context, recipe, alphabet)
    rows = []
    for line in sentences or (each.rstrip("\n") for each in sys.stdin):
        sentence = line if normalize is None else normalize(line)
        readings = opened.read(sentence)
        total = math.fsum(each.log_prob for each in readings)
        if as_json:
            words = [
                {
                    "word": each.word,
                    "log_prob": each.log_prob,
                    "ngram_length": each.ngram_length,
                    "known": each.known,
                }
                for each in readings
            ]
            rows.append({"sentence": sentence, "log_prob": total, "words": words})
            continue
        shown = "  ".join(
            f"{each.word}={each.ngram_length}{'' if each.known else '?'} {each.log_prob:.3f}"
            for each in readings
        )
        typer.echo(f"{total:.4f}\t{shown}")
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False))


@app.command()
def prune(
    *,
    model: Model,
    output: Output,
    threshold: Annotated[
        float,
        typer.Option(min=0, help="Share of the perplexity: 1e-8 leaves out little, 1e-6 most."),
    ] = 1e-8,
    packed: Packed = False,
) -> None:
    """Leave out of MODEL the n-grams that raise its perplexity by less than a share each."""
    from speechkit_lm.pruning import prune as prune_by_entropy  # noqa: PLC0415

    _packable(output, packed=packed)
    opened = _open(model)
    with _shown() as progress:
        progress("pruning", None)
        pruned = prune_by_entropy(opened, threshold)
        pruned.save(output, packed=packed, progress=progress)
    _tell_size(pruned, output)


@app.command()
def mix(
    context: typer.Context,
    *,
    models: Annotated[list[Path], typer.Argument(metavar="MODEL...", help="Models of any orders.")],
    output: Output,
    weights: Annotated[
        str | None, typer.Option(metavar="W,W,...", help="One for each model.")
    ] = None,
    tune: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="Find the weights that foretell this text best."),
    ] = None,
    recipe: Recipe = None,
    alphabet: Alphabet = None,
    packed: Packed = False,
) -> None:
    """Interpolate MODELs into one back-off model that has the words and n-grams of all."""
    from speechkit_lm.mixing import mix as interpolate  # noqa: PLC0415
    from speechkit_lm.mixing import tune_weights  # noqa: PLC0415

    _packable(output, packed=packed)
    if (weights is None) == (tune is None):
        _usage("give either --weights or --tune")
    opened = [_open(each) for each in models]
    with _shown() as progress, _usage_errors():
        if tune is None:
            shares = _numbers(weights or "", "--weights")
        else:
            progress("tuning weights", None)
            tuned = tune_weights(opened, _blocks([tune], _rules(context, recipe, alphabet)))
            shares = list(tuned.weights)
            for path, share, alone in zip(models, shares, tuned.perplexities, strict=True):
                typer.echo(f"{path}: weight {share:.4f}, perplexity alone {alone:.2f}")
            typer.echo(f"perplexity of the mixture {tuned.perplexity:.2f}")
        progress("interpolating", None)
        mixed = interpolate(opened, shares)
        mixed.save(output, packed=packed, progress=progress)
    _tell_size(mixed, output)


def _open(path: Path, *, verify: bool | None = None) -> "NgramModel":
    from speechkit_lm.model import NgramModel  # noqa: PLC0415

    with _shown() as progress:
        progress(f"opening {path}", None)
        return NgramModel.load(path, verify=verify, progress=progress)


def _packable(output: Path, *, packed: bool) -> None:
    """Refuse what cannot be packed, before any work."""
    if packed and output.name.endswith((".arpa", ".arpa.gz")):
        _usage(f"--packed is of arrays, and {output.name} would be an ARPA file")


def _tell_size(model: "NgramModel", output: Path) -> None:
    typer.echo(f"{output}: {' + '.join(map(str, model.counts))} n-grams", err=True)


def _blocks(texts: Iterable[str], normalize: Any) -> "Iterator[Block]":  # noqa: ANN401 - a function
    """The texts one after the other, normalised where rules are given."""
    from speechkit_lm.text import blocks_of_column, blocks_of_file, normalized  # noqa: PLC0415

    for each in texts:
        table, parquet, column = each.rpartition(".parquet")
        if parquet and column[:1] in {"", ":"}:
            blocks = blocks_of_column(table + parquet, column[1:] or "text")
        else:
            blocks = blocks_of_file(each)
        yield from blocks if normalize is None else normalized(blocks, normalize)


def _rules(context: typer.Context, recipe: str | None, alphabet: str | None) -> Any:  # noqa: ANN401 - a function or None
    """What to do to each line; None: nothing."""
    if recipe is None and alphabet is None:
        return None
    if recipe is not None and alphabet is not None:
        _usage("give --recipe or --alphabet, not both")
    from speechkit_lm.rules import rules_of  # noqa: PLC0415 - needs the engine

    return rules_of(context, recipe=recipe, alphabet=alphabet)


def _vocabulary(path: Path | None) -> list[str] | None:
    from speechkit import DataError  # noqa: PLC0415

    if path is None:
        return None
    try:
        return path.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"{path}: cannot be read: {error}", hint="a vocabulary is words parted by white space"
        ) from error


def _numbers(text: str, option: str) -> list[float]:
    try:
        return [float(each) for each in text.replace(",", " ").split()]
    except ValueError:
        _usage(f"{option} takes numbers parted by commas, not {text!r}")


def _whole_numbers(text: str, option: str) -> list[int]:
    numbers = _numbers(text, option)
    if not all(each.is_integer() for each in numbers):
        _usage(f"{option} takes whole numbers parted by commas, not {text!r}")
    return [int(each) for each in numbers]


def _discounts(text: str) -> tuple[float, float, float] | None:
    if text == "none":
        return None
    amounts = _numbers(text, "--fallback")
    if len(amounts) != 3 or not all(0 <= each <= n for n, each in enumerate(amounts, 1)):
        _usage("--fallback takes three numbers, from 0 to 1, to 2 and to 3, or none")
    return amounts[0], amounts[1], amounts[2]


def _usage(message: str) -> NoReturn:
    raise typer.BadParameter(message)


@contextmanager
def _usage_errors() -> Iterator[None]:
    """What a function says of its arguments is told as what the options should have been."""
    try:
        yield
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


@contextmanager
def _shown() -> "Iterator[Progress]":
    """A line on stderr that says how far the work is, once it has lasted two seconds."""
    from rich.console import Console  # noqa: PLC0415 - `--help` needs none
    from rich.status import Status  # noqa: PLC0415

    status = Status("", console=Console(stderr=True))
    patience = Timer(_PATIENCE_SECONDS, status.start)
    patience.daemon = True
    if status.console.is_terminal:
        patience.start()

    def progress(stage: str, share: float | None) -> None:
        status.update(stage if share is None else f"{stage}: {share:.0%}")

    try:
        yield progress
    finally:
        patience.cancel()
        if patience.is_alive():  # it may be starting the line just now
            patience.join()
        status.stop()
