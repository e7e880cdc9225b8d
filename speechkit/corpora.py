"""The speech a recipe names: each part's corpus, prepared and checked against its features."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, cast

from speechkit.data.joined import Joined
from speechkit.data.store import Store, fingerprint_of, gives_features, prepare
from speechkit.errors import DataError
from speechkit.interfaces import FeatureExtractor, Speech
from speechkit.recipe import Choice, Corpus, Recipe
from speechkit.reporter import Reporter

TRAIN, VALIDATION = "train", "validation"  # how these parts are called among the tests
_SHOWN = 8  # utterances named in a warning


@dataclass
class Corpora:
    """The speech a recipe names, by part: "train", "validation", and its tests by name."""

    recipe: Recipe
    reporter: Reporter
    _stores: dict[str, Store] = field(default_factory=dict, init=False)

    @cached_property
    def extractor(self) -> FeatureExtractor:
        """What makes the recipe's features."""
        built: FeatureExtractor = self.recipe.features.build()
        return built

    @property
    def tests(self) -> Mapping[str, Corpus]:
        """What is scored: the validation part, if there is one, and the tests."""
        validation = self.recipe.validation_corpus
        return {**({VALIDATION: validation} if validation else {}), **self.recipe.test_corpora}

    @property
    def parts(self) -> Mapping[str, Corpus]:
        """All of them."""
        train = self.recipe.train_corpus
        return {**({TRAIN: train} if train else {}), **self.tests}

    @property
    def streams(self) -> bool:
        """Whether training reads its part while it learns: it is never prepared."""
        return self.recipe.train.streaming and self.recipe.train_corpus is not None

    @property
    def prepared(self) -> Mapping[str, Corpus]:
        """The parts that are decoded before they are used: all, but a part that is streamed."""
        return {
            name: each for name, each in self.parts.items() if not (name == TRAIN and self.streams)
        }

    @cached_property
    def speech(self) -> Mapping[str, Speech]:
        """Datasets by part. All are opened at once: one that is missing is told before training.

        Raises:
            DataError: one cannot be read; or it should be a stream, and is none.
        """
        speech = {name: _opened(name, corpus) for name, corpus in self.parts.items()}
        if self.streams:
            self._check_stream(speech[TRAIN])
        return speech

    def tell_of_stream(self) -> None:
        """Say that a part is not among what is looked at."""
        if self.streams:
            self.reporter.say(
                "train is streamed, and not looked at: what cannot be learnt from is told while "
                "training meets it"
            )

    def _check_stream(self, train: Speech) -> None:
        use = self.parts[TRAIN].use
        if not isinstance(getattr(train, "num_shards", None), int):
            raise DataError(
                f"train.streaming = true, and corpus train ({use}) gives a table, not a stream",
                hint='[corpus.train] use = "hub" with streaming = true gives one, of the hub or of '
                "a folder of Parquet files; or take train.streaming out",
            )
        if gives_features(train, TRAIN):
            raise DataError(
                f"train.streaming = true, and corpus train ({use}) gives ready features",
                hint="a stream is of audio; take train.streaming out, or features_column",
            )

    def fingerprint(self, name: str) -> str:
        """Stands for a part's content, settings and sample rate."""
        rate = self.extractor.sample_rate
        return fingerprint_of(self.speech[name], self.parts[name].described(), sample_rate=rate)

    def store(self, name: str) -> Store:
        """A part, decoded; from the cache where it was before.

        Raises:
            DataError: it cannot be read, or its ready features are not those the recipe makes.
        """
        if name not in self._stores:
            self._stores[name] = self._prepare(name)
        return self._stores[name]

    def _prepare(self, name: str) -> Store:
        with self.reporter.progress(f"reading {name}") as advance:
            store = prepare(
                self.speech[name],
                self.parts[name].described(),
                sample_rate=self.extractor.sample_rate,
                skip_bad=self.recipe.data.bad_utterances == "skip",
                name=name,
                progress=advance,
                workers=self.recipe.data.workers,
            )
        for _, why in store.meta.skipped[:_SHOWN]:
            self.reporter.warn(f"{name}: left out: {why}")
        _check_features(name, store, self.extractor, self.recipe.features.use)
        return store


def _opened(name: str, corpus: Corpus) -> Speech:
    """The rows of a part."""
    if isinstance(corpus, Choice):
        return cast("Speech", corpus.build())
    parts = {each: choice.build() for each, choice in corpus.parts.items()}
    described = {each: choice.described() for each, choice in corpus.parts.items()}
    return cast("Speech", Joined(parts, described, name=name))


def frame_shift_seconds(recipe: Recipe, extractor: FeatureExtractor, labels: int) -> float:
    """From one frame of emissions to the next. The model alone knows: it is built, not trained."""
    model: Any = recipe.model.build(num_features=extractor.dim, num_labels=labels)
    return float(extractor.frame_shift_seconds * model.subsampling)


def _check_features(name: str, store: Store, extractor: FeatureExtractor, use: str) -> None:
    if store.meta.kind == "audio":
        return
    have = (store.meta.dim, store.meta.frame_shift_seconds)
    want = (extractor.dim, extractor.frame_shift_seconds)
    if have[0] != want[0] or abs(have[1] - want[1]) > 1e-6:
        raise DataError(
            f"corpus {name} gives {have[0]} features every {have[1]:g} s, "
            f"[features] {use} makes {want[0]} every {want[1]:g} s",
            hint="choose the extractor that the corpus' features were made with",
        )
