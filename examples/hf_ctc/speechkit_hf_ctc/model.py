"""A checkpoint after its convolutions. Axes: B utterances, T frames, D features, V labels."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from speechkit import Config, CTCModel, Field, PluginError, RecipePath, length_mask
from speechkit_hf_ctc.checkpoint import load_weights, read_checkpoint


class HFModelConfig(Config):
    """Settings of the model `hf_ctc`."""

    checkpoint: RecipePath = Field(description="a folder as save_pretrained leaves it")
    head: Literal["checkpoint", "new"] = Field(
        "checkpoint",
        description="of the checkpoint, for its own labels; or a new one, for other units, which "
        "must be trained",
    )
    layerdrop: float = Field(
        0.0, ge=0, lt=1, description="share of layers left out of a training step"
    )

    @property
    def is_trained(self) -> bool:
        """A checkpoint that was trained for its labels can be decoded as it is."""
        return self.head == "checkpoint"


class HFModel(CTCModel):
    """Projection, Transformer and head of a checkpoint. `CTCModel` adds the loss.

    In training no features are masked as transformers does it: [[augment]] says what is.
    """

    def __init__(self, config: HFModelConfig, *, num_features: int, num_labels: int) -> None:
        super().__init__()
        found = read_checkpoint(config.checkpoint)
        model = load_weights(config.checkpoint, with_head=config.head == "checkpoint")
        model.config.layerdrop = config.layerdrop
        if num_features != model.config.conv_dim[-1]:
            raise PluginError(
                f"{config.checkpoint} reads {model.config.conv_dim[-1]} features a frame, and is "
                f"given {num_features}",
                hint='set [features] use = "hf_ctc" with the same checkpoint',
            )
        self.projection = model.base_model.feature_projection
        self.encoder = model.base_model.encoder
        self.dropout = nn.Dropout(model.config.final_dropout)
        self.head = nn.Linear(model.config.hidden_size, num_labels)
        if config.head == "checkpoint":
            self._take_head(model.lm_head, found.columns, num_labels)

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, D) features, (B,) frames -> (B, T, V) log probabilities, (B,) frames."""
        if not features.shape[1]:  # attention over no frame at all gives NaN
            features = functional.pad(features, (0, 0, 0, 1))
        within = length_mask(lengths.clamp(min=1), features.shape[1])
        values = self.projection(features.where(within[..., None], 0.0))
        hidden = values[0] if isinstance(values, tuple) else values
        hidden = self.encoder(hidden, attention_mask=within).last_hidden_state
        return self.head(self.dropout(hidden)).float().log_softmax(-1), lengths

    @torch.no_grad()
    def _take_head(self, theirs: nn.Linear, columns: tuple[int, ...], num_labels: int) -> None:
        """The rows of the checkpoint's head for the labels of `hf_ctc` units, in their order."""
        if num_labels != len(columns):
            raise PluginError(
                f"the checkpoint has {len(columns)} labels, and the units have {num_labels}",
                hint='set [units] use = "hf_ctc" with the same checkpoint, or [model] head = "new"',
            )
        self.head.weight.copy_(theirs.weight[list(columns)])
        self.head.bias.copy_(theirs.bias[list(columns)])
