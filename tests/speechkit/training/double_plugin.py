"""The model `double`: small, and in double precision from features to losses, to compare sums."""

import torch
from torch import nn
from torch.nn import functional

from speechkit import Component, Config, CTCModel, hookimpl


class Double(CTCModel):
    def __init__(self, config, *, num_features, num_labels):
        super().__init__()
        self.near = nn.Conv1d(num_features, 24, 5, padding=2, dtype=torch.float64)
        self.head = nn.Linear(24, num_labels, dtype=torch.float64)

    def forward(self, features, lengths):
        hidden = self.near(features.double().transpose(1, 2)).tanh()
        return self.head(hidden.transpose(1, 2)).log_softmax(-1), lengths

    def loss(self, features, lengths, labels, label_lengths):
        log_probs, frames = self(features, lengths)
        given = (log_probs.transpose(0, 1), labels, frames, label_lengths)
        return {"loss": functional.ctc_loss(*given, reduction="none", zero_infinity=True)}


@hookimpl
def speechkit_models():
    return [Component("double", Config, Double)]


@hookimpl
def speechkit_on_epoch_end(run, epoch):
    with (run.folder / "told.txt").open("a") as file:
        print(epoch.epoch, file=file)
