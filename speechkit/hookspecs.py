"""What speechkit asks its plugins.

A plugin is a module, named by an entry point of the group `speechkit`, with functions of these
names under `@speechkit.hookimpl`. Most offer parts of recipes; trackers are told how a run goes. A
function may leave out arguments that it does not need.
"""

from collections.abc import Iterable
from pathlib import Path

from speechkit.component import Component, hookspec
from speechkit.interfaces import (
    AcousticModel,
    Augmentation,
    Decoder,
    Download,
    EpochEnd,
    FeatureExtractor,
    LanguageModelTrainer,
    RunEnd,
    RunInfo,
    ScoreProtocol,
    Speech,
    StepEnd,
    TextRule,
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


@hookspec
def speechkit_text_rules() -> Iterable[Component[TextRule]]:  # type: ignore[empty-body]
    """Rules that [text] can name: `rules = ["NAME"]`. `build(config)`.

    They come first, in the order in which they are named, on the text as it was written: case,
    `replace` and the alphabet come after them. Settings: `rules = [{ use = "NAME", ... }]`.
    """


@hookspec
def speechkit_score_protocols() -> Iterable[Component[ScoreProtocol]]:  # type: ignore[empty-body]
    """Other ways to count errors: `[score] protocol = "NAME"`. `build(config)`.

    The settings are the other keys of [score]. The usual numbers are always there, too.
    """


@hookspec
def speechkit_recipes() -> Path:  # type: ignore[empty-body]
    """The folder of the plugin's recipes: `speechkit run plugin:NAME/recipe` runs one of them.

    NAME is the entry point's or the distribution's. Paths in a recipe are relative to its file.
    """


@hookspec
def speechkit_on_run_start(run: RunInfo) -> None:
    """A run begins, or goes on: what it is to do is known, nothing is computed yet.

    Args:
        run: its name, folder and recipe, and whether it trains.
    """


@hookspec
def speechkit_on_step_end(run: RunInfo, step: StepEnd) -> None:
    """The model has learnt from a batch. It is called often: it should be quick.

    Args:
        run: as at its start.
        step: losses and learning rate.
    """


@hookspec
def speechkit_on_epoch_end(run: RunInfo, epoch: EpochEnd) -> None:
    """A pass over the training data has ended, and a checkpoint is written.

    Args:
        run: as at its start.
        epoch: loss, learning rate and, where the model was validated, the validation's scores.
    """


@hookspec
def speechkit_on_run_end(run: RunInfo, end: RunEnd) -> None:
    """A run that had begun has ended, whether well or not.

    Args:
        run: as at its start.
        end: status, scores, and where the model and the report are.
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
    "text_rule": "speechkit_text_rules",
    "score_protocol": "speechkit_score_protocols",
}
"""Kind of part -> the hook that offers it."""

RECIPES = "speechkit_recipes"

TRACKER_HOOKS = (
    "speechkit_on_run_start",
    "speechkit_on_step_end",
    "speechkit_on_epoch_end",
    "speechkit_on_run_end",
)
"""What tells of a run. Only the first process of a run calls them; what they give is not used.

One that raises is warned of, with its plugin, and loses nothing: the run goes on, and calls it
again next time. The run waits for it: what is slow belongs into a thread of the plugin's own.
"""

HOOKS = (*KINDS.values(), RECIPES, *TRACKER_HOOKS)
"""All of them."""
