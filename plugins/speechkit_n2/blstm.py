"""N2 as its authors published it (anarlavrenov/n2, training.ipynb): convolutions, BLSTM, CTC.

What differs: rows end where they end (the notebook computed on padding as on speech), and each
convolution's output is zeroed past a row's length: padding never changes a row in eval mode.

Axes: B utterances, T frames, D features, C channels, V labels.
"""

import torch
from torch import Tensor, nn

from speechkit import BidirectionalLSTM, Config, CTCModel, Dropout, Field, ctc_loss, length_mask

_KERNELS = ((11, 41), (11, 21), (11, 21))  # frames by features
_STRIDES = ((2, 2), (1, 2), (1, 2))


class N2BLSTMConfig(Config):
    """The defaults are the published sizes: 74,367,872 parameters for 193 features, 32 labels."""

    units: int = Field(768, gt=0, description="of each direction of each LSTM layer")
    layers: int = Field(5, gt=0, description="bidirectional LSTM layers")
    channels: tuple[int, int, int] = Field((32, 32, 64), description="of the convolutions")
    dropout: float = Field(0.5, ge=0, lt=1, description="between LSTM layers, and before the head")
    padded_lengths: bool = Field(
        default=False,
        description="give CTC every row's padded length, as the notebook did: not recommended",
    )


class N2BLSTM(CTCModel):
    """Three convolutions, bidirectional LSTMs, a hidden layer and the head."""

    subsampling = 2

    def __init__(self, config: N2BLSTMConfig, *, num_features: int, num_labels: int) -> None:
        super().__init__()
        self.config = config
        sizes = [1, *config.channels]
        self.convolutions = nn.ModuleList(
            nn.Conv2d(
                sizes[number],
                sizes[number + 1],
                kernel,
                stride=_STRIDES[number],
                padding=(kernel[0] // 2, kernel[1] // 2),
                bias=False,
            )
            for number, kernel in enumerate(_KERNELS)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(size) for size in config.channels)
        bins = num_features
        for _ in _KERNELS:
            bins = (bins + 1) // 2
        self.lstm = BidirectionalLSTM(
            config.channels[-1] * bins, config.units, layers=config.layers, dropout=config.dropout
        )
        wide = 2 * config.units
        self.hidden = nn.Linear(wide, wide)
        self.dropout = Dropout(config.dropout)
        self.head = nn.Linear(wide, num_labels)
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, D), (B,) -> (B, ceil(T / 2), V), (B,)."""
        if not features.shape[1]:  # no row has a frame: convolutions want one to look at
            features = nn.functional.pad(features, (0, 0, 0, 1))
        mask = length_mask(lengths, features.shape[1])[..., None]
        values = torch.where(mask, features, 0.0)[:, None]  # (B, C, T, D)
        for convolve, norm in zip(self.convolutions, self.norms, strict=True):
            values = norm(convolve(values)).relu()
            frames = (lengths + 1) // 2  # the first has stride 2, the others keep the frames
            values = values * length_mask(frames, values.shape[2])[:, None, :, None]
        encoded = self.lstm(values.transpose(1, 2).flatten(2), (lengths + 1) // 2)
        scores: Tensor = self.head(self.dropout(self.hidden(encoded).relu()))
        return scores.float().log_softmax(-1), (lengths + 1) // 2

    def loss(
        self, features: Tensor, lengths: Tensor, labels: Tensor, label_lengths: Tensor
    ) -> dict[str, Tensor]:
        """CTC: `{"loss": (B,)}`; with true lengths, but for `padded_lengths`."""
        log_probs, frames = self(features, lengths)
        if self.config.padded_lengths:
            frames = torch.full_like(frames, log_probs.shape[1])
        return {"loss": ctc_loss(log_probs, frames, labels, label_lengths)}
