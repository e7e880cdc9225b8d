"""A Conformer with CTC: torchaudio's encoder between subsampling and a head.

Gulati et al., "Conformer: convolution-augmented transformer for speech recognition", Interspeech
2020. Axes: B utterances, T frames, D features, V labels.
"""

from pydantic import model_validator
from torch import Tensor, nn
from torch.nn import functional
from torchaudio.models import Conformer

from speechkit import CTCConfig, CTCModel, Field, length_mask
from speechkit_conformer.masking import Mask, masked


class ConformerConfig(CTCConfig):
    """Settings of `conformer`; by default as large as the paper's small one: 8 M parameters."""

    size: int = Field(144, gt=0, description="of a frame between layers")
    layers: int = Field(16, gt=0, description="one above the other")
    heads: int = Field(4, gt=0, description="of attention; `size` is a multiple")
    feed_forward: int = Field(576, gt=0, description="units within the feed-forward parts")
    kernel: int = Field(31, gt=0, description="frames that a convolution sees; odd")
    channels: int = Field(32, gt=0, description="of the two convolutions that subsample")
    dropout: float = Field(0.1, ge=0, lt=1, description="within each layer")

    @model_validator(mode="after")
    def _sizes_fit(self) -> "ConformerConfig":
        if self.size % self.heads:
            raise ValueError(f"size = {self.size} is no multiple of heads = {self.heads}")
        if self.kernel % 2 == 0:
            raise ValueError(f"kernel = {self.kernel} is even: take {self.kernel + 1}")
        return self


class Subsampling(nn.Module):
    """Two convolutions over time and features: a fourth of the frames (the paper's section 2.2)."""

    def __init__(self, features: int, channels: int, size: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, channels, 3, stride=2, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, stride=2, padding=1)
        self.out = nn.Linear(channels * ((features + 3) // 4), size)

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, D), (B,) -> (B, ceil(T / 4), size), (B,)."""
        values = features[:, None]
        for convolution in (self.first, self.second):
            within = length_mask(lengths, values.shape[2])[:, None, :, None]
            values = convolution(values.where(within, 0.0)).relu()
            lengths = (lengths + 1) // 2
        return self.out(values.transpose(1, 2).flatten(2)), lengths


class ConformerCTC(CTCModel):
    """torchaudio's `Conformer` over subsampled frames. `CTCModel` adds the losses."""

    subsampling = 4

    def __init__(self, config: ConformerConfig, *, num_features: int, num_labels: int) -> None:
        super().__init__(config, num_labels=num_labels)
        self._mask = Mask()
        self.subsample = Subsampling(num_features, config.channels, config.size)
        encoder = Conformer(
            input_dim=config.size,
            num_heads=config.heads,
            ffn_dim=config.feed_forward,
            num_layers=config.layers,
            depthwise_conv_kernel_size=config.kernel,
            dropout=config.dropout,
        )
        self.encoder = masked(encoder, self._mask)
        self.head = nn.Linear(config.size, num_labels)

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, D), (B,) frames -> (B, ceil(T / 4), V) log probabilities, (B,) frames."""
        if not features.shape[1]:  # no convolution takes what has no frame
            features = functional.pad(features, (0, 0, 0, 1))
        hidden, frames = self.subsample(features, lengths)
        self._mask.frames = length_mask(frames, hidden.shape[1])[:, None]
        # A row without frames attends to one of padding: attention over nothing at all is NaN.
        padding = ~length_mask(frames.clamp(min=1), hidden.shape[1])
        # Layer by layer, since the encoder as a whole takes its longest row for the batch's size.
        values = hidden.transpose(0, 1)
        for layer in self.encoder.conformer_layers:
            values = layer(values, padding)
        hidden = values.transpose(0, 1)
        return self.head(hidden).float().log_softmax(-1), frames
