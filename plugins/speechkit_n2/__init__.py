"""N2: the CTC transformer `n2`; `n2_blstm`, the network as published; and how that was scored."""

from collections.abc import Iterable

from speechkit import AcousticModel, Component, ScoreProtocol, hookimpl
from speechkit_n2.blstm import N2BLSTM, N2BLSTMConfig
from speechkit_n2.protocol import N2Protocol, N2ProtocolConfig
from speechkit_n2.transformer import N2, N2Config


@hookimpl
def speechkit_models() -> Iterable[Component[AcousticModel]]:
    """Offer `n2` and `n2_blstm`."""
    return [
        Component("n2", N2Config, N2),
        Component("n2_blstm", N2BLSTMConfig, N2BLSTM),
    ]


@hookimpl
def speechkit_score_protocols() -> Iterable[Component[ScoreProtocol]]:
    """Offer `n2`."""
    return [Component("n2", N2ProtocolConfig, N2Protocol)]
