"""A folder of a trained model, shipped or a run's, to a recogniser and a decoder."""

import json
import shutil
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from speechkit.component import Component, Config, findings
from speechkit.data.files import cache_folder, folder_written_whole
from speechkit.discovery import Offer, Plugins
from speechkit.errors import ModelError, PluginError, RunError
from speechkit.interfaces import Decoder, LanguageModel, LanguageModelTrainer, Vocabulary
from speechkit.recogniser import Recogniser, load_recogniser
from speechkit.settings import LanguageModelSettings
from speechkit.trained.folder import FACTS, LM, RECIPE, Facts, verified


def load_pretrained(
    folder: Path, plugins: Plugins, *, decoder: str | None = None
) -> tuple[Recogniser, Decoder]:
    """The recogniser, with weights in float32, and its own decoder, or `decoder`.

    Raises:
        ModelError: the folder is damaged, or of a newer speechkit.
        PluginError: a part is not installed, or has other settings now.
    """
    facts = verified(folder)
    recogniser = load_recogniser(folder, plugins)
    return recogniser, _decoder(folder, facts, plugins, recogniser.units.vocabulary, decoder)


def load_run(folder: Path, plugins: Plugins, *, decoder: str) -> tuple[Recogniser, Decoder]:
    """A run's recogniser, and `decoder` as the run has it: settings, weights, language model.

    Raises:
        RunError: the run has not decoded with a language model yet, and its recipe names one; or
            what it left is damaged.
        PluginError: a part is not installed, or has other settings now.
    """
    recogniser, recipe = load_recogniser(folder, plugins), _recipe(folder)
    offer = plugins.find("decoder", decoder)
    # `beam` and `speechkit:beam` are the same: the run knows it by the name its recipe has.
    name = next((each for each in _tables(recipe) if _same(plugins, each, offer)), decoder)
    settings, language_model = dict(recipe["decoder"].get(name, {})), None
    if "lm" in recipe and "language_model" in offer.component.uses:
        place = folder / LM
        if not place.is_dir():
            raise RunError(
                f"{folder} has no language model yet, which the decoder {decoder} uses",
                hint=f"build it: speechkit run RECIPE --run {folder.name} "
                f"--set decoder.use={decoder}",
            )
        language_model = _trainer(folder, plugins, recipe["lm"]).load(place)
        if recipe.get("tune", {}).get("enabled", True):
            settings |= _tuned(folder / "tuning" / f"{name.replace(':', '-')}.json")
    built: Decoder = offer.component.build(
        _settings(folder, offer.component, settings),
        vocabulary=recogniser.units.vocabulary,
        language_model=language_model,
    )
    return recogniser, built


def _tables(recipe: Mapping[str, Any]) -> list[str]:
    """The decoders a recipe has settings of."""
    return [name for name, each in recipe["decoder"].items() if isinstance(each, dict)]


def _same(plugins: Plugins, name: str, offer: Offer) -> bool:
    try:
        return plugins.find("decoder", name).component is offer.component
    except PluginError:
        return False


def _tuned(file: Path) -> dict[str, float]:
    """The weights that were found; none where none were searched."""
    if not file.is_file():
        return {}
    try:
        found = json.loads(file.read_text(encoding="utf-8"))["best"]["settings"]
        return {str(name): float(value) for name, value in found.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise RunError(
            f"{file}: is damaged", hint="delete it, and search again: speechkit tune RUN"
        ) from None


def _decoder(
    folder: Path, facts: Facts, plugins: Plugins, vocabulary: Vocabulary, asked: str | None
) -> Decoder:
    recipe = _recipe(folder)
    decoders = recipe["decoder"]
    use = asked or decoders["use"]
    component = plugins.find("decoder", use).component
    language_model = None
    if "lm" in recipe and "language_model" in component.uses:
        language_model = _language_model(folder, facts, plugins, recipe["lm"])
    config = _settings(folder, component, decoders.get(use, {}))
    built: Decoder = component.build(config, vocabulary=vocabulary, language_model=language_model)
    return built


def _recipe(folder: Path) -> dict[str, Any]:
    try:
        recipe = tomllib.loads((folder / RECIPE).read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelError(f"{folder / RECIPE}: {error}") from None
    if not isinstance(recipe.get("decoder"), dict) or "use" not in recipe["decoder"]:
        raise ModelError(f"{folder / RECIPE} names no decoder", hint="it was not made by speechkit")
    return recipe


def _language_model(
    folder: Path, facts: Facts, plugins: Plugins, table: Mapping[str, Any]
) -> LanguageModel:
    """The model in lm/, copied into the cache: decoders may write other forms of it beside it."""
    names = [name for name in facts.files if name.startswith(f"{LM}/")]
    sums = "".join(facts.files[name].sha256[:20] for name in sorted(names))
    place = cache_folder() / "pretrained" / sums[:40]
    if not place.is_dir():
        with folder_written_whole(place) as beside:
            for name in names:
                shutil.copyfile(folder / name, beside / name.removeprefix(f"{LM}/"))
    return _trainer(folder, plugins, table).load(place)


def _trainer(folder: Path, plugins: Plugins, table: Mapping[str, Any]) -> LanguageModelTrainer:
    component = plugins.find("language_model", str(table.get("use"))).component
    engines = LanguageModelSettings.model_fields
    own = {key: table[key] for key in table if key != "use" and key not in engines}
    built: LanguageModelTrainer = component.build(_settings(folder, component, own))
    return built


def _settings(folder: Path, component: Component[Any], table: Mapping[str, Any]) -> Config:
    named = FACTS if (folder / FACTS).is_file() else "environment.json"
    try:
        return component.config.model_validate_json(json.dumps(table))
    except ValidationError as error:
        raise ModelError(
            f"{folder}: `{component.name}` has other settings than when the model was made: "
            f"{'; '.join(findings(error))}",
            hint=f"install the versions that {named} names",
        ) from None
