"""Speech recognition from parts that plug together: what a plugin author imports."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from speechkit.component import API_VERSION, Component, Config, Field, RecipePath, hookimpl
from speechkit.cores import usable_cores
from speechkit.errors import (
    DataError,
    DeviceError,
    DownloadError,
    PluginError,
    RecipeError,
    RunError,
    SpeechkitError,
)
from speechkit.interfaces import (
    AcousticModel,
    Archive,
    Augmentation,
    Decoder,
    Download,
    Emissions,
    EpochEnd,
    FeatureExtractor,
    Hypothesis,
    LanguageModel,
    LanguageModelTrainer,
    RunEnd,
    RunInfo,
    ScoreProtocol,
    Speech,
    StepEnd,
    TextRule,
    Units,
    Vocabulary,
    Word,
)

if TYPE_CHECKING:
    from speechkit.ctc import consistency_loss, ctc_loss, length_mask
    from speechkit.ctc_model import CTCConfig, CTCModel
    from speechkit.dropout import Dropout
    from speechkit.mmi import MMILoss
    from speechkit.recurrent import BidirectionalLSTM

__version__ = "0.1.0"

__all__ = [
    "API_VERSION",
    "AcousticModel",
    "Archive",
    "Augmentation",
    "BidirectionalLSTM",
    "CTCConfig",
    "CTCModel",
    "Component",
    "Config",
    "DataError",
    "Decoder",
    "DeviceError",
    "Download",
    "DownloadError",
    "Dropout",
    "Emissions",
    "EpochEnd",
    "FeatureExtractor",
    "Field",
    "Hypothesis",
    "LanguageModel",
    "LanguageModelTrainer",
    "MMILoss",
    "PluginError",
    "RecipeError",
    "RecipePath",
    "RunEnd",
    "RunError",
    "RunInfo",
    "ScoreProtocol",
    "Speech",
    "SpeechkitError",
    "StepEnd",
    "TextRule",
    "Units",
    "Vocabulary",
    "Word",
    "consistency_loss",
    "ctc_loss",
    "hookimpl",
    "length_mask",
    "usable_cores",
]


_NEED_TORCH = {
    "BidirectionalLSTM": "speechkit.recurrent",
    "CTCConfig": "speechkit.ctc_model",
    "CTCModel": "speechkit.ctc_model",
    "Dropout": "speechkit.dropout",
    "MMILoss": "speechkit.mmi",
    "consistency_loss": "speechkit.ctc",
    "ctc_loss": "speechkit.ctc",
    "length_mask": "speechkit.ctc",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - a module's attribute is anything
    """What needs torch is imported on first use: `speechkit --help` must not wait for it."""
    if module := _NEED_TORCH.get(name):
        return getattr(import_module(module), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
