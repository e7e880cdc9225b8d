"""The speech a recipe names: each part's corpus, prepared and checked against its features."""

from collections.abc import Mapping
from typing import Any

from speechkit.data.store import Store, prepare
from speechkit.errors import DataError
from speechkit.interfaces import FeatureExtractor
from speechkit.recipe import Choice, Recipe
from speechkit.reporter import Reporter

_SHOWN = 8  # utterances named in a warning


def parts_of(recipe: Recipe) -> Mapping[str, Choice]:
    """The parts a recipe has: "train", "validation", and its tests by name."""
    first = {"train": recipe.train_corpus, "validation": recipe.validation_corpus}
    return {**{name: each for name, each in first.items() if each}, **recipe.test_corpora}


def prepared(recipe: Recipe, name: str, extractor: FeatureExtractor, reporter: Reporter) -> Store:
    """One part of a recipe's speech, decoded; from the cache where it was before.

    Raises:
        DataError: it cannot be read, or its ready features are not those the recipe makes.
    """
    corpus = parts_of(recipe)[name]
    with reporter.progress(f"reading {name}") as advance:
        store = prepare(
            corpus.build(),
            corpus.described(),
            sample_rate=extractor.sample_rate,
            skip_bad=recipe.data.bad_utterances == "skip",
            name=name,
            progress=advance,
            workers=recipe.data.workers,
        )
    for _, why in store.meta.skipped[:_SHOWN]:
        reporter.warn(f"{name}: left out: {why}")
    _check_features(name, store, extractor, recipe.features.use)
    return store


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
