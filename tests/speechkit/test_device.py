"""How a process is set up."""

import os
import subprocess
import sys

import pytest

STEPS = """
import resource, sys, torch
from speechkit.device import prepare_process
if sys.argv[1] == "prepared":
    prepare_process(1)
for step in range(40):
    if step == 10:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(40, 2**18)  # 40 MB
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(
    not hasattr(os, "confstr") or "glibc" not in os.confstr("CS_GNU_LIBC_VERSION"),
    reason="another C library than glibc decides for itself what it keeps",
)
def test_freed_memory_is_used_again():
    plain, prepared = faults("plain"), faults("prepared")
    assert prepared < plain / 10, (plain, prepared)


def faults(how):
    """Page faults of the last thirty steps."""
    command = [sys.executable, "-c", STEPS, how]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
