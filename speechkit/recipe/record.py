"""What a recipe says once it is checked: every part chosen, every setting with its value."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from speechkit.component import Component, Config
from speechkit.data.text import PluginRule
from speechkit.discovery import OURS
from speechkit.errors import PluginError
from speechkit.recipe.layers import VARIABLE
from speechkit.recipe.toml_text import toml_key, toml_table
from speechkit.settings import (
    DataSettings,
    FeaturesSettings,
    LanguageModelSettings,
    ModelSettings,
    RecipeSettings,
    ScoreSettings,
    TextSettings,
    TrainSettings,
    TuneSettings,
)


@dataclass(frozen=True)
class Choice:
    """A component, with the settings the recipe gives it.

    use      how the recipe names it: `n2`, or `distribution:n2`
    version  of the distribution; empty where a file offers it
    """

    kind: str
    use: str
    component: Component[Any]
    config: Config
    distribution: str
    version: str

    def build(self, **given: object) -> Any:  # noqa: ANN401 - typed by the hook that offers it
        """Make the part.

        Raises:
            PluginError: it does not take what its hook says is given; whatever the part raises.
        """
        try:
            return self.component.build(self.config, **given)
        except TypeError as error:
            if error.__traceback__ is None or error.__traceback__.tb_next is not None:
                raise  # within the part, not in calling it
            taken = ", ".join(["config", *(f"{name}=..." for name in given)])
            raise PluginError(
                f"the {self.kind.replace('_', ' ')} `{self.use}` of {self.distribution} cannot be "
                f"built: {error}",
                hint=f"a defect of {self.distribution}: it is given ({taken})",
            ) from error

    def described(self) -> dict[str, Any]:
        """What the part's results depend on, as JSON knows it: every setting, with the defaults."""
        settings = self.config.model_dump(mode="json")
        use = self.use
        if self.version and self.distribution != OURS:  # another one's may have the same name
            use = f"{self.distribution}:{self.component.name}"
        return {"use": use, "revision": self.component.revision, **settings}

    def _to_toml(self, header: str, engine: Config | None = None) -> str:
        return toml_table(header, {"use": self.use, **_dumped(engine), **_dumped(self.config)})


@dataclass(frozen=True)
class Several:
    """Corpora that are read as one, one after the other; each has a name in the recipe."""

    parts: Mapping[str, Choice]

    @property
    def use(self) -> str:
        """How the recipe names them."""
        return " + ".join(each.use for each in self.parts.values())

    def described(self) -> dict[str, Any]:
        """What results depend on, as JSON knows it."""
        return {"parts": {name: each.described() for name, each in self.parts.items()}}


Corpus: TypeAlias = Choice | Several


def _single(corpus: Corpus | None) -> list[Choice]:
    """The single ones: of none, one, or several."""
    if isinstance(corpus, Several):
        return list(corpus.parts.values())
    return [corpus] if corpus else []


@dataclass(frozen=True)
class Recipe:
    """A checked recipe: every part chosen, every setting with its value.

    text_rules     of plugins, which come before those in `text`
    profiles       the names of those the file has
    file, profile  where it was read from; two recipes that say the same are equal without these
    decoders       every decoder whose settings stand in the recipe, and the one used
    score_protocol  what counts errors beside the usual numbers; None: nothing does
    validation_decoder  what training decodes its validations with; None where nothing is trained
    """

    settings: RecipeSettings
    data: DataSettings
    text: TextSettings
    text_rules: tuple[Choice, ...]
    train_corpus: Corpus | None
    validation_corpus: Corpus | None
    test_corpora: Mapping[str, Choice]
    features: Choice
    features_settings: FeaturesSettings
    augment: tuple[Choice, ...]
    units: Choice
    model: Choice
    model_settings: ModelSettings
    train: TrainSettings
    tune: TuneSettings
    score: ScoreSettings
    score_protocol: Choice | None
    lm: Choice | None
    lm_settings: LanguageModelSettings
    decoder: Choice
    decoders: Mapping[str, Choice]
    validation_decoder: Choice | None
    profiles: tuple[str, ...] = field(default=(), compare=False)
    file: Path | None = field(default=None, compare=False)
    profile: str | None = field(default=None, compare=False)

    @property
    def choices(self) -> list[Choice]:
        """The parts that are used, in the order of a run."""
        choices = [
            *_single(self.train_corpus),
            *_single(self.validation_corpus),
            *self.test_corpora.values(),
            *self.text_rules,
            self.features,
            *self.augment,
            self.units,
            self.model,
            self.lm,
            self.decoder,
            self.score_protocol,
        ]
        return [each for each in choices if each]

    def own_rules(self) -> tuple[PluginRule, ...]:
        """The text rules of plugins, for `TextRules`."""
        return tuple(
            PluginRule(f"the text rule `{each.use}` of {each.distribution}", each.build())
            for each in self.text_rules
        )

    def text_described(self) -> dict[str, Any]:
        """What a text under the rules depends on, as JSON knows it."""
        own = {"rules": [each.described() for each in self.text_rules]} if self.text_rules else {}
        return {**own, **self.text.model_dump(mode="json")}

    def to_toml(self) -> str:
        """The recipe with every default and absolute paths; it reads back as an equal one."""
        tables = [toml_table("[recipe]", _dumped(self.settings))]
        parts = {"train": self.train_corpus, "validation": self.validation_corpus}
        for part, corpus in parts.items():
            if isinstance(corpus, Choice):
                tables.append(corpus._to_toml(f"[corpus.{part}]"))
        several = {part: each.parts for part, each in parts.items() if isinstance(each, Several)}
        for part, named in {**several, "test": self.test_corpora}.items():
            for name, each in named.items():
                tables.append(each._to_toml(f"[corpus.{part}.{toml_key(name)}]"))
        tables.append(toml_table("[data]", _dumped(self.data)))
        tables.append(toml_table("[tune]", _dumped(self.tune)))
        tables.append(self._text_to_toml())
        tables.append(self.features._to_toml("[features]", self.features_settings))
        tables += [each._to_toml("[[augment]]") for each in self.augment]
        tables.append(self.units._to_toml("[units]"))
        tables.append(self.model._to_toml("[model]", self.model_settings))
        tables.append(toml_table("[train]", _dumped(self.train)))
        if self.lm:
            tables.append(self.lm._to_toml("[lm]", self.lm_settings))
        tables.append(toml_table("[decoder]", {"use": self.decoder.use}))
        for name, decoder in self.decoders.items():
            tables.append(toml_table(f"[decoder.{toml_key(name)}]", _dumped(decoder.config)))
        counted = self.score_protocol.config if self.score_protocol else None
        tables.append(toml_table("[score]", {**_dumped(self.score), **_dumped(counted)}))
        return "\n".join(tables)

    def parts_to_toml(self, decoder: Config) -> str:
        """What recognising needs of it: text rules, parts, and its decoder, with these settings.

        A path is left out: it means nothing on another machine.
        """
        tables = [
            toml_table("[recipe]", _dumped(self.settings)),
            self._text_to_toml(),
            self.features._to_toml("[features]", self.features_settings),
            self.units._to_toml("[units]"),
            self.model._to_toml("[model]"),
        ]
        if self.lm and "language_model" in self.decoder.component.uses:
            kept = dict.fromkeys(path_settings(self.lm.config))
            tables.append(
                toml_table("[lm]", {"use": self.lm.use, **_dumped(self.lm.config), **kept})
            )
        tables.append(toml_table("[decoder]", {"use": self.decoder.use}))
        tables.append(toml_table(f"[decoder.{toml_key(self.decoder.use)}]", _dumped(decoder)))
        return "\n".join(tables)

    def _text_to_toml(self) -> str:
        rules = [{"use": each.use, **_dumped(each.config)} for each in self.text_rules]
        own = {"rules": rules} if rules else {}
        return toml_table("[text]", {**own, **_dumped(self.text)})


def path_settings(config: Config) -> list[str]:
    """The settings that name a place on this machine."""
    return [name for name, value in config.model_dump().items() if isinstance(value, Path)]


def _dumped(config: Config | None) -> dict[str, Any]:
    """Settings as TOML has them: none that are None, and no text that passes for a variable."""
    return _escaped(config.model_dump(mode="json", exclude_none=True)) if config else {}


def _escaped(value: Any) -> Any:  # noqa: ANN401 - a value of JSON
    if isinstance(value, str):
        return VARIABLE.sub(lambda found: f"${found[0]}", value)
    if isinstance(value, dict):
        return {key: _escaped(each) for key, each in value.items()}
    return [_escaped(each) for each in value] if isinstance(value, list) else value
