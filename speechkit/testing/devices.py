"""Whether a part runs where its input is: on a GPU, or on one that is pretended."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from speechkit.testing.checks import NotApplicable, Unmet

_MIXED = ("two different devices", "same device", "expected device")


def stays_on_device(part: Callable[..., Sequence[Tensor]], *given: Tensor) -> str:
    """Call a part with what is given, moved to a GPU; without one, with tensors that have no data.

    Args:
        part: a module, which is moved, or any other callable.
        given: tensors in main memory.

    Raises:
        Unmet: tensors of two devices meet, or a result lies elsewhere.
        NotApplicable: without a GPU it cannot be told, since the part looks at values.
    """
    if torch.cuda.is_available():
        results = _called(part.cuda() if isinstance(part, nn.Module) else part, given)
        _elsewhere(results)
        return "all on the GPU"
    try:
        with FakeTensorMode(allow_non_fake_inputs=True), torch.no_grad():
            if isinstance(part, nn.Module):
                _pretend(part)
            _elsewhere(_called(part, given))
    except Unmet:
        raise
    except Exception as error:
        raise NotApplicable(f"it cannot be told without a GPU ({type(error).__name__})") from error
    return "all on a GPU that was pretended"


def _called(part: Callable[..., Any], given: Sequence[Tensor]) -> Sequence[Any]:
    real = torch.cuda.is_available()
    moved = [each.cuda() if real else torch.empty_like(each, device="cuda") for each in given]
    try:
        results: Sequence[Any] = part(*moved)
    except RuntimeError as error:
        if any(mark in str(error) for mark in _MIXED):
            raise Unmet(f"its input is on cuda: {str(error).splitlines()[0]}") from error
        raise
    return results


def _elsewhere(results: Sequence[Any]) -> None:
    for number, each in enumerate(results):
        if isinstance(each, Tensor) and each.device.type != "cuda":
            raise Unmet(f"its input is on cuda, its result {number} on {each.device}")


def _pretend(module: nn.Module) -> None:
    """Put its parameters and buffers on a GPU that has no data."""
    for each in module.modules():
        for name, parameter in each._parameters.items():
            if parameter is not None:
                empty = torch.empty_like(parameter, device="cuda")
                each._parameters[name] = nn.Parameter(empty, requires_grad=False)
        for name, buffer in each._buffers.items():
            if buffer is not None:
                each._buffers[name] = torch.empty_like(buffer, device="cuda")
