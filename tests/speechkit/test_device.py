"""How a process is set up."""

import os
import subprocess
import sys

import pytest

from speechkit.device import default_threads

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


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, 4),
        ({"OMP_NUM_THREADS": "3"}, 3),
        ({"OMP_NUM_THREADS": "2,1"}, 2),
        ({"OMP_NUM_THREADS": "many"}, 4),
        ({"OMP_NUM_THREADS": "0"}, 4),
        ({"LOCAL_WORLD_SIZE": "2"}, 2),
        ({"LOCAL_WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"}, 2),  # as torchrun sets it
        ({"LOCAL_WORLD_SIZE": "8"}, 1),
    ],
)
def test_threads_are_the_cores_unless_the_environment_says_otherwise(
    monkeypatch, environment, expected
):
    for name in ("OMP_NUM_THREADS", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3})
    assert default_threads() == expected
