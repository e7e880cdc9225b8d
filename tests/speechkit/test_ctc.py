"""Two views of an utterance: how far apart they are."""

import torch

from speechkit import consistency_loss


def views(rows: int, frames: int, labels: int = 5) -> torch.Tensor:
    torch.manual_seed(0)
    return torch.randn(2 * rows, frames, labels).log_softmax(-1).requires_grad_()


def test_it_is_the_divergence_of_each_row_from_its_other_view():
    log_probs, lengths = views(3, 7), torch.tensor([7, 4, 0] * 2)
    found = consistency_loss(log_probs, lengths, torch.zeros(6, 2))
    for row, other in enumerate([3, 4, 5, 0, 1, 2]):
        target, own = log_probs[other, : lengths[row]], log_probs[row, : lengths[row]]
        expected = (target.exp() * (target - own)).sum()
        assert torch.allclose(found[row], expected, atol=1e-5)


def test_equal_views_are_not_apart():
    one = views(1, 6)[:1]
    assert (
        consistency_loss(one.repeat(2, 1, 1), torch.tensor([6, 6]), torch.zeros(2, 2)).abs().max()
        < 1e-6
    )


def test_each_view_is_drawn_to_the_other_which_stays():
    log_probs = views(1, 6)
    consistency_loss(log_probs, torch.tensor([6, 6]), torch.zeros(2, 2))[0].backward()
    assert log_probs.grad is not None
    assert log_probs.grad[0].abs().max() > 0
    assert not log_probs.grad[1].any()
