"""Which device computes, in which precision, on how many threads."""

import ctypes
import os

import numpy as np
import torch

from speechkit.cores import usable_cores
from speechkit.errors import DeviceError

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # glibc's malloc.h
_KEPT_BYTES = 2**30


def prepare_process(threads: int) -> None:
    """Set up the process' arithmetic; before any tensor is computed.

    Numbers too small for float32's normal form are taken for 0: AdamW's averages are full of them,
    and computing with them is slow. A thread takes the flag over from the one that starts it, so
    this must come before PyTorch's pool.

    Args:
        threads: CPU threads; 0: what `default_threads` says.
    """
    for kind in (np.float32, np.float64):
        np.finfo(kind)  # looked up now, since numpy warns when it first meets the flag
    torch.set_flush_denormal(True)
    torch.set_num_threads(threads or default_threads())
    _keep_freed_memory()


def default_threads() -> int:
    """What OMP_NUM_THREADS says, else as many as the cores this process may run on.

    Beside others that a launcher started on this machine the cores are shared, and the variable
    is not looked at: `torchrun` sets it to 1 by itself, however many cores there are.
    """
    together = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    asked = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    if together == 1 and asked.isdecimal() and int(asked):
        return int(asked)
    return max(1, usable_cores() // together)


def _keep_freed_memory() -> None:
    """Let glibc's malloc keep what is freed, for the next tensor, instead of giving it back.

    Each step of a training allocates the same hundreds of megabytes again. Given back and mapped
    anew, every page costs a fault: a fifth of the time of an LSTM's step.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # another C library may have none
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _KEPT_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)


def choose_device(asked: str) -> torch.device:
    """The device `auto`, `cpu` or `cuda` stands for here.

    Raises:
        DeviceError: a GPU is asked for and there is none.
    """
    if asked == "auto":
        asked = "cuda" if torch.cuda.is_available() else "cpu"
    if asked == "cuda" and not torch.cuda.is_available():
        built = torch.version.cuda
        why = (
            f"PyTorch is built for CUDA {built} and sees no GPU"
            if built
            else ("this PyTorch is built without CUDA")
        )
        raise DeviceError(
            f'a GPU is asked for (device = "cuda"), and there is none: {why}',
            hint='ask for the device "auto" or "cpu", or look what `nvidia-smi` says',
        )
    return torch.device(asked)


def use_bf16(precision: str, device: torch.device) -> bool:
    """Whether `auto`, `fp32` or `bf16` means bf16 on this device: auto where hardware has it."""
    if precision != "auto":
        return precision == "bf16"
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_avx512_bf16_supported())
