"""The stages of a run: what each one needs, and what it leaves behind.

prepare → audit → train → emit → language model → tune → decode → score → report, in the folder
`runs/NAME`. A stage whose inputs have not changed is not done again, so that another decoder costs
seconds, and a run that was killed goes on where it was. A finished training is never thrown away
unasked.
"""

import json
import platform
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, partial
from importlib.metadata import distribution, distributions
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import torch
from rich.console import Console

from speechkit.audit import audit
from speechkit.corpora import TRAIN, VALIDATION, Corpora
from speechkit.data.batches import make_batch, ordered_batches
from speechkit.data.files import (
    cache_folder,
    folder_written_whole,
    sha256,
    stamp,
    telling_of_full_disks,
    write_json,
    written_whole,
)
from speechkit.data.store import Store
from speechkit.data.text import TextRules, read_lines, text_file
from speechkit.decoding.decode import decode
from speechkit.decoding.emissions import StoredEmissions, load_emissions, save_emissions
from speechkit.decoding.tune import Tunable, told, tune
from speechkit.device import choose_device, prepare_process, use_bf16
from speechkit.discovery import Plugins, owned
from speechkit.errors import DataError, PluginError, RecipeError, RunError
from speechkit.interfaces import (
    Augmentation,
    Decoder,
    Emissions,
    LanguageModel,
    LanguageModelTrainer,
    RunEnd,
    RunInfo,
)
from speechkit.recipe import Recipe
from speechkit.recogniser import (
    Blueprint,
    Described,
    Recogniser,
    check_same,
    gained,
    load_recogniser,
    load_weights,
    model_file,
)
from speechkit.reporter import Advance, Reporter
from speechkit.runs import RunFolder, differences
from speechkit.scoring.scores import Lines, Score, measured, read_decoded, score, write_scores
from speechkit.settings import TuneSettings
from speechkit.starting import start_from
from speechkit.tracking import Tracking
from speechkit.trained import find_model
from speechkit.training.augment import Chain
from speechkit.training.by_heart import learn_by_heart
from speechkit.training.examples import Examples, unlearnable
from speechkit.training.loop import Training
from speechkit.training.processes import Processes
from speechkit.training.streamed import Streamed

# Settings of [train] that change how long training takes, not what it gives.
_NO_RESULT = {"device", "threads", "keep", "checkpoint_minutes"}
# Findings of the audit that are told by the stage which does something about them.
_TOLD_ELSEWHERE = {"unreadable", "lost-characters"}
# Settings that were not always there: at these values a training is what it was without them.
_AS_BEFORE = {"accumulate": 1, "minutes": None, "same_text": 0, "streaming": False}
_OF_STREAMS = {"epoch_hours", "window_minutes"}  # settings that mean nothing without a stream
_SHOWN = 8  # characters, or utterances, named in a warning


def _as_noted(was: Mapping[str, Any] | None, part: Described) -> dict[str, Any]:
    """A part without the settings that it has gained since it was noted."""
    since = gained(was, part) if was else {}
    return {name: value for name, value in part.described().items() if name not in since}


def _with_start_found(recipe: Recipe, root: Path) -> Recipe:
    """The recipe with a path where `model.start_from` is a name: the run's own is kept so."""
    given = recipe.model_settings.start_from
    if given is None or Path(given).is_absolute():
        return recipe
    place = find_model(given, root, "model.start_from =").absolute()
    changed = recipe.model_settings.model_copy(update={"start_from": str(place)})
    return replace(recipe, model_settings=changed)


@dataclass
class Pipeline:
    """One execution of a recipe.

    force  stages to do again though nothing changed: "train"
    """

    recipe: Recipe
    plugins: Plugins
    folder: Path
    reporter: Reporter = field(default_factory=Reporter)
    force: frozenset[str] = frozenset()
    _built: Decoder | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.recipe = _with_start_found(self.recipe, self.folder.parent)
        self._tracking = Tracking((), self.reporter)  # until a run has trackers

    def run(self) -> list[Score]:
        """All stages; gives the rows of scores.json.

        Where a launcher started several processes, they train together; the first does all else.
        The others hold no lock, write nothing, and give no rows.

        Raises:
            SpeechkitError: whatever the user can put right.
        """
        prepare_process(self.recipe.train.threads)
        self.device = choose_device(self.recipe.train.device)
        self.processes = Processes(self.device)
        if not self.processes.is_first:
            self.reporter = Reporter(Console(quiet=True))
            if self.processes.of_the_first(value=False):
                self._training(self._new_recogniser()).run()
            self.processes.part()
            return []
        folder = RunFolder(self.folder)
        for row in self.plugins.broken:
            self.reporter.warn(
                f"the {row.kind} `{row.name}` of {row.distribution} {row.version} cannot be used: "
                f"{row.error} ({row.remedy})"
            )
        for row in self.plugins.meddling:
            whose = owned(row.name, row.distribution, row.version)
            self.reporter.warn(f"{whose}: {row.error} ({row.remedy})")
        for each in self.recipe.choices:
            for row in self.plugins.namesakes(each.kind, each.component.name):
                if each.distribution != row.distribution:
                    whose = f"{row.distribution} {row.version}"
                    self.reporter.warn(f"{whose}: {row.error} ({row.remedy})")
        rows: list[Score] = []
        self._tracking = Tracking(self.plugins.trackers, self.reporter)
        with folder.locked(), self._tracking.ending(lambda: self._end(rows)):
            self._train(folder)
            self.processes.part()
            self._audit()  # of what has changed since: a test, LM text
            scores = [self._test(folder, name) for name in self._corpora.tests]
            self._keep_recipe()
            place = self.folder / "scores.json"
            rows += write_scores(place, scores, holds=partial(self._holds, folder))
            self._report(folder)
            return rows

    def _end(self, rows: Sequence[Score]) -> RunEnd:
        """What there is at the end of a run that went well."""
        model, report = self.folder / "model.safetensors", self.folder / "report.html"
        return RunEnd(
            "finished",
            error="",
            scores=tuple(MappingProxyType(each.row()) for each in rows),
            model=model if model.is_file() else None,
            report=report if report.is_file() else None,
        )

    def _begin(self, training: Literal["new", "resumed", "none"]) -> None:
        run = RunInfo(self.folder.name, self.folder.absolute(), self.recipe.to_toml(), training)
        self._tracking.begin(run)

    def tune(self, asked: TuneSettings) -> dict[str, Any]:
        """Search the weights of the recipe's decoder again, for the model that is there.

        Args:
            asked: how, this time. The weights serve the recipe's runs, whatever it says itself.

        Returns:
            What `tuning/DECODER.json` holds.

        Raises:
            SpeechkitError: whatever the user can put right: there is no model, nothing to search.
        """
        use, output = self.recipe.decoder.use, self.folder / "model.safetensors"
        if not self.recipe.tune.enabled:
            raise RecipeError("[tune] enabled = false: no run would use what is found")
        if self.recipe.validation_corpus is None:
            raise RecipeError(
                "weights are searched on the validation part, and there is none",
                hint="add [corpus.validation] to the recipe",
            )
        if not output.is_file():
            raise RunError(
                f"{self.folder} holds no trained model",
                hint="train it first: speechkit run RECIPE",
            )
        prepare_process(self.recipe.train.threads)
        self.device = choose_device(self.recipe.train.device)
        folder = RunFolder(self.folder)
        with folder.locked():
            self._check_trained(folder, output)
            decoder = self._untuned(folder)
            if not isinstance(decoder, Tunable) or not decoder.tunable:
                raise RecipeError(
                    f"the decoder {use} has no weights to search as the recipe has it",
                    hint="those that use a language model have: add [lm] to the recipe, or name "
                    "another decoder: --decoder beam",
                )
            return self._search(folder, decoder, asked)

    def report(self) -> Path:
        """Write the report again, whether or not the run has changed; gives its place.

        Raises:
            SpeechkitError: whatever the user can put right: there are no scores.
        """
        folder = RunFolder(self.folder)
        with folder.locked():
            return self._report(folder, again=True)

    def _report(self, folder: RunFolder, *, again: bool = False) -> Path:
        from speechkit.report import sources, write_report  # noqa: PLC0415 - it imports matplotlib

        place, inputs = self.folder / "report.html", sources(self.folder)
        if again or not folder.is_done("report", inputs, place):
            write_report(self.folder, self.recipe, self._corpora.store)
            folder.done("report", inputs, place)
        return place

    def overfit_one_batch(self) -> None:
        """See whether the model can learn one batch by heart; leaves no run behind.

        Raises:
            SpeechkitError: it cannot, or whatever else the user can put right.
        """
        if self.recipe.train_corpus is None:
            raise RecipeError(
                "there is nothing to learn from", hint="add [corpus.train] to the recipe"
            )
        prepare_process(self.recipe.train.threads)
        self.device = choose_device(self.recipe.train.device)
        self.processes = Processes(self.device)
        if self.processes.count > 1:
            raise RunError(
                f"one batch is learnt by one process, not by {self.processes.count}",
                hint="give the command without a launcher",
            )
        with closing(self._training(self._new_recogniser())) as training:
            self.reporter.say(learn_by_heart(training))

    def _keep_recipe(self) -> None:
        """Put the recipe, with every default, into the run's folder."""
        place, text = self.folder / "recipe.toml", self.recipe.to_toml()
        if place.is_file() and place.read_text(encoding="utf-8") == text:
            return
        with written_whole(place) as beside:
            beside.write_text(text, encoding="utf-8")

    def _holds(self, folder: RunFolder, earlier: Score) -> bool:
        """Whether a row of an earlier call is of a test the recipe has, as it is now.

        And of the LM text that its decoder knew, where that was one.
        """
        before = folder.inputs(f"decode {earlier.decoder} {earlier.test}") or {}
        now = folder.inputs(f"emit {earlier.test}")
        texts = (before.get("lm") or {}).get("text", [])
        if any(Path(noted[0]).is_file() and stamp(Path(noted[0])) != noted for noted in texts):
            return False
        return earlier.test in self._corpora.tests and before.get("emit") == now

    # ---- prepare

    @cached_property
    def _corpora(self) -> Corpora:
        return Corpora(self.recipe, self.reporter)

    @cached_property
    def _augmentations(self) -> list[Augmentation]:
        ready = "features" in (self._corpora.speech[TRAIN].column_names or ())
        extractor = self._corpora.extractor
        rate = None if ready else extractor.sample_rate
        parts = [each.build(sample_rate=rate, dim=extractor.dim) for each in self.recipe.augment]
        chosen = zip(self.recipe.augment, parts, strict=True)
        waveform = [each.use for each, part in chosen if part.stage == "waveform"]
        if ready and waveform:
            raise RecipeError(
                f"[[augment]] {', '.join(waveform)} changes waveforms, and corpus train gives "
                "ready features: there are none",
                hint="take the augmentation out, or choose one of features, such as spec_augment",
            )
        return parts

    # ---- audit

    @property
    def _audit_file(self) -> Path:
        return self.folder / "audit.json"

    def _audit(self) -> None:
        """Look for leaks and odd data; what is new is told, and kept in audit.json.

        It stops nothing: which findings matter is for people to say. LM text that this run does
        not use is not read.
        """
        lm_text = self.recipe.lm_settings.text if self._lm_inputs() else []
        found = audit(self._corpora, self.reporter, lm_text=lm_text)
        now = json.loads(json.dumps(found.to_json()))
        if _json(self._audit_file) == now:
            return
        write_json(self._audit_file, now)
        for each in found.findings:
            if each.severity != "note" and each.kind not in _TOLD_ELSEWHERE:
                grave = "error " if each.severity == "error" else ""
                self.reporter.warn(f"{grave}in the data: {each.line()}")
        if any(each.severity != "note" for each in found.findings):
            self.reporter.say(f"{found.verdict()} `speechkit audit RECIPE` shows examples.")

    # ---- train

    def _train(self, folder: RunFolder) -> None:
        output = self.folder / "model.safetensors"
        if self._start and self._start.resolve() == output.resolve():
            raise RunError(
                f"model.start_from is {self.recipe.model_settings.start_from}, this very run",
                hint="give the new run a name of its own: --run NAME",
            )
        inputs = self._train_inputs(folder)
        if "train" not in self.force:
            if folder.is_done("train", inputs, output):
                self._begin("none")
                self.processes.of_the_first(value=False)
                return
            self._refuse_to_lose(folder, inputs)
        else:
            folder.forget()
        began = folder.inputs("training")
        is_new = began is None or bool(differences(began, inputs))
        if is_new:
            _empty(self.folder)
            folder.forget()
        folder.done("training", inputs)
        self._keep_recipe()
        made_with = environment(self.device, self.recipe, processes=self.processes.count)
        write_json(self.folder / "environment.json", made_with)
        trains = self.recipe.train_corpus is not None
        self._begin("none" if not trains else "new" if is_new else "resumed")
        self._audit_file.unlink(missing_ok=True)  # so that it is told before each training
        self._audit()
        recogniser = self._new_recogniser()
        if not trains:
            self.processes.of_the_first(value=False)
            recogniser.save(output)
        else:
            with telling_of_full_disks(self.folder):
                training = self._training(recogniser)
                self.processes.of_the_first(value=True)  # the data are prepared: they can read them
                training.run()
        folder.done("train", inputs, output)

    @cached_property
    def _start(self) -> Path | None:
        """The model file that training starts from."""
        given = self.recipe.model_settings.start_from
        return model_file(Path(given)) if given else None

    def _train_inputs(self, folder: RunFolder) -> dict[str, Any]:
        """What training depends on; settings that parts have gained since it are left out."""
        recipe = self.recipe
        noted = folder.inputs("train") or folder.inputs("training") or {}
        blueprint = self._blueprint()
        parts = blueprint.described()
        for kind in ("features", "units", "model"):
            parts[kind] = _as_noted(noted.get(kind), getattr(blueprint, kind))
        were = noted.get("augment") or []
        if len(were) != len(recipe.augment):
            were = [None] * len(recipe.augment)
        trains = recipe.train_corpus is not None
        data = [TRAIN, *([VALIDATION] if recipe.validation_corpus else [])] if trains else []
        streams = self._corpora.streams
        unused = set() if streams else _OF_STREAMS
        settings = recipe.train.model_dump(mode="json", exclude=_NO_RESULT | unused)
        settings = {
            name: value
            for name, value in settings.items()
            if name not in _AS_BEFORE or value != _AS_BEFORE[name]
        }
        return {
            **parts,
            "seed": recipe.settings.seed,
            "start_from": sha256(self._start) if self._start else None,
            "augment": [
                _as_noted(was, each) for was, each in zip(were, recipe.augment, strict=True)
            ]
            if trains
            else [],
            "train": settings if trains else None,
            # A stream meets what cannot be read while it trains: what to do then may be said then.
            "bad_utterances": None if streams else recipe.data.bad_utterances,
            "data": {name: self._corpora.fingerprint(name) for name in data},
        }

    def _refuse_to_lose(self, folder: RunFolder, inputs: Mapping[str, Any]) -> None:
        finished = folder.inputs("train")
        began = any((self.folder / "checkpoints").glob("step-*"))
        before = finished or (folder.inputs("training") if began else None)
        if before is None and (began or (self.folder / "model.safetensors").exists()):
            raise RunError(
                f"{self.folder} holds a model, and no record of what it was made from "
                "(stages.json is missing or damaged)",
                hint="keep it and name a new run: --run NAME; or throw it away: --force train",
            )
        if before is None or not (changed := differences(before, dict(inputs))):
            return
        what = "a finished" if finished else "an unfinished"
        raise RunError(
            f"{self.folder} holds {what} training of another recipe or other settings:"
            + _listed(changed),
            hint="keep it and name a new run: --run NAME; or throw it away: --force train",
        )

    def _check_trained(self, folder: RunFolder, output: Path) -> None:
        inputs = self._train_inputs(folder)
        if folder.is_done("train", inputs, output):
            return
        trained = folder.inputs("train")
        if trained is None or not (changed := differences(trained, inputs)):
            raise RunError(
                f"{self.folder} holds no finished training",
                hint="let it end first: speechkit run RECIPE",
            )
        raise RunError(
            f"{self.folder} holds a training of another recipe or other settings:"
            + _listed(changed),
            hint="tune it as it was trained, by its folder; or name another run: --run NAME",
        )

    def _blueprint(self) -> Blueprint:
        recipe = self.recipe
        return Blueprint(
            recipe.features,
            recipe.units,
            recipe.model,
            recipe.text,
            recipe.features_settings.normalization,
            self._corpora.extractor.dim,
            recipe.settings.language,
            [each.described() for each in recipe.text_rules],
        )

    def _new_recogniser(self) -> Recogniser:
        torch.manual_seed(self.recipe.settings.seed)  # the first weights
        recogniser = Recogniser(self._blueprint())
        if self._start and self.recipe.train_corpus is None:
            check_same(recogniser.blueprint, self._start)
            load_weights(recogniser, self._start)
        elif self._start and (told := start_from(recogniser, self._start, self.plugins)):
            self.reporter.say(told)
        return recogniser

    def _training(self, recogniser: Recogniser) -> Training:
        settings = self.recipe.train
        chain = Chain(self._augmentations, seed=self.recipe.settings.seed)
        source = (
            self._streamed(recogniser)
            if self._corpora.streams
            else self._examples(TRAIN, recogniser, training=True)
        )
        validation = None
        if self.recipe.validation_corpus:
            validation = self._examples(VALIDATION, recogniser, training=False)
        size = sum(each.numel() for each in recogniser.model.parameters())
        bf16 = "bf16" if use_bf16(settings.precision, self.device) else "fp32"
        threads = f"{torch.get_num_threads()} thread{'s' * (torch.get_num_threads() > 1)}"
        several = f", {self.processes.count} processes" if self.processes.count > 1 else ""
        self.reporter.say(
            f"training {self.recipe.model.use} ({size / 1e6:.2f} M parameters) on "
            f"{source.told()}; {self.device}, {bf16}, {threads}{several}"
        )
        assert self.recipe.validation_decoder is not None  # a recipe that trains has one
        vocabulary = recogniser.units.vocabulary
        return Training(
            recogniser,
            source,
            validation,
            chain,
            self.recipe.validation_decoder.build(vocabulary=vocabulary, language_model=None),
            settings,
            self.recipe.settings.seed,
            self.folder,
            self.device,
            self.reporter,
            self._tracking,
        )

    def _streamed(self, recogniser: Recogniser) -> Streamed:
        return Streamed(
            self._corpora.speech[TRAIN],
            recogniser,
            TextRules(self.recipe.text, self.recipe.own_rules()),
            self.recipe.train,
            seed=self.recipe.settings.seed,
            workers=self.recipe.data.workers,
            skip_bad=self.recipe.data.bad_utterances == "skip",
            processes=self.processes,
            reporter=self.reporter,
        )

    def _examples(self, name: str, recogniser: Recogniser, *, training: bool) -> Examples:
        """The utterances training can learn from; what is left out is counted and told."""
        store = self._corpora.store(name)
        rules = TextRules(self.recipe.text, self.recipe.own_rules())
        texts = [rules.normalize(text) for text in store.texts]
        labels = [recogniser.units.encode(text) for text in texts]
        self._tell_removed(name, rules)
        chosen = np.arange(len(store))
        if training:
            reasons = unlearnable(
                labels,
                store.seconds,
                frame_shift_seconds=recogniser.frame_shift_seconds,
                settings=self.recipe.train,
            )
            for reason, bad in reasons.items():
                if bad.any():
                    named = ", ".join(store.ids[index] for index in np.flatnonzero(bad)[:3])
                    count = int(bad.sum())
                    self.reporter.warn(
                        f"{name}: {count} of {len(store)} utterances left out: {reason} ({named})"
                    )
            chosen = np.flatnonzero(~np.any(list(reasons.values()), axis=0))
        if not len(chosen):
            raise DataError(
                f"corpus {name}: no utterance is left to learn from, of {len(store)}",
                hint="look at the reasons above: alphabet, train.min_seconds, train.max_seconds",
            )
        return Examples(store, texts, labels, chosen)

    def _tell_removed(self, name: str, rules: TextRules) -> None:
        if rules.removed:
            most = rules.removed.most_common(_SHOWN)
            shown = ", ".join(f"{each!r} {count} times" for each, count in most)
            more = (
                f" and {len(rules.removed) - _SHOWN} others" if len(rules.removed) > _SHOWN else ""
            )
            self.reporter.warn(
                f"{name}: characters outside the alphabet were taken out: {shown}{more}"
            )

    # ---- emit, decode, score

    def _test(self, folder: RunFolder, name: str) -> Score:
        emissions = self._emit(folder, name)
        use = self._decoder_name
        place = self.folder / "decoded" / use / f"{name}.jsonl"
        stage = f"decode {use} {name}"
        if not folder.is_done(stage, self._decode_inputs(folder, name), place):
            decoder = self._decoder(folder)  # which tunes it: its weights are an input, too
            store = self._corpora.store(name)
            stored = load_emissions(emissions)
            _check_whole(stored, emissions, len(store))
            with self.reporter.progress(f"decoding {name} with {use}") as advance:
                took = decode(
                    stored,
                    decoder,
                    self._normalized(name, store),
                    place,
                    speakers=store.speakers,
                    seconds=store.seconds.tolist(),
                    advance=advance,
                )
            folder.done(stage, self._decode_inputs(folder, name), place, {"seconds": took})
        lines = read_decoded(place)
        return score(
            name,
            use,
            lines,
            seconds=folder.measured(f"emit {name}")["seconds"],
            decoding_seconds=folder.measured(stage)["seconds"],
            measures=self._measures(lines),
        )

    def _measures(self, lines: Lines) -> dict[str, float]:
        """Those of the protocol that [score] names."""
        chosen = self.recipe.score_protocol
        if chosen is None:
            return {}
        try:
            return measured(chosen.component.name, chosen.build(), lines)
        except PluginError as error:
            raise PluginError(
                f"the score protocol `{chosen.use}` of {chosen.distribution} {chosen.version}: "
                f"{error}",
                hint='what is decoded is kept; --set score.protocol="standard" does without it',
            ) from error

    @property
    def _decoder_name(self) -> str:
        return self.recipe.decoder.use.replace(":", "-")

    def _decoder_inputs(self) -> dict[str, Any]:
        return {
            "decoder": self.recipe.decoder.described(),
            "text": self.recipe.text_described(),
            "lm": self._lm_inputs(),
        }

    def _decode_inputs(self, folder: RunFolder, name: str) -> dict[str, Any]:
        return {
            "emit": folder.inputs(f"emit {name}"),
            **self._decoder_inputs(),
            "tune": self._tunes,
            "weights": self._weights(folder),
        }

    def _decoder(self, folder: RunFolder) -> Decoder:
        """The recipe's decoder, with its language model and the weights that are found for it."""
        if self._built is None:
            decoder = self._untuned(folder)
            if self._tunes and isinstance(decoder, Tunable) and decoder.tunable:
                weights = self._weights(folder)
                if weights is None:
                    found = self._search(folder, decoder, self.recipe.tune)
                    weights = found["best"]["settings"]
                decoder = decoder.retuned(**weights)
            self._built = decoder
        return self._built

    def _untuned(self, folder: RunFolder) -> Decoder:
        language_model = self._language_model(folder) if self._lm_inputs() else None
        vocabulary = self._recogniser.units.vocabulary
        decoder: Decoder = self.recipe.decoder.build(
            vocabulary=vocabulary, language_model=language_model
        )
        return decoder

    # ---- language model, tune

    def _lm_inputs(self) -> dict[str, Any] | None:
        """What the language model is made from; None where the decoder uses none."""
        recipe = self.recipe
        if recipe.lm is None or "language_model" not in recipe.decoder.component.uses:
            return None
        uses_train = recipe.lm_settings.train_text and recipe.train_corpus is not None
        noted = (RunFolder(self.folder).inputs("lm") or {}).get("lm")
        return {
            "lm": _as_noted(noted, recipe.lm),
            "text": [stamp(text_file(file)) for file in recipe.lm_settings.text],
            "rules": recipe.text_described(),
            "train": self._corpora.fingerprint(TRAIN) if uses_train else None,
        }

    def _language_model(self, folder: RunFolder) -> LanguageModel:
        assert self.recipe.lm is not None
        trainer: LanguageModelTrainer = self.recipe.lm.build()
        place, inputs = self.folder / "lm", self._lm_inputs()
        assert inputs is not None
        if folder.inputs("lm") != json.loads(json.dumps(inputs)) or not place.is_dir():
            shutil.rmtree(place, ignore_errors=True)
            self.reporter.say(f"building the language model {self.recipe.lm.use}")
            with (
                self.reporter.progress("reading text") as advance,
                folder_written_whole(place) as beside,
            ):
                trainer.train(self._lm_lines(advance), beside)
            folder.done("lm", inputs)
        return trainer.load(place)

    def _lm_lines(self, advance: Advance) -> Iterator[str]:
        """Lines of the recipe's texts and training transcripts, under the text rules."""
        rules = TextRules(self.recipe.text, self.recipe.own_rules())
        done = 0
        for file in self.recipe.lm_settings.text:
            for line in read_lines(file):
                done += 1
                if done % 1000 == 0:
                    advance(done, None, "")
                if text := rules.normalize(line):
                    yield text
        if self.recipe.lm_settings.train_text and self.recipe.train_corpus:
            yield from filter(None, map(rules.normalize, self._corpora.store(TRAIN).texts))

    @property
    def _tunes(self) -> bool:
        return self.recipe.tune.enabled and self.recipe.validation_corpus is not None

    @property
    def _tuning(self) -> Path:
        return self.folder / "tuning" / f"{self._decoder_name}.json"

    def _tune_inputs(self, folder: RunFolder) -> dict[str, Any]:
        """What weights are found for, and how the recipe has them searched.

        What a search asked for by hand found stays, however it went about it, until one of these
        is another.
        """
        return {
            **self._decoder_inputs(),
            "tune": self.recipe.tune.model_dump(mode="json"),
            "emit": folder.inputs(f"emit {VALIDATION}"),
        }

    def _weights(self, folder: RunFolder) -> dict[str, float] | None:
        """The decoder's weights that were found; None where they were not searched yet."""
        stage = f"tune {self._decoder_name}"
        if not self._tunes or not folder.is_done(stage, self._tune_inputs(folder), self._tuning):
            return None
        found: dict[str, float] = json.loads(self._tuning.read_text("utf-8"))["best"]["settings"]
        return found

    def _search(self, folder: RunFolder, decoder: Tunable, asked: TuneSettings) -> dict[str, Any]:
        """Search the decoder's weights on the validation part: what `tuning/DECODER.json` holds."""
        from speechkit.decoding.plot import draw_tuning  # noqa: PLC0415 - it imports matplotlib

        emissions = self._emit(folder, VALIDATION)
        stored, references = load_emissions(emissions), self._references(VALIDATION)
        _check_whole(stored, emissions, len(references))
        given = {name: getattr(self.recipe.decoder.config, name, None) for name in decoder.tunable}
        start = {name: value for name, value in given.items() if isinstance(value, float | int)}
        with self.reporter.progress(f"tuning {self._decoder_name}") as advance:
            tuning = tune(stored, references, decoder, asked, start=start, advance=advance)
        found = {"decoder": self._decoder_name, "part": VALIDATION, **asdict(tuning)}
        write_json(self._tuning, found)
        draw_tuning(found, self._tuning.with_suffix(".svg"))
        folder.done(f"tune {self._decoder_name}", self._tune_inputs(folder), self._tuning)
        for line in told(found):
            self.reporter.say(line)
        return found

    def _emit(self, folder: RunFolder, name: str) -> Path:
        place = self.folder / "emissions" / f"{name}.safetensors"
        stage = f"emit {name}"
        inputs = {
            "model": sha256(self.folder / "model.safetensors"),
            "data": self._corpora.fingerprint(name),
            "bad_utterances": self.recipe.data.bad_utterances,
            "precision": "fp32",  # bf16 flips letters of a model that is unsure
        }
        if folder.is_done(stage, inputs, place):
            return place
        store = self._corpora.store(name)
        batches = ordered_batches(store.seconds, self.recipe.train.batch_seconds)
        with self.reporter.progress(f"scoring labels of {name}") as advance:

            def made() -> Iterator[tuple[list[int], Emissions]]:
                for done, indices in enumerate(batches, 1):
                    places = indices.tolist()
                    batch = make_batch(store, places, [[]] * len(store)).to(self.device)
                    yield places, self._recogniser.emissions(batch.values, batch.lengths)
                    advance(done, len(batches), "")

            save_emissions(place, made(), tuple(store.ids))
        parameters = sum(each.numel() for each in self._recogniser.model.parameters())
        measured = {"seconds": float(store.seconds.sum()), "parameters": float(parameters)}
        folder.done(stage, inputs, place, measured)
        return place

    @cached_property
    def _recogniser(self) -> Recogniser:
        return load_recogniser(self.folder, self.plugins).to(self.device)

    def _references(self, name: str) -> list[str]:
        return self._normalized(name, self._corpora.store(name))

    def _normalized(self, name: str, store: Store) -> list[str]:
        rules = TextRules(self.recipe.text, self.recipe.own_rules())
        references = [rules.normalize(text) for text in store.texts]
        self._tell_removed(name, rules)
        return references


def _listed(lines: Sequence[str]) -> str:
    more = [f"... and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
    return "".join(f"\n  {line}" for line in [*lines[:_SHOWN], *more])


def _check_whole(stored: StoredEmissions, place: Path, count: int) -> None:
    if len(stored) != count:
        raise RunError(
            f"{place} holds {len(stored)} utterances, the corpus {count}", hint=f"delete {place}"
        )


def _json(file: Path) -> Any:  # noqa: ANN401 - what the file holds
    """What a JSON file holds; None where there is none that can be read."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _empty(folder: Path) -> None:
    """Take away what an earlier training left in a run's folder, and nothing else."""
    for name in ("checkpoints", "tensorboard", "emissions", "decoded", "tuning"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for name in ("model.safetensors", "metrics.jsonl", "scores.json", "report.html"):
        (folder / name).unlink(missing_ok=True)


def environment(device: torch.device, recipe: Recipe, *, processes: int) -> dict[str, Any]:
    """What a run was made with: for people who repeat it."""
    packages = {each.name: each.version for each in distributions()}
    shown = ("torch", "torchaudio", "accelerate", "datasets", "numpy", "soundfile")
    gpu = torch.cuda.get_device_name(device) if device.type == "cuda" else None
    return {
        "speechkit": distribution("speechkit").version,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "system": platform.platform(),
        "device": gpu or str(device),
        "processes": processes,
        "threads": torch.get_num_threads(),
        "packages": {name: packages[name] for name in shown if name in packages},
        "plugins": {each.distribution: each.version for each in recipe.choices},
        "cache": str(cache_folder()),
    }
