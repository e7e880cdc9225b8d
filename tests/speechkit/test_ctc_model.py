"""What a model of others gets from `CTCModel`: its losses, by the settings it hands on."""

import copy

import pytest
import torch
from torch import nn

from speechkit import (
    CTCConfig,
    CTCModel,
    PluginError,
    RunError,
    consistency_loss,
    ctc_loss,
)
from speechkit.mmi import label_trigrams, mmi_loss

TEXTS = [[1, 2], [3]]


class Linear(CTCModel):
    def __init__(self, **settings: float) -> None:
        torch.manual_seed(0)
        super().__init__(CTCConfig(**settings), num_labels=5)
        self.head = nn.Linear(8, 5)

    def forward(self, features, lengths):
        return self.head(features).log_softmax(-1), lengths


class Plain(Linear):
    def __init__(self) -> None:
        CTCModel.__init__(self)
        self.head = nn.Linear(8, 5)


def batch() -> tuple[torch.Tensor, ...]:
    """Two views of two rows."""
    torch.manual_seed(1)
    labels, counts = torch.tensor([[1, 2], [3, 0]] * 2), torch.tensor([2, 1] * 2)
    return torch.randn(4, 20, 8), torch.tensor([20, 16, 20, 16]), labels, counts


def test_without_settings_it_is_ctc_and_asks_for_no_texts():
    for model in (Plain(), Linear()):
        losses = model.loss(*batch())
        features, *others = batch()
        log_probs, frames = model(features, others[0])
        assert losses.keys() == {"loss"}
        assert torch.equal(losses["loss"], ctc_loss(log_probs, frames, *others[1:]))
        assert not hasattr(model, "expect")


def test_settings_are_shares_of_the_loss():
    model = Linear(mmi=0.8, consistency=0.5).train()
    model.expect(TEXTS)
    features, lengths, labels, counts = batch()
    losses = model.loss(features, lengths, labels, counts)
    log_probs, frames = model(features, lengths)
    expected = mmi_loss(log_probs, frames, labels, counts, label_trigrams(TEXTS, 5))
    assert torch.allclose(losses["mmi"], expected, atol=1e-5)
    assert torch.equal(losses["consistency"], consistency_loss(log_probs, frames, labels))
    whole = 0.2 * losses["ctc"] + 0.8 * losses["mmi"] + 0.5 * losses["consistency"]
    assert torch.allclose(losses["loss"], whole)
    assert model.eval().loss(features, lengths, labels, counts).keys() == {"loss", "ctc", "mmi"}


def test_middle_layers_are_trained_with_ctc_alone():
    model = Linear(mmi=0.5)
    model.expect(TEXTS)
    features, lengths, labels, counts = batch()
    log_probs, frames = model(features, lengths)
    others = [torch.randn_like(log_probs).log_softmax(-1) for _ in range(2)]
    losses = model.criterion(log_probs, frames, labels, counts, middle=others, middle_weight=0.3)
    means = sum(ctc_loss(each, frames, labels, counts) for each in others) / 2
    assert torch.allclose(losses["middle"], means)
    last = 0.5 * losses["ctc"] + 0.5 * losses["mmi"]
    assert torch.allclose(losses["loss"], 0.7 * last + 0.3 * means)


def test_a_copy_is_told_its_own_texts():
    model = Linear(mmi=0.5)
    other = copy.deepcopy(model)
    other.expect(TEXTS)
    other.loss(*batch())
    with pytest.raises(RunError, match="has to know all transcripts"):
        model.loss(*batch())


def test_no_weight_is_of_the_loss():
    assert Linear(mmi=0.5).state_dict().keys() == Linear().state_dict().keys()


def test_settings_without_the_number_of_labels_are_refused():
    class Forgetful(CTCModel):
        def __init__(self) -> None:
            super().__init__(CTCConfig())

    with pytest.raises(PluginError, match="Forgetful: CTCModel is told its settings") as caught:
        Forgetful()
    assert caught.value.hint == "super().__init__(config, num_labels=num_labels)"
