"""The model `conformer` holds what speechkit asks of every model, in training, too."""

import pytest
import torch
from pydantic import ValidationError
from torchaudio.models import Conformer

import speechkit_conformer
from speechkit.testing import every_check
from speechkit_conformer.masking import Mask, MaskedBatchNorm, masked

[PART] = speechkit_conformer.speechkit_models()
SMALL = {"size": 32, "layers": 2, "heads": 4, "feed_forward": 64, "kernel": 7, "channels": 8}


@every_check(PART, "model", settings=SMALL)
def test_contract(check):
    check()


def encoder(seed=0):
    torch.manual_seed(seed)
    return Conformer(
        input_dim=8, num_heads=2, ffn_dim=16, num_layers=2, depthwise_conv_kernel_size=5
    )


def batch():
    values = torch.randn(3, 12, 8, generator=torch.Generator().manual_seed(1))
    return values, torch.tensor([12, 7, 4])


def test_weights_of_torchaudio_fit_and_give_the_same():
    theirs, ours = encoder(), masked(encoder(seed=1), Mask())
    ours.load_state_dict(theirs.state_dict())
    values = batch()[0]
    lengths = torch.full((3,), 12)
    expected, _ = theirs.eval()(values, lengths)
    found, _ = ours.eval()(values, lengths)
    torch.testing.assert_close(found, expected)
    expected, _ = theirs.train()(values, lengths)
    found, _ = ours.train()(values, lengths)
    torch.testing.assert_close(found, expected)
    for name, each in theirs.state_dict().items():
        if name.endswith("running_mean"):  # of the first batch: all of it, not a tenth
            torch.testing.assert_close(0.1 * ours.state_dict()[name], each)


def test_statistics_are_an_average_at_first():
    model = masked(encoder(), Mask()).train()
    [layer] = [each for each in model.modules() if isinstance(each, MaskedBatchNorm)][:1]
    means = []
    for _ in range(3):
        values = torch.randn(2, 8, 30)
        layer(values)
        means.append(values.mean((0, 2)))
    torch.testing.assert_close(layer.running_mean, torch.stack(means).mean(0))


def test_torchaudio_alone_reads_padding():
    """What the masks are for; where this fails, torchaudio masks by itself and they can go."""
    values, lengths = batch()
    model = encoder().eval()
    loud = values.clone()
    loud[2, 4:] = 10 * torch.randn(8, 8)
    assert not torch.allclose(model(loud, lengths)[0][2, :4], model(values, lengths)[0][2, :4])


def test_statistics_of_training_know_nothing_of_padding():
    part = PART.build(PART.config(**SMALL, dropout=0.0), num_features=16, num_labels=5).train()
    features, lengths = torch.randn(2, 80, 16), torch.tensor([80, 40])
    states = []
    for padding in (0.0, 50.0):
        given = features.clone()
        given[1, 40:] = padding
        given = torch.nn.functional.pad(given, (0, 0, 0, int(padding)), value=padding)
        found, _ = part(given, lengths)
        states.append([found[0, :20], found[1, :10]])
    for one, other in zip(*states, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_a_batch_without_a_frame_trains():
    part = PART.build(PART.config(**SMALL), num_features=16, num_labels=5).train()
    found, frames = part(torch.randn(2, 3, 16), torch.tensor([0, 3]))
    assert frames.tolist() == [0, 1]
    found[1].sum().backward()
    assert all(each.grad.isfinite().all() for each in part.parameters() if each.grad is not None)


@pytest.mark.parametrize(
    ("wrong", "said"), [({"heads": 5}, "no multiple"), ({"kernel": 8}, "take 9")]
)
def test_sizes_that_do_not_fit_are_told(wrong, said):
    with pytest.raises(ValidationError, match=said):
        PART.config(**SMALL | wrong)
