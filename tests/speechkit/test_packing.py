"""Weights in fewer bits: how far they move, and what must not."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from speechkit.errors import RunError
from speechkit.packing import packed, unpacked


def weights(shape, seed):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * 0.1


shapes = st.lists(st.integers(1, 7), min_size=1, max_size=4).map(tuple)


@given(shapes, st.integers(0, 99))
def test_int8_moves_a_weight_by_half_a_step_of_its_output_at_most(shape, seed):
    tensor = weights(shape, seed)
    kept = packed({"w": tensor}, {"w"}, "int8")
    again = unpacked(kept)["w"]
    assert again.dtype == torch.float32
    assert again.shape == tensor.shape
    if len(shape) == 1:
        assert kept.keys() == {"w"}
        assert_close(again, tensor, rtol=1e-3, atol=1e-6)
    else:
        step = tensor.flatten(1).abs().amax(1) / 127
        moved = (again - tensor).flatten(1).abs().amax(1)
        assert (moved <= step * 0.501).all()
        assert kept["w"].dtype == torch.int8


@given(shapes, st.integers(0, 99))
def test_float16_and_float32(shape, seed):
    tensor = weights(shape, seed)
    assert_close(unpacked(packed({"w": tensor}, {"w"}, "float16"))["w"], tensor.half().float())
    assert packed({"w": tensor}, {"w"}, "float32")["w"] is tensor


@pytest.mark.parametrize("precision", ["float16", "int8"])
def test_buffers_and_whole_numbers_stay(precision):
    tensors = {"mean": torch.full((3, 2), 1e9), "steps": torch.tensor([70_000])}
    kept = packed(tensors, {"steps"}, precision)
    assert kept["mean"] is tensors["mean"]
    assert kept["steps"] is tensors["steps"]


def test_outputs_that_are_all_zero_stay_zero():
    tensor = torch.tensor([[0.0, 0.0], [0.5, -0.25]])
    again = unpacked(packed({"w": tensor}, {"w"}, "int8"))["w"]
    assert again[0].tolist() == [0.0, 0.0]
    assert_close(again[1], tensor[1], atol=0.5 / 127, rtol=0)


@pytest.mark.parametrize("bad", [1e6, float("nan"), float("inf")])
def test_weights_that_do_not_fit_are_told(bad):
    with pytest.raises(RunError, match="the weights w are not finite in float16"):
        packed({"w": torch.tensor([1.0, bad])}, {"w"}, "float16")
    if bad != 1e6:
        with pytest.raises(RunError, match="the weights w:scale are not finite in int8"):
            packed({"w": torch.tensor([[1.0, bad]])}, {"w"}, "int8")
