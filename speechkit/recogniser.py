"""A whole acoustic recogniser, samples to emissions: extractor, normalisation and model.

What training makes and everything after it uses. It is saved as one safetensors file, whose
metadata names the parts and their settings, so that the file alone is a model.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from speechkit.component import Component, Config, findings
from speechkit.ctc import length_mask
from speechkit.data.files import written_whole
from speechkit.discovery import Plugins
from speechkit.errors import DataError, PluginError, RunError
from speechkit.interfaces import AcousticModel, Emissions, FeatureExtractor, Units
from speechkit.packing import Precision, packed, unpacked
from speechkit.settings import OF_A_MODEL, FeaturesSettings, TextSettings

_FORMAT = "speechkit model 1"
_KINDS = ("features", "units", "model")
_EPSILON = 1e-5  # added to standard deviations, so that digital silence stays 0


class Described(Protocol):
    """A component with its settings, as a recipe chose it."""

    @property
    def config(self) -> Config:
        """The settings."""

    def build(self, **given: object) -> Any:  # noqa: ANN401 - any part
        """Make the part."""

    def described(self) -> dict[str, Any]:
        """Its name and settings, for a file."""


@dataclass(frozen=True)
class Blueprint:
    """What a recogniser is made of: all that must be known to build it again.

    num_features is that of the features the model reads: the extractor's, or the corpus' own.
    text_rules describes those of plugins: what texts were under; a recogniser needs none itself.
    """

    features: Described
    units: Described
    model: Described
    text: TextSettings
    normalization: str
    num_features: int
    language: str
    text_rules: Sequence[Mapping[str, Any]] = ()

    def described(self) -> dict[str, Any]:
        """As JSON takes it."""
        own = {"rules": list(self.text_rules)} if self.text_rules else {}
        return {
            "format": _FORMAT,
            **{kind: getattr(self, kind).described() for kind in _KINDS},
            "text": {**own, **self.text.model_dump(mode="json")},
            "normalization": self.normalization,
            "num_features": self.num_features,
            "language": self.language,
        }


@dataclass(frozen=True)
class _Stored:
    """A component with its settings, as a model file names it."""

    component: Component[Any]
    config: Config
    settings: Mapping[str, Any]

    def build(self, **given: object) -> Any:  # noqa: ANN401 - any part
        return self.component.build(self.config, **given)

    def described(self) -> dict[str, Any]:
        return dict(self.settings)


class Normalizer(nn.Module):
    """Each feature minus its mean, over its standard deviation, and 0 past a row's length."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, kind: str, dim: int) -> None:
        super().__init__()
        self.kind = kind
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("deviation", torch.ones(dim))

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        """(B, T, D), (B,) -> (B, T, D)."""
        mask = length_mask(lengths, features.shape[1])[..., None]
        if self.kind == "utterance":
            count = lengths.clamp(min=1)[:, None, None]
            features = torch.where(mask, features, 0.0)
            centred = features - features.sum(1, keepdim=True) / count
            variance = torch.where(mask, centred, 0.0).square().sum(1, keepdim=True) / count
            features = centred / (variance.sqrt() + _EPSILON)
        elif self.kind == "global":
            features = (features - self.mean) / (self.deviation + _EPSILON)
        return torch.where(mask, features, 0.0)


class Recogniser(nn.Module):
    """Samples, or ready features, to emissions."""

    def __init__(self, blueprint: Blueprint) -> None:
        super().__init__()
        self.blueprint = blueprint
        self.units: Units = blueprint.units.build(alphabet=blueprint.text.alphabet)
        self.extractor = cast("nn.Module", blueprint.features.build())
        self.normalizer = Normalizer(blueprint.normalization, blueprint.num_features)
        self.model = cast(
            "nn.Module",
            blueprint.model.build(
                num_features=blueprint.num_features, num_labels=len(self.units.vocabulary)
            ),
        )

    @property
    def sample_rate(self) -> int:
        """Hertz, of the samples it takes."""
        return cast("FeatureExtractor", self.extractor).sample_rate

    @property
    def frame_shift_seconds(self) -> float:
        """From one frame of emissions to the next."""
        shift = cast("FeatureExtractor", self.extractor).frame_shift_seconds
        return shift * cast("AcousticModel", self.model).subsampling

    def raw_features(self, values: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Samples (B, N) or ready features (B, T, D) -> features, frames and frames' times."""
        if values.dim() == 3:
            return values, lengths, None
        features, frames, *times = self.extractor(values, lengths)
        return features, frames, times[0] if times else None

    def features(self, values: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """The same, normalised: what the model reads."""
        with torch.no_grad():
            features, frames, times = self.raw_features(values, lengths)
            return self.normalizer(features.float(), frames), frames, times

    @torch.inference_mode()
    def emissions(self, values: Tensor, lengths: Tensor, *, bf16: bool = False) -> Emissions:
        """Samples (B, N) or ready features (B, T, D), with lengths (B,), on the model's device."""
        features, frames, times = self.features(values, lengths)
        kind = features.device.type
        with torch.autocast(kind, torch.bfloat16) if bf16 else nullcontext():
            log_probs, out_frames = self.model(features, frames)
        within = length_mask(out_frames, log_probs.shape[1])[..., None]
        if bool((log_probs.isnan() & within).any()):
            raise RunError(
                f"the model {self.blueprint.model.described()['use']} gives log probabilities "
                "that are not numbers (NaN)",
                hint="did its training diverge? Otherwise it is a defect of its plugin",
            )
        if times is not None:
            step = cast("AcousticModel", self.model).subsampling
            times = nn.functional.pad(times, (0, log_probs.shape[1] * step))
            times = times[:, ::step][:, : log_probs.shape[1]]
        return Emissions(log_probs.float(), out_frames, self.frame_shift_seconds, times)

    def save(self, place: Path, weights: Mapping[str, Tensor] | None = None) -> None:
        """Write the model file: `weights`, or its own, with the blueprint beside them."""
        tensors = {
            name: tensor.detach().cpu().contiguous()
            for name, tensor in (weights or self.state_dict()).items()
        }
        blueprint = json.dumps(self.blueprint.described(), ensure_ascii=False)
        with written_whole(place) as beside:
            save_file(tensors, beside, metadata={"speechkit": blueprint})

    def packed(self, precision: Precision) -> dict[str, Tensor]:
        """Its weights in fewer bits, for `save`."""
        parameters = {name for name, _ in self.named_parameters(remove_duplicate=False)}
        return packed(self.state_dict(), parameters, precision)


def load_recogniser(place: Path, plugins: Plugins) -> Recogniser:
    """Read a model file, or the one in a run's folder.

    Raises:
        RunError: there is none, or it is not one of ours.
        PluginError: a part it is made of is not installed, or has other settings now.
    """
    file = model_file(place)
    blueprint = _read_blueprint(file, plugins)
    recogniser = Recogniser(blueprint)
    load_weights(recogniser, file)
    return recogniser.eval()


def model_file(place: Path) -> Path:
    """The model file that `place` names: itself, or the one in the folder.

    Raises:
        RunError: there is none.
    """
    file = place / "model.safetensors" if place.is_dir() else place
    if file.is_file():
        return file
    if place.is_dir():
        raise RunError(
            f"{place} holds no trained model (no model.safetensors)",
            hint="is it a run's folder, and did its training end? `speechkit run` goes on with it",
        )
    raise RunError(f"{place} does not exist", hint="name a run's folder or a model file")


def check_same(blueprint: Blueprint, file: Path) -> None:
    """Check that the weights in `file`, which will be used as they are, mean what they meant.

    Raises:
        RunError: text rules, units, features or model are others.
    """
    stored, wanted = _stored_blueprint(file), blueprint.described()
    for kind in _KINDS:
        was = stored.get(kind, {})
        stored[kind] = {**was, **gained(was, getattr(blueprint, kind))}
    for key in ("text", "units", "features", "normalization", "model"):
        was, now = stored.get(key), wanted[key]
        if was != now:
            raise RunError(
                f"{file} was trained with other settings: {key} was {json.dumps(was)[:200]}, is "
                f"{json.dumps(now)[:200]}",
                hint="use the recipe it was trained with: recipe.toml in its run's folder",
            )


def gained(stored: Mapping[str, Any], part: Described) -> dict[str, Any]:
    """The settings a part has gained since it was stored, where they are the defaults.

    None of a part that was another one then.
    """
    fields, now = type(part.config).model_fields, part.described()
    if stored.get("use") != now["use"]:
        return {}
    return {
        name: now[name]
        for name, field in fields.items()
        if name not in stored
        and getattr(part.config, name) == field.get_default(call_default_factory=True)
    }


def load_weights(recogniser: Recogniser, file: Path) -> None:
    """Put a file's weights, packed or not, into `recogniser`.

    Raises:
        RunError: the file is damaged, or its weights are of another shape.
    """
    put_weights(recogniser, stored_weights(file), file)


def stored_weights(file: Path) -> dict[str, Tensor]:
    """A model file's weights by name, unpacked.

    Raises:
        RunError: it is damaged.
    """
    try:
        return unpacked(read_tensors(file))
    except KeyError as error:
        raise RunError(f"{file}: is damaged: it has no {error}") from None


def put_weights(recogniser: Recogniser, weights: Mapping[str, Tensor], file: Path) -> None:
    """Put `weights`, which came from `file`, into `recogniser`.

    Raises:
        RunError: they are of another shape.
    """
    own = recogniser.state_dict()
    lacking, extra = sorted(own.keys() - weights.keys()), sorted(weights.keys() - own.keys())
    other = [name for name in own.keys() & weights.keys() if own[name].shape != weights[name].shape]
    if lacking or extra or other:
        name = sorted(other or lacking or extra)[0]
        shapes = [tuple(each[name].shape) if name in each else "none" for each in (weights, own)]
        raise RunError(
            f"{file}: its weights do not fit the model: {name} is {shapes[0]} in the file, "
            f"{shapes[1]} in the model",
            hint="features and model must give weights of the same shapes; the file was made with "
            + ", ".join(_other_settings(recogniser.blueprint, file) or ["the same settings"]),
        )
    recogniser.load_state_dict(weights)


def _other_settings(blueprint: Blueprint, file: Path) -> list[str]:
    """What of features and model is otherwise in a file, as a recipe has it: `model.dim = 32`."""
    stored, wanted = _stored_blueprint(file), blueprint.described()
    return [
        f"{kind}.{key} = {json.dumps(stored[kind][key])}"
        for kind in ("features", "model")
        for key in stored.get(kind, {})
        if stored[kind][key] != wanted[kind].get(key)
    ]


def stored_labels(file: Path, plugins: Plugins) -> tuple[str, ...]:
    """The labels whose probabilities a model file's weights give.

    Raises:
        RunError: it is no model file.
        PluginError: its parts are not installed, or have other settings now.
    """
    blueprint = _read_blueprint(file, plugins)
    units: Units = blueprint.units.build(alphabet=blueprint.text.alphabet)
    return units.vocabulary.labels


def read_tensors(file: Path) -> dict[str, Tensor]:
    """All tensors of a safetensors file.

    Raises:
        RunError: it is none, or damaged.
    """
    try:
        with safe_open(file, framework="pt") as opened:
            return {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise RunError(f"{file}: is damaged or no model file: {error}") from None


def _stored_blueprint(file: Path) -> dict[str, Any]:
    try:
        with safe_open(file, framework="pt") as opened:
            stored: dict[str, Any] = json.loads((opened.metadata() or {})["speechkit"])
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise RunError(
            f"{file}: is no speechkit model: {error}",
            hint="name a run's folder, or a model.safetensors that `speechkit run` wrote",
        ) from None
    if stored.get("format") != _FORMAT:
        raise RunError(f"{file}: has the format {stored.get('format')!r}, not {_FORMAT!r}")
    return stored


def _read_blueprint(file: Path, plugins: Plugins) -> Blueprint:
    stored = _stored_blueprint(file)
    text = stored.get("text", {})
    settings = {key: each for key, each in text.items() if key != "rules"}
    try:
        return Blueprint(
            **{kind: _part(kind, stored[kind], plugins) for kind in _KINDS},
            text=TextSettings.model_validate_json(json.dumps(settings), context=OF_A_MODEL),
            normalization=FeaturesSettings(normalization=stored["normalization"]).normalization,
            num_features=stored["num_features"],
            language=stored["language"],
            text_rules=text.get("rules", ()),
        )
    except (ValidationError, KeyError, TypeError) as error:
        what = "; ".join(findings(error)) if isinstance(error, ValidationError) else error
        raise PluginError(
            f"{file}: was made with other settings than the installed parts have: {what}",
            hint="install the versions it was trained with",
        ) from None


def _part(kind: str, stored: Mapping[str, Any], plugins: Plugins) -> _Stored:
    component = plugins.find(kind, stored["use"]).component
    ours = {"use", "revision"} - component.config.model_fields.keys()
    keys = {key: stored[key] for key in stored if key not in ours}
    return _Stored(component, component.config.model_validate_json(json.dumps(keys)), stored)


def fit_normalizer(recogniser: Recogniser, batches: Any) -> None:  # noqa: ANN401 - see below
    """Set mean and deviation of a "global" normaliser from batches of training data.

    Args:
        recogniser: its normaliser is changed.
        batches: iterable of `Batch`, on the recogniser's device.

    Raises:
        DataError: the batches hold no frame.
    """
    count = 0
    total = square = torch.zeros(recogniser.blueprint.num_features, dtype=torch.float64)
    for batch in batches:
        features, frames, _ = recogniser.raw_features(batch.values, batch.lengths)
        kept = features.double()[length_mask(frames, features.shape[1])]
        kept = kept.cpu()
        total, square, count = total + kept.sum(0), square + kept.square().sum(0), count + len(kept)
    if not count:
        raise DataError("the training data hold no frame of features")
    mean = total / count
    variance = (square / count - mean.square()).clamp(min=0)
    recogniser.normalizer.mean.copy_(mean)
    recogniser.normalizer.deviation.copy_(variance.sqrt())
