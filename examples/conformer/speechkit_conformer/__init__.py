"""The model `conformer`: torchaudio's encoder, with CTC."""

from collections.abc import Iterable

from speechkit import AcousticModel, Component, hookimpl
from speechkit_conformer.model import ConformerConfig, ConformerCTC


@hookimpl
def speechkit_models() -> Iterable[Component[AcousticModel]]:
    """`[model] use = "conformer"`."""
    return [Component("conformer", ConformerConfig, ConformerCTC)]
