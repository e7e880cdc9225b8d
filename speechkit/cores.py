"""How many cores there are."""

import os


def usable_cores() -> int:
    """Those this process may run on: fewer than the machine has where it was given some of them."""
    if hasattr(os, "sched_getaffinity"):  # not everywhere: macOS has no such thing
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
