"""The stages of a run: what each one needs, and what it leaves behind.

prepare → train → emit → language model → tune → decode → score, in the folder `runs/NAME`. A stage
whose inputs have not changed is not done again, so that another decoder costs seconds, and a run
that was killed goes on where it was. A finished training is never thrown away unasked.
"""

import json
import platform
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property, partial
from importlib.metadata import distribution, distributions
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch

from speechkit.data.batches import make_batch, ordered_batches
from speechkit.data.files import (
    cache_folder,
    folder_written_whole,
    sha256,
    telling_of_full_disks,
    write_json,
    written_whole,
)
from speechkit.data.store import Store, fingerprint_of, prepare
from speechkit.data.text import TextRules, read_lines
from speechkit.decoding.decode import decode
from speechkit.decoding.emissions import StoredEmissions, load_emissions, save_emissions
from speechkit.decoding.tune import Tunable, tune
from speechkit.device import choose_device, prepare_process, use_bf16
from speechkit.discovery import Plugins
from speechkit.errors import DataError, RecipeError, RunError
from speechkit.interfaces import (
    Augmentation,
    Decoder,
    Emissions,
    LanguageModel,
    LanguageModelTrainer,
    Speech,
)
from speechkit.recipe import Choice, Recipe
from speechkit.recogniser import (
    Blueprint,
    Recogniser,
    check_same,
    load_recogniser,
    load_weights,
    model_file,
)
from speechkit.reporter import Advance, Reporter
from speechkit.runs import RunFolder, differences
from speechkit.scoring.scores import Score, read_decoded, score, write_scores
from speechkit.training.augment import Chain
from speechkit.training.loop import Examples, Training

VALIDATION = "validation"  # how the validation part is called among the test sets

# Settings of [train] that change how long training takes, not what it gives.
_NO_RESULT = {"device", "threads", "keep", "checkpoint_minutes"}
_SHOWN = 8  # characters, or utterances, named in a warning


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

    def run(self) -> list[Score]:
        """All stages; gives the rows of scores.json.

        Raises:
            SpeechkitError: whatever the user can put right.
        """
        prepare_process(self.recipe.train.threads)
        self.device = choose_device(self.recipe.train.device)
        folder = RunFolder(self.folder)
        with folder.locked():
            self._train(folder)
            scores = [self._test(folder, name) for name in self._tests()]
            self._keep_recipe()
            place = self.folder / "scores.json"
            return write_scores(place, scores, holds=partial(self._holds, folder))

    def _keep_recipe(self) -> None:
        """Put the recipe, with every default, into the run's folder."""
        place, text = self.folder / "recipe.toml", self.recipe.to_toml()
        if place.is_file() and place.read_text(encoding="utf-8") == text:
            return
        with written_whole(place) as beside:
            beside.write_text(text, encoding="utf-8")

    def _holds(self, folder: RunFolder, earlier: Score) -> bool:
        """Whether a row of an earlier call is of a test the recipe has, as it is now."""
        before = folder.inputs(f"decode {earlier.decoder} {earlier.test}") or {}
        now = folder.inputs(f"emit {earlier.test}")
        return earlier.test in self._tests() and before.get("emit") == now

    # ---- prepare

    @cached_property
    def _speech(self) -> dict[str, Speech]:
        """Datasets by name: "train", and the test sets with "validation" among them."""
        chosen = {"train": self.recipe.train_corpus, **self._tests()}
        return {name: choice.build() for name, choice in chosen.items() if choice}

    def _tests(self) -> dict[str, Choice]:
        validation = self.recipe.validation_corpus
        first = {VALIDATION: validation} if validation else {}
        return {**first, **self.recipe.test_corpora}

    def _choice(self, name: str) -> Choice:
        choice = self.recipe.train_corpus if name == "train" else self._tests()[name]
        assert choice is not None
        return choice

    def _fingerprint(self, name: str) -> str:
        described = self._choice(name).described()
        rate = self._extractor.sample_rate
        return fingerprint_of(self._speech[name], described, sample_rate=rate)

    def _store(self, name: str) -> Store:
        with self.reporter.progress(f"reading {name}") as advance:
            store = prepare(
                self._speech[name],
                self._choice(name).described(),
                sample_rate=self._extractor.sample_rate,
                skip_bad=self.recipe.data.bad_utterances == "skip",
                name=name,
                progress=advance,
                workers=self.recipe.data.workers,
            )
        for _, why in store.meta.skipped[:_SHOWN]:
            self.reporter.warn(f"{name}: left out: {why}")
        self._check_features(name, store)
        return store

    @cached_property
    def _extractor(self) -> Any:  # noqa: ANN401 - a FeatureExtractor of a plugin
        return self.recipe.features.build()

    def _check_features(self, name: str, store: Store) -> None:
        if store.meta.kind == "audio":
            return
        extractor, use = self._extractor, self.recipe.features.use
        have = (store.meta.dim, store.meta.frame_shift_seconds)
        want = (extractor.dim, extractor.frame_shift_seconds)
        if have[0] != want[0] or abs(have[1] - want[1]) > 1e-6:
            raise DataError(
                f"corpus {name} gives {have[0]} features every {have[1]:g} s, "
                f"[features] {use} makes {want[0]} every {want[1]:g} s",
                hint="choose the extractor that the corpus' features were made with",
            )
        waveform = [
            each.use
            for each, part in zip(self.recipe.augment, self._augmentations, strict=True)
            if part.stage == "waveform"
        ]
        if waveform and name == "train":
            raise RecipeError(
                f"[[augment]] {', '.join(waveform)} changes waveforms, and corpus train gives "
                "ready features: there are none",
                hint="take the augmentation out, or choose one of features, such as spec_augment",
            )

    @cached_property
    def _augmentations(self) -> list[Augmentation]:
        ready = "features" in (self._speech["train"].column_names or ())
        rate = None if ready else self._extractor.sample_rate
        return [
            each.build(sample_rate=rate, dim=self._extractor.dim) for each in self.recipe.augment
        ]

    # ---- train

    def _train(self, folder: RunFolder) -> None:
        output = self.folder / "model.safetensors"
        start = self.recipe.model_settings.start_from
        if start and model_file(start).resolve() == output.resolve():
            raise RunError(
                f"model.start_from is {start}, the folder of this very run",
                hint="give the new run a name of its own: --run NAME",
            )
        inputs = self._train_inputs()
        if "train" not in self.force:
            if folder.is_done("train", inputs, output):
                return
            self._refuse_to_lose(folder, inputs)
        else:
            folder.forget()
        began = folder.inputs("training")
        if began is None or differences(began, inputs):
            _empty(self.folder)
            folder.forget()
        folder.done("training", inputs)
        self._keep_recipe()
        write_json(self.folder / "environment.json", environment(self.device))
        recogniser = self._new_recogniser()
        if self.recipe.train_corpus is None:
            recogniser.save(output)
        else:
            with telling_of_full_disks(self.folder):
                self._learn(recogniser)
        folder.done("train", inputs, output)

    def _train_inputs(self) -> dict[str, Any]:
        recipe = self.recipe
        trains = recipe.train_corpus is not None
        start = recipe.model_settings.start_from
        data = ["train", *([VALIDATION] if recipe.validation_corpus else [])] if trains else []
        settings = recipe.train.model_dump(mode="json", exclude=_NO_RESULT)
        return {
            **self._blueprint().described(),
            "seed": recipe.settings.seed,
            "start_from": sha256(model_file(start)) if start else None,
            "augment": [each.described() for each in recipe.augment] if trains else [],
            "train": settings if trains else None,
            "bad_utterances": recipe.data.bad_utterances,
            "data": {name: self._fingerprint(name) for name in data},
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
        more = f"\n  ... and {len(changed) - _SHOWN} more" if len(changed) > _SHOWN else ""
        raise RunError(
            f"{self.folder} holds {what} training of another recipe or other settings:\n  "
            + "\n  ".join(changed[:_SHOWN])
            + more,
            hint="keep it and name a new run: --run NAME; or throw it away: --force train",
        )

    def _blueprint(self) -> Blueprint:
        recipe = self.recipe
        return Blueprint(
            recipe.features,
            recipe.units,
            recipe.model,
            recipe.text,
            recipe.features_settings.normalization,
            self._extractor.dim,
            recipe.settings.language,
        )

    def _new_recogniser(self) -> Recogniser:
        torch.manual_seed(self.recipe.settings.seed)  # the first weights
        recogniser = Recogniser(self._blueprint())
        if start := self.recipe.model_settings.start_from:
            trains = self.recipe.train_corpus is not None
            check_same(recogniser.blueprint, model_file(start), whole=not trains)
            load_weights(recogniser, model_file(start))
        return recogniser

    def _learn(self, recogniser: Recogniser) -> None:
        settings = self.recipe.train
        train = self._examples("train", recogniser, training=True)
        validation = None
        if self.recipe.validation_corpus:
            validation = self._examples(VALIDATION, recogniser, training=False)
        size = sum(each.numel() for each in recogniser.model.parameters())
        bf16 = "bf16" if use_bf16(settings.precision, self.device) else "fp32"
        self.reporter.say(
            f"training {self.recipe.model.use} ({size / 1e6:.2f} M parameters) on "
            f"{len(train.chosen)} utterances, {train.seconds.sum() / 3600:.2f} h; "
            f"{self.device}, {bf16}, {torch.get_num_threads()} threads"
        )
        assert self.recipe.validation_decoder is not None  # a recipe that trains has one
        vocabulary = recogniser.units.vocabulary
        Training(
            recogniser,
            train,
            validation,
            Chain(self._augmentations, seed=self.recipe.settings.seed),
            self.recipe.validation_decoder.build(vocabulary=vocabulary, language_model=None),
            settings,
            self.recipe.settings.seed,
            self.folder,
            self.device,
            self.reporter,
        ).run()

    def _examples(self, name: str, recogniser: Recogniser, *, training: bool) -> Examples:
        """The utterances training can learn from; what is left out is counted and told."""
        store = self._store(name)
        rules = TextRules(self.recipe.text)
        texts = [rules.normalize(text) for text in store.texts]
        labels = [recogniser.units.encode(text) for text in texts]
        self._tell_removed(name, rules)
        chosen = np.arange(len(store))
        if training:
            settings = self.recipe.train
            needed = np.array([_frames_needed(each) for each in labels])
            frames = store.seconds / recogniser.frame_shift_seconds
            reasons = {
                "no text is left under the text rules": np.array([not each for each in labels]),
                "more labels than frames": needed > frames,
                f"shorter than {settings.min_seconds:g} s": store.seconds < settings.min_seconds,
                f"longer than {settings.max_seconds:g} s": store.seconds > settings.max_seconds,
            }
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
        inputs = {"emit": folder.inputs(f"emit {name}"), **self._decoder_inputs(folder)}
        if not folder.is_done(stage, inputs, place):
            store = self._store(name)
            stored = load_emissions(emissions)
            _check_whole(stored, emissions, len(store))
            with self.reporter.progress(f"decoding {name} with {use}") as advance:
                took = decode(
                    stored,
                    self._decoder(folder),
                    self._normalized(name, store),
                    place,
                    speakers=store.speakers,
                    seconds=store.seconds.tolist(),
                    advance=advance,
                )
            folder.done(stage, inputs, place, {"seconds": took})
        return score(
            name,
            use,
            read_decoded(place),
            seconds=folder.measured(f"emit {name}")["seconds"],
            decoding_seconds=folder.measured(stage)["seconds"],
            protocol=self.recipe.score.protocol,
        )

    @property
    def _decoder_name(self) -> str:
        return self.recipe.decoder.use.replace(":", "-")

    def _decoder_inputs(self, folder: RunFolder) -> dict[str, Any]:
        tunes = self.recipe.tune.enabled and self.recipe.validation_corpus is not None
        return {
            "decoder": self.recipe.decoder.described(),
            "text": self.recipe.text.model_dump(mode="json"),
            "lm": self._lm_inputs(),
            "tune": {
                **self.recipe.tune.model_dump(mode="json"),
                "emit": folder.inputs(f"emit {VALIDATION}"),
            }
            if tunes
            else None,
        }

    def _decoder(self, folder: RunFolder) -> Decoder:
        """The recipe's decoder, with its language model and the weights that were found for it."""
        if self._built is None:
            language_model = self._language_model(folder) if self._lm_inputs() else None
            vocabulary = self._recogniser.units.vocabulary
            self._built = self.recipe.decoder.build(
                vocabulary=vocabulary, language_model=language_model
            )
            if isinstance(self._built, Tunable) and (best := self._tuned(folder, self._built)):
                self._built = self._built.retuned(**best)
        assert self._built is not None
        return self._built

    # ---- language model, tune

    def _lm_inputs(self) -> dict[str, Any] | None:
        """What the language model is made from; None where the decoder uses none."""
        recipe = self.recipe
        if recipe.lm is None or "language_model" not in recipe.decoder.component.uses:
            return None
        uses_train = recipe.lm_settings.train_text and recipe.train_corpus is not None
        return {
            "lm": recipe.lm.described(),
            "text": [_stamp(_text_file(file)) for file in recipe.lm_settings.text],
            "rules": recipe.text.model_dump(mode="json"),
            "train": self._fingerprint("train") if uses_train else None,
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
        rules = TextRules(self.recipe.text)
        done = 0
        for file in self.recipe.lm_settings.text:
            for line in read_lines(file):
                done += 1
                if done % 1000 == 0:
                    advance(done, None, "")
                if text := rules.normalize(line):
                    yield text
        if self.recipe.lm_settings.train_text and self.recipe.train_corpus:
            yield from filter(None, map(rules.normalize, self._store("train").texts))

    def _tuned(self, folder: RunFolder, decoder: Tunable) -> dict[str, float]:
        """The weights found on the validation part; none where there is no such part."""
        inputs = self._decoder_inputs(folder)
        if inputs["tune"] is None or not decoder.tunable:
            return {}
        place = self.folder / "tuning" / f"{self._decoder_name}.json"
        stage = f"tune {self._decoder_name}"
        if not folder.is_done(stage, inputs, place):
            stored = load_emissions(self._emit(folder, VALIDATION))
            references = self._references(VALIDATION)
            with self.reporter.progress(f"tuning {self._decoder_name}") as advance:
                count = self.recipe.tune.utterances
                found = tune(stored, references, decoder, utterances=count, advance=advance)
            write_json(place, asdict(found))
            folder.done(stage, inputs, place)
        found_settings: dict[str, float] = json.loads(place.read_text("utf-8"))["best"]["settings"]
        self._tell_tuned(json.loads(place.read_text("utf-8")))
        return found_settings

    def _tell_tuned(self, found: Mapping[str, Any]) -> None:
        weights = ", ".join(
            f"{name} {each:.3g}" for name, each in found["best"]["settings"].items()
        )
        edges = ", ".join(found["edges"])
        self.reporter.say(
            f"{self._decoder_name}: {weights}: the best of {len(found['points'])} settings on "
            f"{found['utterances']} utterances of {VALIDATION}, WER {found['best']['wer']:.4f}"
            + (f"; at the edge of what was searched: {edges}" if edges else "")
        )

    def _emit(self, folder: RunFolder, name: str) -> Path:
        place = self.folder / "emissions" / f"{name}.safetensors"
        stage = f"emit {name}"
        inputs = {
            "model": sha256(self.folder / "model.safetensors"),
            "data": self._fingerprint(name),
            "bad_utterances": self.recipe.data.bad_utterances,
        }
        if folder.is_done(stage, inputs, place):
            return place
        store = self._store(name)
        bf16 = use_bf16(self.recipe.train.precision, self.device)
        batches = ordered_batches(store.seconds, self.recipe.train.batch_seconds)
        with self.reporter.progress(f"scoring labels of {name}") as advance:

            def made() -> Iterator[tuple[list[int], Emissions]]:
                for done, indices in enumerate(batches, 1):
                    places = indices.tolist()
                    batch = make_batch(store, places, [[]] * len(store)).to(self.device)
                    yield places, self._recogniser.emissions(batch.values, batch.lengths, bf16=bf16)
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
        return self._normalized(name, self._store(name))

    def _normalized(self, name: str, store: Store) -> list[str]:
        rules = TextRules(self.recipe.text)
        references = [rules.normalize(text) for text in store.texts]
        self._tell_removed(name, rules)
        return references


def _check_whole(stored: StoredEmissions, place: Path, count: int) -> None:
    if len(stored) != count:
        raise RunError(
            f"{place} holds {len(stored)} utterances, the corpus {count}", hint=f"delete {place}"
        )


def _frames_needed(labels: Sequence[int]) -> int:
    """CTC needs a frame for each label, and a blank between two that are alike."""
    alike = sum(one == following for one, following in pairwise(labels))
    return len(labels) + alike


def _text_file(file: Path) -> Path:
    if file.is_file():
        return file
    raise DataError(f"{file}: no such text file", hint="[lm] text names files, plain or .gz")


def _stamp(file: Path) -> list[int | str]:
    """Changes when the file does."""
    status = file.stat()
    return [str(file.resolve()), status.st_size, status.st_mtime_ns]


def _empty(folder: Path) -> None:
    """Take away what an earlier training left in a run's folder, and nothing else."""
    for name in ("checkpoints", "tensorboard", "emissions", "decoded", "tuning"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for name in ("model.safetensors", "metrics.jsonl", "scores.json", "report.html"):
        (folder / name).unlink(missing_ok=True)


def environment(device: torch.device) -> dict[str, Any]:
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
        "threads": torch.get_num_threads(),
        "packages": {name: packages[name] for name in shown if name in packages},
        "cache": str(cache_folder()),
    }
