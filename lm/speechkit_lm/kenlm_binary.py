"""A model in KenLM's own binary form: for the programs that read it."""

import math
from functools import cached_property
from pathlib import Path
from typing import Any

from speechkit import DataError


class KenlmBinary:
    """A KenLM binary, which the decoders that use KenLM open; it has no arrays.

    path    of the binary
    folder  of the model that stands for it
    """

    def __init__(self, path: Path, folder: Path) -> None:
        self.path = path
        self.folder = folder
        self.order = int(self._model.order)

    @cached_property
    def _model(self) -> Any:  # noqa: ANN401 - kenlm has no types
        import kenlm  # noqa: PLC0415 - only here, and slow to load

        settings = kenlm.Config()
        settings.load_method = kenlm.LoadMethod.LAZY
        try:
            return kenlm.Model(str(self.path), settings)
        except (OSError, RuntimeError) as error:
            raise DataError(
                f"{self.path}: KenLM cannot open it: {error}",
                hint="build the binary again from its ARPA file, or give that",
            ) from error

    def kenlm_path(self) -> Path:
        """The file for KenLM to open."""
        return self.path

    def score(self, text: str) -> float:
        """Natural logarithm of the probability of a sentence, its end included."""
        return float(self._model.score(text, bos=True, eos=True)) * math.log(10.0)
