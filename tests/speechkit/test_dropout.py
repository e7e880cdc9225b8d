"""Dropout drops as much as it says, and what it drops does not depend on the process."""

import pytest
import torch

from speechkit import Dropout


@pytest.mark.parametrize("rate", [0.1, 0.5])
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_so_many_are_zero_and_the_mean_stays(rate, kind):
    torch.manual_seed(0)
    dropped = Dropout(rate)(torch.ones(999, 1001, dtype=kind)).float()
    assert float((dropped == 0).float().mean()) == pytest.approx(rate, abs=0.004)
    assert float(dropped.mean()) == pytest.approx(1, abs=0.005)
    assert len(dropped.unique()) == 2


def test_neighbours_are_dropped_independently():
    torch.manual_seed(0)
    zero = (Dropout(0.5)(torch.ones(1_000_000)) == 0).float() - 0.5
    for distance in range(1, 17):
        assert abs(float((zero[distance:] * zero[:-distance]).mean())) < 0.0015


def test_the_gradient_is_dropped_where_the_values_are():
    values = torch.ones(5, 3, requires_grad=True)
    found = Dropout(0.5)(values)
    found.sum().backward()
    assert torch.equal(values.grad, found.detach())


def test_same_seed_same_zeros():
    torch.manual_seed(3)
    first = Dropout(0.3)(torch.ones(7, 5))
    torch.manual_seed(3)
    assert torch.equal(first, Dropout(0.3)(torch.ones(7, 5)))
    assert not torch.equal(first, Dropout(0.3)(torch.ones(7, 5)))


@pytest.mark.parametrize("dropout", [Dropout(0.0), Dropout(0.9).eval()])
def test_nothing_is_dropped_at_rate_0_or_in_evaluation(dropout):
    values = torch.randn(4, 4)
    assert torch.equal(dropout(values), values)


def test_no_element_at_all():
    assert Dropout(0.5)(torch.ones(2, 0, 3)).shape == (2, 0, 3)
