"""A model and a feature extractor for speechkit: recipes ask for them by their names."""

from collections.abc import Iterable

from speechkit import AcousticModel, Component, FeatureExtractor, hookimpl
from speechkit_tiny.features import LogSpectrogram, LogSpectrogramConfig
from speechkit_tiny.model import TinyGru, TinyGruConfig


@hookimpl
def speechkit_features() -> Iterable[Component[FeatureExtractor]]:
    """`[features] use = "log_spectrogram"`."""
    return [Component("log_spectrogram", LogSpectrogramConfig, LogSpectrogram)]


@hookimpl
def speechkit_models() -> Iterable[Component[AcousticModel]]:
    """`[model] use = "tiny_gru"`."""
    return [Component("tiny_gru", TinyGruConfig, TinyGru)]
