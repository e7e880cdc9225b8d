"""The networks of LSTMs: as published, and padding never changes a row."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from speechkit import BidirectionalLSTM, RunError
from speechkit.mmi import label_trigrams, mmi_loss
from speechkit_bilstm.model import BiLSTM, BiLSTMConfig
from speechkit_n2.blstm import N2BLSTM, N2BLSTMConfig


def count(module: nn.Module) -> int:
    return sum(each.numel() for each in module.parameters())


def test_n2_blstm_is_as_large_as_published():
    with torch.device("meta"):
        net = N2BLSTM(N2BLSTMConfig(), num_features=193, num_labels=32)
    assert count(net) == 74_367_872
    assert net.lstm.ahead[0].input_size == 1600


def test_bilstm_has_the_published_layers():
    net = BiLSTM(BiLSTMConfig(), num_features=13, num_labels=35)
    reference = nn.LSTM(13, 128, num_layers=2, bidirectional=True)
    assert count(net) == count(reference) + 256 * 35 + 35


def test_equal_to_a_packed_bidirectional_lstm():
    torch.manual_seed(0)
    ours = BidirectionalLSTM(5, 4, layers=2)
    theirs = nn.LSTM(5, 4, num_layers=2, bidirectional=True, batch_first=True)
    for layer in range(2):
        for part, suffix in ((ours.ahead, ""), (ours.back, "_reverse")):
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                weight = getattr(theirs, f"{name}_l{layer}{suffix}")
                getattr(part[layer], f"{name}_l0").data.copy_(weight.data)
    values, lengths = torch.randn(3, 9, 5, requires_grad=True), torch.tensor([9, 4, 1])
    packed = pack_padded_sequence(values, lengths, batch_first=True, enforce_sorted=False)
    expected, _ = pad_packed_sequence(theirs(packed)[0], batch_first=True)
    found = ours(values, lengths)
    assert torch.allclose(found, expected, atol=1e-6)

    upstream = torch.randn(found.shape)
    (wanted,) = torch.autograd.grad(expected, values, upstream)
    (gradient,) = torch.autograd.grad(found, values, upstream)
    assert torch.allclose(gradient, wanted, atol=1e-6)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=4), st.integers(0, 9), st.integers(0, 3))
def test_batched_equals_one_by_one_whatever_the_padding(lengths, extra, which):
    torch.manual_seed(0)
    if which < 3:
        kept = {"window": 4, "context": 3} if which == 2 else {"stack": which + 1}
        net = BiLSTM(BiLSTMConfig(units=6, **kept), num_features=8, num_labels=5)
    else:
        small = N2BLSTMConfig(units=6, layers=2, channels=(2, 2, 3))
        net = N2BLSTM(small, num_features=8, num_labels=5)
    net.eval()
    rows = [torch.randn(length, 8) for length in lengths]
    batch = torch.zeros(len(rows), max(lengths) + extra, 8)
    for index, row in enumerate(rows):
        batch[index, : len(row)] = row
    with torch.no_grad():
        together, frames = net(batch, torch.tensor(lengths))
        for index, row in enumerate(rows):
            assert frames[index] == -(-len(row) // net.subsampling)
            if len(row):
                alone, _ = net(row[None], torch.tensor([len(row)]))
                assert torch.allclose(together[index, : frames[index]], alone[0], atol=1e-5)


@pytest.mark.parametrize("padded", [False, True])
def test_ctc_is_given_true_lengths_but_for_the_switch(padded):
    config = N2BLSTMConfig(units=6, layers=1, channels=(2, 2, 3), padded_lengths=padded)
    torch.manual_seed(0)
    net = N2BLSTM(config, num_features=8, num_labels=5).eval()
    features = torch.zeros(1, 60, 8)
    features[:, :20] = torch.randn(20, 8)
    labels, two = torch.tensor([[1, 2]]), torch.tensor([2])
    whole = net.loss(features, torch.tensor([20]), labels, two)["loss"]
    cut = net.loss(features[:, :20], torch.tensor([20]), labels, two)["loss"]
    assert torch.allclose(whole, cut, atol=1e-5) != padded


def windowed(**changes):
    torch.manual_seed(0)
    config = BiLSTMConfig(**({"units": 6, "window": 4, "context": 2} | changes))
    return BiLSTM(config, num_features=8, num_labels=5).eval()


def test_a_frame_is_labelled_from_its_window_and_that_window_s_context():
    net, features, lengths = windowed(), torch.randn(1, 14, 8), torch.tensor([14])
    plain = net(features, lengths)[0]
    for frame in range(14):
        changed = features.clone()
        changed[0, frame] += 1
        differs = (net(changed, lengths)[0] - plain).abs().amax(-1)[0] > 0
        windows = [slice(first, first + 4) for first in (0, 4, 8, 12)]
        heard = [each for each in windows if each.start - 2 <= frame < each.stop + 2]
        expected = torch.zeros(14, dtype=torch.bool)
        for each in heard:
            expected[each] = True
        assert torch.equal(differs, expected)


def test_one_window_over_all_is_the_published_network():
    torch.manual_seed(1)
    features, lengths = torch.randn(2, 12, 8), torch.tensor([12, 12])
    one = windowed(window=12, context=0)
    whole = windowed(window=0, context=0)
    assert torch.allclose(one(features, lengths)[0], whole(features, lengths)[0], atol=1e-6)


def test_windows_begin_elsewhere_in_each_step_of_training():
    net, features, lengths = windowed().train(), torch.randn(2, 14, 8), torch.tensor([14, 5])
    found = set()
    for seed in range(40):
        torch.manual_seed(seed)
        log_probs, frames = net(features, lengths)
        assert log_probs.shape == (2, 14, 5)
        assert frames.tolist() == [14, 5]
        found.add(round(float(log_probs[0, 7, 0].detach()), 6))
    assert len(found) == 4


def test_context_without_a_window_is_refused():
    with pytest.raises(ValidationError, match="set window, too"):
        BiLSTMConfig(context=2)


def test_two_views_are_drawn_together_in_training_alone():
    torch.manual_seed(0)
    net = BiLSTM(BiLSTMConfig(units=6, consistency=0.5), num_features=8, num_labels=5).train()
    features, lengths = torch.randn(4, 20, 8), torch.tensor([20, 16, 20, 16])
    labels, counts = torch.tensor([[1, 2], [3, 0]] * 2), torch.tensor([2, 1] * 2)
    losses = net.loss(features, lengths, labels, counts)
    assert losses["consistency"].min() > 0
    assert torch.allclose(losses["loss"], losses["ctc"] + 0.5 * losses["consistency"])
    assert torch.allclose(net.eval().loss(features, lengths, labels, counts)["loss"], losses["ctc"])
    with pytest.raises(RunError, match="two views of each utterance"):
        net.train().loss(features[:3], lengths[:3], labels[:3], counts[:3])


def test_mmi_is_a_share_of_the_loss_beside_consistency():
    torch.manual_seed(0)
    config = BiLSTMConfig(units=6, consistency=0.5, mmi=0.8)
    net = BiLSTM(config, num_features=8, num_labels=5).train()
    features, lengths = torch.randn(4, 20, 8), torch.tensor([20, 16, 20, 16])
    labels, counts = torch.tensor([[1, 2], [3, 0]] * 2), torch.tensor([2, 1] * 2)
    with pytest.raises(RunError, match="has to know all transcripts"):
        net.loss(features, lengths, labels, counts)
    texts = [[1, 2], [3]]
    net.expect(texts)
    losses = net.loss(features, lengths, labels, counts)
    log_probs, frames = net(features, lengths)
    expected = mmi_loss(log_probs, frames, labels, counts, label_trigrams(texts, 5))
    assert torch.allclose(losses["mmi"], expected, atol=1e-5)
    whole = 0.2 * losses["ctc"] + 0.8 * losses["mmi"] + 0.5 * losses["consistency"]
    assert torch.allclose(losses["loss"], whole)
