"""Weights made smaller for keeping, and made float32 again for computing.

Parameters alone are rounded: buffers (means, filters) are few, and may lie outside of what float16
holds. In "int8", matrices and kernels are whole numbers from -127 to 127 times a scale for each
output, which is kept beside them as `NAME:scale`; what has one dimension is float16.
"""

from collections.abc import Collection, Mapping
from typing import Literal, TypeAlias, get_args

import torch
from torch import Tensor

from speechkit.errors import RunError

Precision: TypeAlias = Literal["float32", "float16", "int8"]
PRECISIONS: tuple[str, ...] = get_args(Precision)

_SCALE = ":scale"  # after a tensor's name
_LARGEST = 127


def packed(
    tensors: Mapping[str, Tensor], parameters: Collection[str], precision: Precision
) -> dict[str, Tensor]:
    """The same tensors, with `parameters` in fewer bits.

    Raises:
        RunError: a weight is too large for it, or no number.
    """
    kept: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if name not in parameters or precision == "float32" or not tensor.is_floating_point():
            kept[name] = tensor
        elif precision == "int8" and tensor.dim() > 1:
            rows = tensor.float().flatten(1)
            scale = rows.abs().amax(1, keepdim=True) / _LARGEST
            scale = scale.clamp(min=torch.finfo(torch.float32).tiny)  # where all are 0
            kept[name] = (rows / scale).round().to(torch.int8).view_as(tensor)
            kept[name + _SCALE] = scale[:, 0]
        else:
            kept[name] = tensor.half()
    for name, tensor in kept.items():
        if name.removesuffix(_SCALE) in parameters and not bool(tensor.isfinite().all()):
            raise RunError(
                f"the weights {name} are not finite in {precision}",
                hint="keep them in float32, if they are numbers at all",
            )
    return kept


def unpacked(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What `packed` gave, with all floating point in float32.

    Raises:
        KeyError: whole numbers without their scale.
    """
    whole: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if name.endswith(_SCALE):
            continue
        if tensor.dtype == torch.int8:
            scale = tensors[name + _SCALE]
            whole[name] = tensor.float() * scale.view(-1, *[1] * (tensor.dim() - 1))
        else:
            whole[name] = tensor.float() if tensor.dtype == torch.float16 else tensor
    return whole
