"""The Russian BiLSTM: two bidirectional LSTM layers of 128 and CTC over letters."""

from collections.abc import Iterable

from speechkit import AcousticModel, Component, hookimpl
from speechkit_bilstm.model import BiLSTM, BiLSTMConfig


@hookimpl
def speechkit_models() -> Iterable[Component[AcousticModel]]:
    """Offer `bilstm`."""
    return [Component("bilstm", BiLSTMConfig, BiLSTM)]
