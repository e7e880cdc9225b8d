"""The N2 models: a CTC transformer for a few hours of speech and up."""

from collections.abc import Iterable

from speechkit import AcousticModel, Component, hookimpl
from speechkit_n2.transformer import N2, N2Config


@hookimpl
def speechkit_models() -> Iterable[Component[AcousticModel]]:
    """Offer `n2`."""
    return [Component("n2", N2Config, N2)]
