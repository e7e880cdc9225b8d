"""The n2 model: padding never changes a row, and it learns."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from speechkit import RunError, consistency_loss
from speechkit.mmi import label_trigrams, mmi_loss
from speechkit_n2.transformer import N2, Halving, N2Config

SMALL = {"dim": 16, "layers": 2, "heads": 2, "convolution": 5, "subsampling_channels": 4}


def model(**changes) -> N2:
    torch.manual_seed(0)
    config = N2Config(**(SMALL | changes))
    return N2(config, num_features=12, num_labels=7).eval()


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(0, 70), min_size=1, max_size=5),
    st.integers(0, 30),
    st.sampled_from(
        [
            {},
            {"attention": False},
            {"convolution": 0},
            {"attention": (2,)},
            {"halved": (2, 2)},
            {"halved": (2, 2), "subsampling": 2},
        ]
    ),
)
def test_batched_equals_one_by_one_whatever_the_padding(lengths, extra, changes):
    net = model(**changes)
    rows = [torch.randn(length, 12) for length in lengths]
    batch = torch.full((len(rows), max(lengths) + extra, 12), 1e3)  # what padding holds is no zero
    for index, row in enumerate(rows):
        batch[index, : len(row)] = row
    with torch.no_grad():
        together, frames = net(batch, torch.tensor(lengths))
        for index, row in enumerate(rows):
            assert frames[index] == -(-len(row) // changes.get("subsampling", 4))
            if len(row):
                alone, _ = net(row[None], torch.tensor([len(row)]))
                found = together[index, : frames[index]]
                assert torch.allclose(found, alone[0], atol=1e-5)
    assert together.isfinite().all()


def test_probabilities_sum_to_one():
    log_probs, _ = model()(torch.randn(2, 40, 12), torch.tensor([40, 13]))
    assert torch.allclose(log_probs.exp().sum(-1), torch.ones(2, 10), atol=1e-5)


def test_emissions_are_of_the_last_layer():
    net = model()
    features, lengths = torch.randn(1, 40, 12), torch.tensor([40])
    before, _ = net(features, lengths)
    torch.nn.init.zeros_(net.layers[-1].feed.module.down.weight)
    assert not torch.allclose(net(features, lengths)[0], before)


def test_attention_can_be_in_some_layers_alone():
    attending = [layer.attend is not None for layer in model(layers=3, attention=(1, 3)).layers]
    assert attending == [True, False, True]


def test_halved_layers_see_half_the_frames():
    net = model(layers=4, halved=(2, 3))
    seen = []
    for layer in net.layers:
        layer.register_forward_hook(lambda _, given, __: seen.append(given[1].sum(1).tolist()))
    log_probs, frames = net(torch.randn(2, 4 * 9, 12), torch.tensor([4 * 9, 4 * 5]))
    assert seen == [[9, 5], [5, 3], [5, 3], [9, 5]]
    assert log_probs.shape[1] == 9
    assert frames.tolist() == [9, 5]


def test_what_halved_layers_give_is_added_to_what_they_read():
    net = model(layers=2, halved=(2, 2))
    torch.nn.init.zeros_(net.halving.parted.weight)
    torch.nn.init.zeros_(net.halving.parted.bias)
    features, lengths = torch.randn(1, 40, 12), torch.tensor([40])
    (read, given), _ = net.encode(features, lengths, after=(1, 2))
    assert torch.equal(given, read)


def test_to_begin_with_layers_add_little_to_frames_that_differ():
    net = model(layers=12, halved=(4, 9), dim=64, heads=4)
    features, lengths = torch.randn(2, 400, 12), torch.tensor([400, 400])
    with torch.no_grad():
        after, _ = net.encode(features, lengths, after=tuple(range(1, 13)))
    for number in (2, 3, 11, 12):
        before, added = after[number - 2], after[number - 1] - after[number - 2]
        assert float(added.std()) < 0.2 * float(before.std())
    for each in after:
        assert float((each - each.mean(1, keepdim=True)).std()) > 0.6 * float(each.std())


def test_halving_begins_with_means_and_copies():
    halving = Halving(4)
    hidden = torch.randn(1, 5, 4)
    joined = halving.join(hidden, torch.ones(1, 5, dtype=torch.bool)) - halving.joined.bias
    torch.testing.assert_close(joined[:, :2], (hidden[:, 0:4:2] + hidden[:, 1:4:2]) / 2)
    parted = halving.part(joined, 5) - halving.parted.bias[:4]
    torch.testing.assert_close(parted[:, 0], joined[:, 0])


def test_training_attends_as_evaluation_does():
    net = model(dropout=0.0)
    features, lengths = torch.randn(2, 40, 12), torch.tensor([40, 21])
    with torch.no_grad():
        fused, _ = net(features, lengths)
    plain, _ = net.train()(features, lengths)
    assert torch.allclose(plain[1, :6], fused[1, :6], atol=1e-5)


def test_intermediate_losses_share_the_head_and_reach_the_gradient():
    net = model(intermediate=(1,), intermediate_weight=0.5).train()
    labels = torch.tensor([[1, 2, 3], [4, 5, 0]])
    lengths = torch.tensor([40, 30]), torch.tensor([3, 2])
    losses = net.loss(torch.randn(2, 40, 12), lengths[0], labels, lengths[1])
    assert losses.keys() == {"loss", "ctc", "middle"}
    assert torch.allclose(losses["loss"], 0.5 * losses["ctc"] + 0.5 * losses["middle"])
    losses["loss"].sum().backward()
    assert all(each.grad is not None and each.grad.isfinite().all() for each in net.parameters())


def test_true_lengths_reach_the_loss():
    net = model()
    features, labels = torch.randn(1, 80, 12), torch.tensor([[1, 2]])
    two = torch.tensor([2])
    short = net.loss(features, torch.tensor([20]), labels, two)["loss"]
    alone = net.loss(features[:, :20], torch.tensor([20]), labels, two)["loss"]
    assert torch.allclose(short, alone, atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "low", "high"),
    [
        ({"dim": 144, "layers": 8, "convolution": 15}, 2.5e6, 3.5e6),
        ({"dim": 192, "layers": 10}, 5e6, 6.5e6),
        ({"dim": 384, "layers": 13}, 26e6, 33e6),
    ],
)
def test_sizes_from_three_to_thirty_million(changes, low, high):
    net = N2(N2Config(**changes), num_features=80, num_labels=29)
    assert low < sum(each.numel() for each in net.parameters()) < high


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dim": 15}, r"dim \(15\) must be heads \(2\) times an even number"),
        ({"convolution": 4}, "must be odd"),
        ({"convolution": 0, "attention": False}, "sees no other frame"),
        ({"convolution": 0, "attention": ()}, "sees no other frame"),
        ({"attention": (0, 3)}, r"attention are among 1 to 2, not \[0, 3\]"),
        ({"intermediate": (2,)}, "intermediate layers are 1 to 1"),
        ({"halved": (2, 3)}, r"halved \(2, 3\): the first and the last of layers 1 to 2"),
        ({"halved": (1, 2), "intermediate": (1,)}, r"intermediate layers \[1\] are halved"),
    ],
)
def test_impossible_settings_are_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        N2Config(**(SMALL | changes))


def test_runs_in_bf16():
    net = model().train()
    labels, count = torch.tensor([[1, 2, 3]]), torch.tensor([3])
    with torch.autocast("cpu", torch.bfloat16):
        losses = net.loss(torch.randn(1, 40, 12), torch.tensor([40]), labels, count)
    assert losses["loss"].dtype == torch.float32
    assert losses["loss"].isfinite().all()


def doubled(rows: int = 3):
    """Two views of some utterances, as spec_augment gives them: other features, equal labels."""
    torch.manual_seed(1)
    features = torch.randn(2 * rows, 48, 12)
    lengths = torch.tensor([48, 40, 21][:rows]).repeat(2)
    labels = torch.tensor([[1, 2, 3], [4, 5, 0], [6, 0, 0]][:rows]).repeat(2, 1)
    return features, lengths, labels, torch.tensor([3, 2, 1][:rows]).repeat(2)


def test_consistency_is_added_with_its_weight_in_training_alone():
    batch = doubled()
    net = model(consistency=0.5, dropout=0.0).train()
    losses = net.loss(*batch)
    log_probs, frames = net(*batch[:2])
    expected = consistency_loss(log_probs, frames, batch[2])
    assert torch.allclose(losses["consistency"], expected, atol=1e-5)
    assert losses["consistency"].min() > 0
    assert torch.allclose(losses["loss"], losses["ctc"] + 0.5 * losses["consistency"])
    assert net.eval().loss(*batch).keys() == {"loss"}
    assert torch.allclose(net.loss(*batch)["loss"], losses["ctc"], atol=1e-5)


def test_consistency_goes_together_with_intermediate_losses():
    net = model(layers=3, intermediate=(1,), consistency=0.2, dropout=0.0).train()
    losses = net.loss(*doubled())
    whole = 0.7 * losses["ctc"] + 0.3 * losses["middle"] + 0.2 * losses["consistency"]
    assert torch.allclose(losses["loss"], whole)


def test_mmi_is_a_share_of_the_loss_beside_ctc():
    batch = doubled()
    net = model(layers=3, intermediate=(1,), mmi=0.25, consistency=0.2, dropout=0.0).train()
    texts = [[1, 2, 3], [4, 5], [6]]
    net.expect(iter(texts))
    losses = net.loss(*batch)
    log_probs, frames = net(*batch[:2])
    expected = mmi_loss(log_probs, frames, *batch[2:], label_trigrams(texts, 7))
    assert torch.allclose(losses["mmi"], expected, atol=1e-5)
    last = 0.75 * losses["ctc"] + 0.25 * losses["mmi"]
    whole = 0.7 * last + 0.3 * losses["middle"] + 0.2 * losses["consistency"]
    assert torch.allclose(losses["loss"], whole)
    net = net.eval()  # what is told of validations is the loss, too
    assert torch.allclose(net.loss(*batch)["mmi"], expected, atol=1e-5)


def test_rows_that_are_not_two_views_are_refused():
    features, lengths, labels, counts = doubled()
    net = model(consistency=0.2).train()
    other = labels.clone()
    other[5, 0] = 2
    shorter = lengths.clone()
    shorter[4] = 32
    for batch in (
        (features[:5], lengths[:5], labels[:5], counts[:5]),
        (features, lengths, other, counts),
        (features, shorter, labels, counts),
    ):
        with pytest.raises(RunError, match="two views of each utterance") as raised:
            net.loss(*batch)
        assert "views = 2" in raised.value.hint
