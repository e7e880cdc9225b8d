"""What speechkit asks its plugins. Every hook returns data; none is told what to do with it."""

from collections.abc import Iterable

from speechkit.component import Component, hookspec
from speechkit.interfaces import (
    AcousticModel,
    Augmentation,
    Decoder,
    FeatureExtractor,
    LanguageModelTrainer,
    Speech,
    Units,
)


@hookspec
def speechkit_corpora() -> Iterable[Component[Speech]]:  # type: ignore[empty-body]
    """Transcribed speech. `build(config)`."""


@hookspec
def speechkit_features() -> Iterable[Component[FeatureExtractor]]:  # type: ignore[empty-body]
    """Waveforms to features. `build(config)`."""


@hookspec
def speechkit_augmentations() -> Iterable[Component[Augmentation]]:  # type: ignore[empty-body]
    """Random changes in training. `build(config, sample_rate=hertz, dim=D)`.

    `sample_rate` is None where a corpus gives ready features.
    """


@hookspec
def speechkit_units() -> Iterable[Component[Units]]:  # type: ignore[empty-body]
    """Text to labels. `build(config, alphabet="abc...")`."""


@hookspec
def speechkit_models() -> Iterable[Component[AcousticModel]]:  # type: ignore[empty-body]
    """Features to label scores. `build(config, num_features=D, num_labels=V)`."""


@hookspec
def speechkit_decoders() -> Iterable[Component[Decoder]]:  # type: ignore[empty-body]
    """Label scores to text. `build(config, vocabulary=Vocabulary, language_model=... or None)`."""


@hookspec
def speechkit_language_models() -> Iterable[Component[LanguageModelTrainer]]:  # type: ignore[empty-body]
    """Text to its probability. `build(config)`."""


KINDS = {
    "corpus": "speechkit_corpora",
    "features": "speechkit_features",
    "augmentation": "speechkit_augmentations",
    "units": "speechkit_units",
    "model": "speechkit_models",
    "decoder": "speechkit_decoders",
    "language_model": "speechkit_language_models",
}
"""Kind of part -> the hook that offers it."""
