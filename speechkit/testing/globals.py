"""What all of a process shares, such as random generators: a part leaves it alone."""

import random
from collections.abc import Callable

import numpy as np
import torch

from speechkit.processwide import COMPUTING, generators, kept
from speechkit.testing.checks import Unmet


def _seeded(seed: int) -> None:
    torch.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)


def leaves_generators(run: Callable[[], object]) -> None:
    """Run it and see that it neither draws from a global generator nor seeds one, nor sets a flag.

    Raises:
        Unmet: it does.
    """
    with kept(COMPUTING) as changes:
        run()
    if changes:
        raise Unmet(f"it changes what all code shares: {', '.join(changes)}")


def seeds_nothing(run: Callable[[], object]) -> None:
    """Run it after two seeds: generators that end in the same state were seeded by it.

    Raises:
        Unmet: they were.
    """
    ends = []
    for seed in (1, 2):
        _seeded(seed)
        run()
        ends.append({state.name: state.value() for state in generators()})
    if same := [name for name in ends[0] if ends[0][name] == ends[1][name]]:
        raise Unmet(f"it seeds {' and '.join(same)}")
