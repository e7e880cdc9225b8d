"""Speech recognition from parts that plug together: what a plugin author imports."""

from typing import TYPE_CHECKING, Any

from speechkit.component import Component, Config, Field, RecipePath, hookimpl
from speechkit.errors import (
    DataError,
    DeviceError,
    PluginError,
    RecipeError,
    RunError,
    SpeechkitError,
)
from speechkit.interfaces import (
    AcousticModel,
    Augmentation,
    Decoder,
    Emissions,
    FeatureExtractor,
    Hypothesis,
    LanguageModel,
    LanguageModelTrainer,
    Speech,
    Units,
    Vocabulary,
    Word,
)

if TYPE_CHECKING:
    from speechkit.ctc import CTCModel, ctc_loss, length_mask

__version__ = "0.1.0"

__all__ = [
    "AcousticModel",
    "Augmentation",
    "CTCModel",
    "Component",
    "Config",
    "DataError",
    "Decoder",
    "DeviceError",
    "Emissions",
    "FeatureExtractor",
    "Field",
    "Hypothesis",
    "LanguageModel",
    "LanguageModelTrainer",
    "PluginError",
    "RecipeError",
    "RecipePath",
    "RunError",
    "Speech",
    "SpeechkitError",
    "Units",
    "Vocabulary",
    "Word",
    "ctc_loss",
    "hookimpl",
    "length_mask",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - a module's attribute is anything
    """What needs torch is imported on first use: `speechkit --help` must not wait for it."""
    if name in {"CTCModel", "ctc_loss", "length_mask"}:
        from speechkit import ctc  # noqa: PLC0415

        return getattr(ctc, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
