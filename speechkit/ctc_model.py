"""The base most acoustic models share: CTC, and what may be trained beside it.

Axes: B utterances, T frames, D features, U labels of a text, V labels of the vocabulary.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from speechkit.component import Config, Field
from speechkit.ctc import consistency_loss, ctc_loss
from speechkit.errors import PluginError
from speechkit.mmi import MMILoss


class CTCConfig(Config):
    """What else is in the loss of a `CTCModel`, whose settings derive from these."""

    consistency: float = Field(
        0.0,
        ge=0,
        description="weight of how far two views of an utterance are apart, 0.2 in the paper: for "
        "`spec_augment` with `views = 2`; an epoch takes twice as long",
    )
    mmi: float = Field(
        0.0,
        ge=0,
        le=1,
        description="share of maximum mutual information in the loss, the rest CTC: the network "
        "leaves to a language model what that knows better; 0.8 is for decoding with one, and "
        'with train.best_by = "loss": greedily it gets worse',
    )


class CTCModel(nn.Module):
    """An acoustic model trained with CTC; a subclass gives `subsampling` and `forward`.

    Args:
        objective: what else is in the loss; left out: nothing, it is CTC alone.
        num_labels: the blank among them; with an objective it has to be given.

    Raises:
        PluginError: it was not.

    With MMI it has `expect`, by which the engine tells it the texts of an epoch.
    """

    subsampling = 1

    def __init__(self, objective: CTCConfig | None = None, *, num_labels: int = 0) -> None:
        super().__init__()
        if objective is not None and num_labels < 1:
            raise PluginError(
                f"{type(self).__name__}: CTCModel is told its settings, not the number of labels",
                hint="super().__init__(config, num_labels=num_labels)",
            )
        self.objective = objective or CTCConfig.model_validate({})
        if self.objective.mmi:
            self.mmi = MMILoss(num_labels)
            self.expect = self.mmi.expect

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, D) features, (B,) frames -> (B, T', V) log probabilities, (B,) frames."""
        raise NotImplementedError

    def loss(
        self, features: Tensor, lengths: Tensor, labels: Tensor, label_lengths: Tensor
    ) -> dict[str, Tensor]:
        """What is trained is `loss`; where it has several parts they stand beside it: (B,) each.

        Raises:
            RunError: consistency is asked for, and the rows are not two views of each utterance;
                MMI is asked for, and `expect` was not called.
        """
        log_probs, frames = self(features, lengths)
        return self.criterion(log_probs, frames, labels, label_lengths)

    def criterion(
        self,
        log_probs: Tensor,
        frames: Tensor,
        labels: Tensor,
        label_lengths: Tensor,
        *,
        middle: Sequence[Tensor] = (),
        middle_weight: float = 0.0,
    ) -> dict[str, Tensor]:
        """The loss of what `forward` gave: (B, T', V), (B,), (B, U), (B,) -> (B,) each.

        Args:
            log_probs: of the last layer.
            frames: how many of each row's there are.
            labels: of each row's text.
            label_lengths: how many of each row's there are.
            middle: log probabilities of middle layers, trained with CTC alone (Lee and Watanabe,
                "Intermediate loss regularization for CTC-based speech recognition", 2021).
            middle_weight: of their losses' mean in the whole; the rest is the last layer's.

        Raises:
            RunError: as `loss`.
        """
        ctc = ctc_loss(log_probs, frames, labels, label_lengths)
        loss, parts = ctc, dict[str, Tensor]()
        if share := self.objective.mmi:
            parts["mmi"] = self.mmi(log_probs, frames, labels, label_lengths)
            loss = (1 - share) * ctc + share * parts["mmi"]
        if middle:
            losses = [ctc_loss(each, frames, labels, label_lengths) for each in middle]
            parts["middle"] = torch.stack(losses).mean(0)
            loss = (1 - middle_weight) * loss + middle_weight * parts["middle"]
        if self.training and (weight := self.objective.consistency):
            parts["consistency"] = consistency_loss(log_probs, frames, labels)
            loss = loss + weight * parts["consistency"]
        return {"loss": loss, "ctc": ctc, **parts} if parts else {"loss": loss}
