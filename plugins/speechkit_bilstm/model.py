"""The network of sovse/Rus-SpeechRecognition-LSTM-CTC-VoxForge (its training notebook).

Axes: B utterances, T frames, D features, V labels.
"""

from torch import Tensor, nn

from speechkit import BidirectionalLSTM, Config, CTCModel, Field, length_mask


class BiLSTMConfig(Config):
    """The defaults are the published sizes."""

    units: int = Field(128, gt=0, description="of each direction of each layer")
    layers: int = Field(2, gt=0, description="bidirectional layers")
    dropout: float = Field(0.0, ge=0, lt=1, description="between layers")
    stack: int = Field(
        1, gt=0, description="neighbouring frames read as one: so many times fewer frames to search"
    )


class BiLSTM(CTCModel):
    """Features, stacked, through bidirectional LSTMs to labels."""

    def __init__(self, config: BiLSTMConfig, *, num_features: int, num_labels: int) -> None:
        super().__init__()
        self.subsampling = config.stack
        self.lstm = BidirectionalLSTM(
            num_features * config.stack, config.units, layers=config.layers, dropout=config.dropout
        )
        self.head = nn.Linear(2 * config.units, num_labels)

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, D), (B,) -> (B, ceil(T / stack), V), (B,)."""
        stack = self.subsampling
        if stack > 1:  # a row's last frames may share a step with padding, which becomes 0
            mask = length_mask(lengths, features.shape[1])[..., None]
            features = features.where(mask, 0.0)
            features = nn.functional.pad(features, (0, 0, 0, -features.shape[1] % stack))
            features = features.reshape(
                len(features), features.shape[1] // stack, stack * features.shape[2]
            )
            lengths = (lengths + stack - 1) // stack
        scores: Tensor = self.head(self.lstm(features, lengths))
        return scores.float().log_softmax(-1), lengths
