"""The language model `ngram` of recipes."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import field_validator, model_validator

from speechkit import Config, DataError, Field, RecipePath
from speechkit_lm import storage
from speechkit_lm.arpa_reading import KENLM_BINARY
from speechkit_lm.building import FALLBACK_DISCOUNTS, MAX_ORDER, build, full_cutoffs
from speechkit_lm.kenlm_binary import KenlmBinary
from speechkit_lm.lmplz import build_with_lmplz
from speechkit_lm.model import NgramModel
from speechkit_lm.pruning import prune

_LINK = "kenlm_binary.json"


class NgramConfig(Config):
    """[lm] with `use = "ngram"`."""

    order: int = Field(3, ge=1, le=MAX_ORDER, description="words of the longest n-gram")
    cutoffs: list[int] = Field(
        default_factory=list,
        description="n-grams of order 1, 2, ... that occur so often or less are left out; the last "
        "number goes for all higher orders",
    )
    prune: float = Field(
        0.0,
        ge=0,
        description="n-grams that raise the perplexity by less than this share are left out "
        "(1e-8: few, 1e-6: most)",
    )
    vocabulary_limit: int | None = Field(
        None, ge=1, description="words kept at most, the most frequent; none: all"
    )
    fallback_discounts: tuple[float, float, float] | None = Field(
        FALLBACK_DISCOUNTS,
        description="taken from counts 1, 2, 3 and more, where the text is too small to tell",
    )
    packed: bool = Field(
        default=False,
        description="keep it in a third of the room, probabilities in float16: to be shipped",
    )
    memory_gigabytes: float = Field(2.0, gt=0, description="about what building may hold at once")
    engine: Literal["speechkit", "lmplz"] = Field(
        "speechkit", description="what estimates it: this package, or lmplz on the PATH"
    )
    file: RecipePath | None = Field(
        None,
        description="a model made elsewhere, to be used instead, of this order or a higher one: an "
        "ARPA file, arrays of `speechkit lm build`, or a KenLM binary (for decoders that read it)",
    )

    @field_validator("fallback_discounts")
    @classmethod
    def _between(cls, amounts: tuple[float, float, float] | None) -> Any:  # noqa: ANN401 - as given
        if amounts and not all(0 <= each <= count for count, each in enumerate(amounts, 1)):
            raise ValueError("must be from 0 to 1, from 0 to 2, and from 0 to 3")
        return amounts

    @model_validator(mode="after")
    def _fit(self) -> "NgramConfig":
        full_cutoffs(self.cutoffs, self.order)
        if self.engine == "lmplz" and self.vocabulary_limit is not None:
            raise ValueError("vocabulary_limit is for the engine speechkit")
        return self


class NgramTrainer:
    """Builds n-gram models into a folder, and opens them."""

    def __init__(self, config: NgramConfig) -> None:
        self.config = config

    def train(self, lines: Iterator[str], folder: Path) -> None:
        """Write a model of `lines` (already under the text rules) into the empty `folder`.

        Where the settings name a file, that is used and no line is read.

        Raises:
            DataError: there is no text, or the file cannot be used.
        """
        config = self.config
        folder.mkdir(parents=True, exist_ok=True)
        if config.file is not None:
            self._take(config.file, folder)
            return
        settings: dict[str, Any] = {
            "order": config.order,
            "cutoffs": config.cutoffs,
            "fallback_discounts": config.fallback_discounts,
            "memory_gigabytes": config.memory_gigabytes,
            "temporary": folder,
        }
        if config.engine == "lmplz":
            model = build_with_lmplz(lines, **settings)
        else:
            model = build(lines, vocabulary_limit=config.vocabulary_limit, **settings)
        if config.prune:
            model = prune(model, config.prune)
        model.save(folder, packed=config.packed)

    def load(self, folder: Path) -> NgramModel | KenlmBinary:
        """Open what `train` wrote."""
        link = folder / _LINK
        if link.exists():
            return KenlmBinary(Path(json.loads(link.read_text(encoding="utf-8"))["path"]), folder)
        return NgramModel.load(folder)

    def _take(self, file: Path, folder: Path) -> None:
        """Make a model of another place the folder's own; a KenLM binary stays where it is."""
        if _is_kenlm_binary(file):
            _check_order(file, KenlmBinary(file, folder).order, self.config.order)
            with storage.written_whole(folder / _LINK) as partial:
                partial.write_text(json.dumps({"path": str(file)}), encoding="utf-8")
            return
        model = NgramModel.load(file)
        _check_order(file, model.order, self.config.order)
        if self.config.prune:
            model = prune(model, self.config.prune)
        model.save(folder, packed=self.config.packed)


def _check_order(file: Path, has: int, wanted: int) -> None:
    if has < wanted:
        raise DataError(
            f"{file}: its longest n-grams have {has} words, lm.order is {wanted}",
            hint=f"set lm.order = {has}, or give a model of a higher order",
        )


def _is_kenlm_binary(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            return opened.read(len(KENLM_BINARY)) == KENLM_BINARY
    except OSError as error:
        raise DataError(
            f"{file}: cannot be read: {error.strerror}", hint="lm.file names a model's file"
        ) from error
