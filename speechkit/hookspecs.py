"""What speechkit asks its plugins. Every hook returns data; none is told what to do with it."""

from collections.abc import Iterable

from speechkit.component import Component, hookspec
from speechkit.interfaces import (
    AcousticModel,
    Augmentation,
    Decoder,
    Download,
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


@hookspec
def speechkit_downloads() -> Iterable[Component[Download]]:  # type: ignore[empty-body]
    """Public corpora to fetch: `speechkit data get NAME`. `build(config)`.

    The settings are options of the command, and a setting `parts` is what stands after the name:
    `speechkit data get librispeech dev-clean --base-url URL`. They are text, numbers, paths,
    true or false, or lists of these.
    """


KINDS = {
    "corpus": "speechkit_corpora",
    "features": "speechkit_features",
    "augmentation": "speechkit_augmentations",
    "units": "speechkit_units",
    "model": "speechkit_models",
    "decoder": "speechkit_decoders",
    "language_model": "speechkit_language_models",
    "download": "speechkit_downloads",
}
"""Kind of part -> the hook that offers it."""
