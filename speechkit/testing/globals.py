"""The random generators that all of a process shares: a part leaves them alone."""

import random
from collections.abc import Callable

import numpy as np
import torch

from speechkit.processwide import generators
from speechkit.testing.checks import Unmet


def _states() -> dict[str, object]:
    return {each.name: each.value() for each in generators()}


def _seeded(seed: int) -> None:
    torch.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)


def leaves_generators(run: Callable[[], object]) -> None:
    """Run it and see that it neither draws from a global generator nor seeds one.

    Raises:
        Unmet: it does.
    """
    before = _states()
    run()
    after = _states()
    if used := [name for name in before if before[name] != after[name]]:
        raise Unmet(f"{' and '.join(used)} is another than before")


def seeds_nothing(run: Callable[[], object]) -> None:
    """Run it after two seeds: generators that end in the same state were seeded by it.

    Raises:
        Unmet: they were.
    """
    ends = []
    for seed in (1, 2):
        _seeded(seed)
        run()
        ends.append(_states())
    if same := [name for name in ends[0] if ends[0][name] == ends[1][name]]:
        raise Unmet(f"it seeds {' and '.join(same)}")
