"""A part of every kind that does nothing but have settings: for tests of recipes."""

from typing import Literal

from pydantic import field_validator, model_validator

from speechkit import Component, Config, Field, RecipePath, hookimpl


class ToneConfig(Config):
    path: RecipePath = Field(description="where it is")
    splits: list[str] = Field(["all"], description="which parts of it")
    columns: dict[str, str] = Field(default_factory=dict)
    limit: int = Field(0, ge=0)
    cache: RecipePath | None = None


class SpectrogramConfig(Config):
    window: int = Field(400, gt=0, description="samples")
    floor: float = Field(1e-5, gt=0)
    band_hertz: tuple[float, float] = (20.0, 8000.0)

    @field_validator("window")
    @classmethod
    def _even(cls, window: int) -> int:
        if window % 2:
            raise ValueError(f"must be even, not {window}; take {window + 1}")
        return window

    @model_validator(mode="after")
    def _band(self) -> "SpectrogramConfig":
        if self.band_hertz[0] >= self.band_hertz[1]:
            raise ValueError("band_hertz ends before it begins")
        return self


class NoiseConfig(Config):
    snr_db: tuple[float, float] = (3, 20)
    probability: float = Field(0.3, ge=0, le=1)


class Optimizer(Config):
    name: Literal["adam", "sgd"] = "adam"
    momentum: float = 0.9


class LinearConfig(Config):
    rnn_layers: int = Field(5, gt=0)
    rnn_units: int = Field(768, gt=0)
    dropout: float = Field(0.1, ge=0, lt=1)
    activation: Literal["relu", "swish"] = "relu"
    optimizer: Optimizer = Optimizer()
    width: int | list[int] = 1
    note: str = ""


class OtherModelConfig(Config):
    size: int = 1

    @property
    def is_trained(self) -> bool:
        return self.size == 7


class BeamConfig(Config):
    beam: int = Field(100, gt=0)
    lm_weight: float = 0.5
    hotwords: dict[str, float] = Field(default_factory=dict)


class OrderConfig(Config):
    order: int = Field(3, gt=0)


class Part:
    """A part.

    With nothing in it.
    """

    def __init__(self, config: Config, **given: object) -> None:
        self.config = config
        self.given = given


@hookimpl
def speechkit_corpora():
    return [Component("tone", ToneConfig, Part)]


@hookimpl
def speechkit_features():
    return [Component("spectrogram", SpectrogramConfig, Part), Component("plain", Config, Part)]


@hookimpl
def speechkit_augmentations():
    return [Component("noise", NoiseConfig, Part)]


@hookimpl
def speechkit_units():
    return [Component("characters", Config, Part)]


@hookimpl
def speechkit_models():
    return [
        Component("linear", LinearConfig, Part, revision=3),
        Component("other", OtherModelConfig, Part),
    ]


@hookimpl
def speechkit_decoders():
    return [
        Component("greedy", Config, Part),
        Component("beam", BeamConfig, Part),
        Component("kenlm", BeamConfig, Part),
    ]


@hookimpl
def speechkit_language_models():
    return [Component("ngram", OrderConfig, Part)]
