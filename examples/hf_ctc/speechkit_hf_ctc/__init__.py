"""A CTC checkpoint of `transformers` as three parts: its convolutions, the rest, and its labels."""

from collections.abc import Iterable

from speechkit import AcousticModel, Component, FeatureExtractor, Units, hookimpl
from speechkit_hf_ctc.features import HFFeatures, HFFeaturesConfig
from speechkit_hf_ctc.model import HFModel, HFModelConfig
from speechkit_hf_ctc.units import HFUnits, HFUnitsConfig


@hookimpl
def speechkit_features() -> Iterable[Component[FeatureExtractor]]:
    """`[features] use = "hf_ctc"`."""
    return [Component("hf_ctc", HFFeaturesConfig, HFFeatures)]


@hookimpl
def speechkit_units() -> Iterable[Component[Units]]:
    """`[units] use = "hf_ctc"`."""
    return [Component("hf_ctc", HFUnitsConfig, HFUnits)]


@hookimpl
def speechkit_models() -> Iterable[Component[AcousticModel]]:
    """`[model] use = "hf_ctc"`."""
    return [Component("hf_ctc", HFModelConfig, HFModel)]
