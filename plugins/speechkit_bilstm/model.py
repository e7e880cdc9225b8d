"""The network of sovse/Rus-SpeechRecognition-LSTM-CTC-VoxForge (its training notebook).

Beside what is published, the LSTMs may be kept to windows of a few frames, as in Chen and Huo,
"Training deep bidirectional LSTM acoustic model for LVCSR by a context-sensitive-chunk BPTT
approach", IEEE/ACM TASLP 24(7), 2016: what they cannot hear whole they cannot learn by heart.

Axes: B utterances, T frames, D features, C channels, V labels, W frames of a window.
"""

import torch
from pydantic import model_validator
from torch import Tensor, nn

from speechkit import BidirectionalLSTM, CTCConfig, CTCModel, Field, length_mask


class BiLSTMConfig(CTCConfig):
    """The defaults are the published sizes."""

    units: int = Field(128, gt=0, description="of each direction of each layer")
    layers: int = Field(2, gt=0, description="bidirectional layers")
    dropout: float = Field(0.0, ge=0, lt=1, description="between layers")
    stack: int = Field(
        1, gt=0, description="neighbouring frames read as one: so many times fewer frames to search"
    )
    window: int = Field(
        0,
        ge=0,
        description="frames, after stacking, that are labelled from what is heard in them and in "
        "`context`: for corpora whose sentences would be learnt by heart; 0: from the whole "
        "utterance, as published",
    )
    context: int = Field(
        0, ge=0, description="frames, after stacking, heard before and after each window"
    )

    @model_validator(mode="after")
    def _context_is_of_windows(self) -> "BiLSTMConfig":
        if self.context and not self.window:
            raise ValueError("context is of windows: set window, too, or leave both out")
        return self


class BiLSTM(CTCModel):
    """Features, stacked, through bidirectional LSTMs to labels."""

    def __init__(self, config: BiLSTMConfig, *, num_features: int, num_labels: int) -> None:
        super().__init__(config, num_labels=num_labels)
        self.config = config
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
        hidden = (
            self._in_windows(features, lengths)
            if self.config.window
            else self.lstm(features, lengths)
        )
        scores: Tensor = self.head(hidden)
        return scores.float().log_softmax(-1), lengths

    def _in_windows(self, values: Tensor, lengths: Tensor) -> Tensor:
        """(B, T, D), (B,) -> (B, T, C), each frame from its window and that window's context.

            window 3, context 2     . . a b c d e f g . .
            heard first             _ _ a b c d e           labelled a b c
            heard next                    b c d e f g _     labelled d e f, and so on

        In training the first window begins up to a window earlier, so that its edges fall
        elsewhere each time.
        """
        window, context = self.config.window, self.config.context
        rows, frames, _ = values.shape
        if not int(lengths.sum()):  # no row has a frame
            return values.new_zeros(rows, frames, 2 * self.config.units)
        values = values.where(length_mask(lengths, frames)[..., None], 0.0)
        early = int(torch.randint(window, ())) if self.training else 0
        count = -(-(frames + early) // window)
        spare = count * window - frames - early
        values = nn.functional.pad(values, (0, 0, early + context, spare + context))
        heard = values.unfold(1, window + 2 * context, window).transpose(2, 3)  # (B, count, W, D)
        # Those that lie past a row's length are not computed.
        used = length_mask(-(-(lengths + early) // window), count)
        heard = heard[used]
        sizes = lengths.new_full((len(heard),), heard.shape[1])
        labelled = self.lstm(heard, sizes)[:, context : context + window]
        hidden = labelled.new_zeros(rows, count, window, labelled.shape[2])
        hidden[used] = labelled
        whole: Tensor = hidden.flatten(1, 2)[:, early : early + frames]
        return whole
