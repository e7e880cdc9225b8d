"""The N2 models: the CTC transformer `n2`, and `n2_blstm`, the network as published."""

from collections.abc import Iterable

from speechkit import AcousticModel, Component, hookimpl
from speechkit_n2.blstm import N2BLSTM, N2BLSTMConfig
from speechkit_n2.transformer import N2, N2Config


@hookimpl
def speechkit_models() -> Iterable[Component[AcousticModel]]:
    """Offer `n2` and `n2_blstm`."""
    return [
        Component("n2", N2Config, N2),
        Component("n2_blstm", N2BLSTMConfig, N2BLSTM),
    ]
