"""A small recurrent CTC model. Axes: B utterances, T frames, D features, V labels."""

from torch import Tensor, nn
from torch.nn import functional

from speechkit import Config, CTCModel, Field, length_mask


class TinyGruConfig(Config):
    """Settings of `tiny_gru`."""

    size: int = Field(128, gt=0, description="units of a layer")
    layers: int = Field(2, gt=0, description="one above the other")


class TinyGru(CTCModel):
    """Four frames at a time into a GRU that reads forwards: padding comes after all of a row.

    `CTCModel` adds the loss.
    """

    subsampling = 4

    def __init__(self, config: TinyGruConfig, *, num_features: int, num_labels: int) -> None:
        super().__init__()
        self.gru = nn.GRU(4 * num_features, config.size, config.layers, batch_first=True)
        self.head = nn.Linear(config.size, num_labels)

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, D) features, (B,) frames -> (B, T', V) log probabilities, (B,) frames."""
        # A row's last frames may share a step with padding: whatever that holds, it becomes 0.
        padding = ~length_mask(lengths, features.shape[1])
        features = features.masked_fill(padding[..., None], 0.0)
        more = 4 - features.shape[1] % 4  # at least 1: a GRU refuses an input without steps
        steps = functional.pad(features, (0, 0, 0, more))
        hidden, _ = self.gru(steps.reshape(len(steps), -1, self.gru.input_size))
        return self.head(hidden).float().log_softmax(-1), (lengths + 3) // 4
