"""A finished run to a folder that others can load by name.

The weights are packed, and then the run's recipe is carried out with them, without training: what
the card says of the model was decoded with the very files that are in its folder. A language model
is built and its weights tuned on the way, if the decoder uses one; `--set lm.prune=1e-7` and the
like make it smaller than the run's own.
"""

import json
import shlex
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from speechkit.component import Config
from speechkit.data.files import folder_written_whole, sha256, write_json
from speechkit.discovery import Plugins
from speechkit.errors import ModelError, SpeechkitError
from speechkit.packing import Precision
from speechkit.pipeline import Pipeline
from speechkit.pretrained.card import card
from speechkit.recipe import Recipe, read_recipe
from speechkit.recipe.record import path_settings
from speechkit.recogniser import Recogniser, load_recogniser
from speechkit.report.markdown import to_markdown
from speechkit.report.read import Run, read_run
from speechkit.reporter import Reporter
from speechkit.runs import RunFolder
from speechkit.scoring.scores import Lines, Score, read_decoded
from speechkit.settings import TextSettings
from speechkit.trained.folder import (
    CARD,
    FACTS,
    FORMAT,
    LM,
    RECIPE,
    VERSION,
    WEIGHTS,
    Facts,
    File,
    Learnt,
    Result,
    is_pretrained,
    read_facts,
    verified,
)

GREEDY = "greedy"
MAY_BE_SET = ("decoder", "lm", "tune")  # tables of the recipe that training does not depend on


def make(
    run: Path,
    place: Path,
    plugins: Plugins,
    reporter: Reporter,
    *,
    precision: Precision,
    licence: str,
    notes: Sequence[str] = (),
    overrides: Sequence[str] = (),
) -> Facts:
    """Write the folder `place`, whole or not at all, and say what is in it.

    Args:
        run: its folder.
        place: the folder to be; its name is the model's.
        plugins: that the recipe names.
        reporter: is told how far it is.
        precision: of the weights.
        licence: of the weights, and of the speech they learnt from.
        notes: for the card.
        overrides: of the recipe: decoder, language model and tuning.

    Raises:
        ModelError: there is such a folder, or a part of the run cannot be taken along.
        SpeechkitError: the run, or its data, cannot be used.
    """
    if place.exists():
        raise ModelError(f"{place} exists", hint="remove it, or name another folder")
    if strangers := [each for each in overrides if _table(each) not in MAY_BE_SET]:
        raise ModelError(
            f"--set {strangers[0]}: training depended on it",
            hint=f"tables that can be set: {', '.join(MAY_BE_SET)}",
        )
    left = read_run(run)
    recipe = read_recipe(run / RECIPE, plugins, overrides=overrides)
    _refuse_paths(recipe)
    recogniser = load_recogniser(run, plugins)
    with tempfile.TemporaryDirectory(prefix="speechkit-model-") as folder, RunFolder(run).locked():
        work = Path(folder) / place.name
        recogniser.save(work / WEIGHTS, recogniser.packed(precision))
        _note_trained(run, work)
        quiet = replace(plugins, trackers=())
        for use in dict.fromkeys((GREEDY, recipe.decoder.use)):
            decoding = read_recipe(
                run / RECIPE, plugins, overrides=[*overrides, f"decoder.use={json.dumps(use)}"]
            )
            rows = Pipeline(decoding, quiet, work, reporter).run()
        with folder_written_whole(place) as beside:
            shutil.copyfile(work / WEIGHTS, beside / WEIGHTS)
            text = recipe.parts_to_toml(_decoder_settings(recipe, work))
            (beside / RECIPE).write_text(text, encoding="utf-8")
            if recipe.lm and "language_model" in recipe.decoder.component.uses:
                _take_language_model(work / LM, beside / LM)
            facts = Facts(
                format=FORMAT,
                version=VERSION,
                name=place.name,
                description=recipe.settings.description,
                language=recipe.settings.language,
                licence=licence,
                notes=tuple(notes),
                parameters=sum(each.numel() for each in recogniser.model.parameters()),
                precision=precision,
                sample_rate=recogniser.sample_rate,
                frame_shift_seconds=recogniser.frame_shift_seconds,
                alphabet=_written(recipe.text),
                parts=_parts(recogniser),
                decoder=recipe.decoder.use,
                results=[_result(row, left, work) for row in rows],
                learnt=_learnt(left, recipe, plugins),
                command=_command(run, place, precision, licence, notes, overrides),
                files=_files(beside),
            )
            write_json(beside / FACTS, asdict(facts))
            page = to_markdown(card(facts))
            (beside / CARD).write_text(page + "\n", encoding="utf-8")
            verified(beside)
    return facts


def _table(override: str) -> str:
    return override.partition("=")[0].partition(".")[0].strip()


def _refuse_paths(recipe: Recipe) -> None:
    """A setting that names a file of this machine means nothing elsewhere."""
    for choice in (recipe.features, recipe.units, recipe.model, recipe.decoder):
        if names := path_settings(choice.config):
            raise ModelError(
                f"the {choice.kind} {choice.use} reads {names[0]}, a file that no model's folder "
                "holds",
                hint="a language model made elsewhere goes along as [lm] file = ...",
            )


def _note_trained(run: Path, work: Path) -> None:
    """Have `work` be a run that was trained as `run` was, and gave the weights that are there."""
    folder, copy = RunFolder(run), RunFolder(work)
    inputs = folder.inputs("train")
    if inputs is None:
        raise ModelError(
            f"{run} holds no finished training", hint="let it end first: speechkit run RECIPE"
        )
    copy.done("training", inputs)
    copy.done("train", inputs, work / WEIGHTS)


def _decoder_settings(recipe: Recipe, work: Path) -> Config:
    """Those of the recipe's decoder, with the weights that were found."""
    config = recipe.decoder.config
    tuning = work / "tuning" / f"{recipe.decoder.use.replace(':', '-')}.json"
    if not tuning.is_file():
        return config
    found = json.loads(tuning.read_text(encoding="utf-8"))["best"]["settings"]
    values = {**config.model_dump(mode="json"), **found}
    return type(config).model_validate_json(json.dumps(values))


def _take_language_model(made: Path, place: Path) -> None:
    files = sorted(made.glob("*.safetensors"))
    if not files:
        raise ModelError(
            f"the language model is no safetensors, but {', '.join(_names(made))}",
            hint='a model\'s folder holds no other: [lm] use = "ngram", not a KenLM binary',
        )
    place.mkdir()
    for file in files:
        shutil.copyfile(file, place / file.name)


def _names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.glob("*")) or ["nothing"]


def _written(text: TextSettings) -> str:
    """The characters its texts have: those that `replace` makes others of are in none.

    >>> _written(TextSettings(alphabet="еёк", replace={"ё": "е"}))
    'ек '
    """
    becomes = "".join(text.replace.values())
    return "".join(each for each in text.alphabet if each not in text.replace or each in becomes)


def _parts(recogniser: Recogniser) -> dict[str, str]:
    described = recogniser.blueprint.described()
    return {kind: str(described[kind]["use"]) for kind in ("features", "units", "model")}


def _result(row: Score, left: Run, work: Path) -> Result:
    before = next(
        (each for each in left.scores if (each.test, each.decoder) == (row.test, row.decoder)), None
    )
    changed = None
    if before and row.decoder == GREEDY:
        now = read_decoded(work / "decoded" / row.decoder / f"{row.test}.jsonl")
        changed = _differing(left.decoded[row.test][row.decoder], now)
    return Result(
        test=row.test,
        decoder=row.decoder,
        wer=row.wer,
        wer_low=row.wer_low,
        wer_high=row.wer_high,
        interval=row.interval,
        cer=row.cer,
        utterances=row.utterances,
        words=row.words,
        speakers=row.speakers,
        run_wer=before.wer if before else None,
        changed=changed,
    )


def _differing(one: Lines, other: Lines) -> int:
    """How many of the utterances of both have another text."""
    texts = {each["id"]: each["hypothesis"] for each in one}
    return sum(texts.get(each["id"], each["hypothesis"]) != each["hypothesis"] for each in other)


def _learnt(left: Run, recipe: Recipe, plugins: Plugins) -> Learnt:
    part = left.part("train")
    corpora = {"training": recipe.train_corpus, "validation": recipe.validation_corpus}
    settings = {name: each.described() for name, each in corpora.items() if each}
    seconds = part.get("seconds")
    processes, threads = (_whole(left.environment.get(name)) for name in ("processes", "threads"))
    return Learnt(
        run=left.folder.resolve().name,
        corpora={name: _corpus(each) for name, each in settings.items()}
        | _started_from(recipe.model_settings.start_from, plugins),
        utterances=part.get("utterances"),
        speakers=part.get("speakers"),
        hours=None if seconds is None else seconds / 3600,
        epochs=left.epochs,
        seconds=left.training_seconds,
        device=str(left.environment.get("device", "not known")),
        threads=threads,
        seed=recipe.settings.seed,
        speechkit=str(left.environment.get("speechkit", "not known")),
        processes=processes,
    )


def _whole(given: object) -> int | None:
    return given if isinstance(given, int) else None


def _started_from(given: str | None, plugins: Plugins) -> dict[str, str]:
    """What the weights that training started from had learnt before, as far as it can be told."""
    if given is None:
        return {}
    folder = Path(given) if Path(given).is_dir() else Path(given).parent
    try:
        if is_pretrained(folder):
            before = read_facts(folder).learnt
        else:
            before = _learnt(read_run(folder), read_recipe(folder / RECIPE, plugins), plugins)
    except SpeechkitError:  # it is gone, or is a file beside no run
        return {"started from": Path(given).name}
    told = f"{before.run}: {before.corpora.get('training', 'no corpus')}"
    if before.hours is not None:
        told += f", {before.hours:.2f} h"
    if further := before.corpora.get("started from"):
        told += f"; which started from {further}"
    return {"started from": told}


def _corpus(described: Mapping[str, Any]) -> str:
    """What a corpus is, without the folders of this machine: `files mini/train.parquet`."""
    if "parts" in described:
        return " + ".join(_corpus(each) for each in described["parts"].values())
    path = described.get("path", "")
    paths = path if isinstance(path, list) else [path]
    ends = ["/".join(Path(str(each)).parts[-2:]) for each in paths if each]
    return " ".join([str(described["use"]), *ends])


def _command(
    run: Path,
    place: Path,
    precision: str,
    licence: str,
    notes: Sequence[str],
    overrides: Sequence[str],
) -> str:
    words = ["speechkit", "models", "make", run.resolve().name, place.name]
    words += ["--precision", precision, "--licence", licence]
    words += [word for each in notes for word in ("--note", each)]
    words += [word for each in overrides for word in ("--set", each)]
    return shlex.join(words)


def _files(folder: Path) -> dict[str, File]:
    files = sorted(each for each in folder.rglob("*") if each.is_file())
    return {
        each.relative_to(folder).as_posix(): File(each.stat().st_size, sha256(each))
        for each in files
    }
