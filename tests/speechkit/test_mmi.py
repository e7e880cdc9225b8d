"""Maximum mutual information, against the sum over every path there is."""

import itertools
from collections.abc import Sequence

import pytest
import torch

from speechkit import MMILoss, RecipeError, RunError, ctc_loss
from speechkit.mmi import label_trigrams, log_of_all, mmi_loss

LABELS = 4  # the blank and three more
FRAMES = torch.tensor([5, 3, 1])


def scores() -> torch.Tensor:
    torch.manual_seed(0)
    return torch.randn(len(FRAMES), 5, LABELS).log_softmax(-1).requires_grad_()


def trigrams() -> torch.Tensor:
    torch.manual_seed(1)
    return torch.rand(LABELS, LABELS, LABELS).softmax(-1)


def by_hand(log_probs: torch.Tensor, text: Sequence[int] | None = None) -> torch.Tensor:
    """Log of the sum over all paths, or over those of one text: (T, V) -> ()."""
    table, total = trigrams(), torch.zeros(())
    for path in itertools.product(range(LABELS), repeat=len(log_probs)):
        merged = [label for label, _ in itertools.groupby(path) if label]
        if text is not None and merged != list(text):
            continue
        said = [0, 0, *merged, 0]
        before = torch.stack([table[each] for each in zip(said, said[1:], said[2:], strict=False)])
        total = total + before.prod() * log_probs[range(len(path)), path].sum().exp()
    return total.log()


def test_all_sequences_are_what_all_paths_sum_to():
    log_probs = scores()
    found = log_of_all(log_probs, FRAMES, trigrams())
    expected = torch.stack([by_hand(log_probs[row, :size]) for row, size in enumerate(FRAMES)])
    assert torch.allclose(found, expected, atol=1e-5)
    weights = torch.tensor([1.0, -2.0, 0.5])  # each row's gradient is its own
    (gradient,) = torch.autograd.grad(found @ weights, log_probs)
    (by_paths,) = torch.autograd.grad(expected @ weights, log_probs)
    assert torch.allclose(gradient, by_paths, atol=1e-5)


def test_the_loss_is_a_texts_share_in_all():
    log_probs = scores()
    labels, counts = torch.tensor([[1, 1, 2], [3, 2, 1], [1, 2, 3]]), torch.tensor([3, 2, 0])
    found = mmi_loss(log_probs, FRAMES, labels, counts, trigrams())
    for row, (size, count) in enumerate(zip(FRAMES, counts, strict=True)):
        own = log_probs[row, :size]
        expected = by_hand(own) - by_hand(own, labels[row, :count].tolist())
        assert torch.allclose(found[row], expected, atol=1e-5)


def test_an_utterance_too_short_for_its_labels_teaches_nothing():
    log_probs, labels = scores(), torch.tensor([[1, 1, 2], [1, 1, 2], [1, 2, 0]])
    counts = torch.tensor([3, 3, 2])
    found = mmi_loss(log_probs, FRAMES, labels, counts, trigrams())
    assert found.tolist()[1:] == [0, 0] == ctc_loss(log_probs, FRAMES, labels, counts).tolist()[1:]
    found.sum().backward()
    assert log_probs.grad is not None
    assert log_probs.grad[0].abs().max() > 0
    assert not log_probs.grad[1:].any()


def test_what_padding_holds_changes_nothing():
    log_probs = scores()
    filled = log_probs.detach().clone()
    filled[1, 3:], filled[2, 1:] = torch.nan, torch.inf
    again = filled.requires_grad_()
    found, expected = (log_of_all(each, FRAMES, trigrams()) for each in (again, log_probs))
    assert torch.equal(found, expected)
    for each in (found, expected):
        each.sum().backward()
    assert torch.equal(again.grad, log_probs.grad)
    assert not log_probs.grad[1, 3:].any()


def test_long_utterances_do_not_vanish():
    log_probs = torch.full((1, 4000, LABELS), 1 / LABELS).log().requires_grad_()
    total = log_of_all(log_probs, torch.tensor([4000]), trigrams())
    total.sum().backward()
    assert total.isfinite().all()
    assert torch.allclose(log_probs.grad.sum(-1), torch.ones(1, 4000), atol=1e-4)


def test_a_network_sure_of_what_nobody_says_is_told_so():
    """Whatever is said, each frame is in some state: not even the improbable loses its gradient."""
    random = torch.Generator().manual_seed(5)
    texts = [torch.randint(1, 8, (100,), generator=random).tolist() for _ in range(2000)]
    table = label_trigrams(texts, 35)  # 27 of the labels are never said
    for sure in (10, 20, 30):
        peaks = sure * torch.randn(8, 40, 35, generator=random)
        log_probs = peaks.log_softmax(-1).requires_grad_()
        log_of_all(log_probs, torch.full((8,), 40), table).sum().backward()
        assert log_probs.grad is not None
        assert torch.allclose(log_probs.grad.sum(-1), torch.ones(8, 40), atol=1e-4)


def test_trigrams_are_frequencies_smoothed_by_shorter_ones():
    table = label_trigrams([[1, 2], [1, 2], [1, 3]], LABELS)
    assert torch.allclose(table.sum(-1), torch.ones(LABELS, LABELS))
    assert table.min() > 0
    # By method C of Witten and Bell: 9 labels of four kinds; of the three after 1, two kinds.
    single = (torch.tensor([3.0, 3.0, 2.0, 1.0]) + 4 / 4) / (9 + 4)
    after_1 = (torch.tensor([0.0, 0.0, 2.0, 1.0]) + 2 * single) / (3 + 2)
    assert torch.allclose(table[0, 1], (torch.tensor([0.0, 0.0, 2.0, 1.0]) + 2 * after_1) / 5)
    assert torch.allclose(table[2, 1], after_1)  # never seen: as after 1 alone
    assert torch.allclose(table[1, 2, 0], (2 + (2 + single[0]) / 3) / 3)


def test_trigrams_of_no_text_are_all_alike():
    assert torch.allclose(label_trigrams([], LABELS), torch.full([LABELS] * 3, 1 / LABELS))


def test_autocast_does_not_reach_it():
    log_probs = scores()
    plain = log_of_all(log_probs, FRAMES, trigrams())
    (gradient,) = torch.autograd.grad(plain.sum(), log_probs)
    with torch.autocast("cpu", torch.bfloat16):
        found = log_of_all(log_probs, FRAMES, trigrams())
        (again,) = torch.autograd.grad(found.sum(), log_probs)
        rounded = log_of_all(log_probs.bfloat16(), FRAMES, trigrams())
    assert torch.equal(found, plain)
    assert torch.equal(again, gradient)
    assert torch.allclose(rounded, plain, atol=0.05)


def test_it_needs_texts_and_few_labels_and_is_in_no_file():
    labels, counts = torch.tensor([[1, 1, 2], [3, 2, 0], [2, 0, 0]]), torch.tensor([3, 2, 1])
    loss = MMILoss(LABELS)
    with pytest.raises(RunError, match="has to know all transcripts") as raised:
        loss(scores(), FRAMES, labels, counts)
    assert "train.streaming" in raised.value.hint
    texts = [[1, 1, 2], [3, 2], [2]]
    loss.expect(iter(texts))
    expected = mmi_loss(scores(), FRAMES, labels, counts, label_trigrams(texts, LABELS))
    assert torch.equal(loss(scores(), FRAMES, labels, counts), expected)
    assert not loss.state_dict()
    with pytest.raises(RecipeError, match=r"for 64 labels at most, the blank .* there are 65"):
        MMILoss(65).expect([[1, 64]])
