"""A pretrained model's folder to a recogniser and a decoder."""

import json
import shutil
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from speechkit.component import Component, Config
from speechkit.data.files import cache_folder, folder_written_whole
from speechkit.discovery import Plugins
from speechkit.errors import ModelError
from speechkit.interfaces import Decoder, LanguageModel, Vocabulary
from speechkit.recogniser import Recogniser, load_recogniser
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
    component = plugins.find("language_model", str(table.get("use"))).component
    names = [name for name in facts.files if name.startswith(f"{LM}/")]
    sums = "".join(facts.files[name].sha256[:20] for name in sorted(names))
    place = cache_folder() / "pretrained" / sums[:40]
    if not place.is_dir():
        with folder_written_whole(place) as beside:
            for name in names:
                shutil.copyfile(folder / name, beside / name.removeprefix(f"{LM}/"))
    config = _settings(folder, component, {key: table[key] for key in table if key != "use"})
    trainer = component.build(config)
    loaded: LanguageModel = trainer.load(place)
    return loaded


def _settings(folder: Path, component: Component[Any], table: Mapping[str, Any]) -> Config:
    try:
        return component.config.model_validate_json(json.dumps(table))
    except ValidationError as error:
        raise ModelError(
            f"{folder}: `{component.name}` has other settings than when the model was made: "
            f"{error}",
            hint=f"install the speechkit that {FACTS} names",
        ) from None
