"""The learning rate as a function of how much of the training is done."""

import math

_ONE_CYCLE_END = 1e-4  # of the highest rate, as in Smith and Topin, "Super-convergence", 2018


def learning_rate_factor(schedule: str, done: float, warmup: float) -> float:
    """Factor of the highest rate when the share `done` (0 to 1) of all batches is done.

    cosine     linear warm-up, then half a cosine to 0
    one_cycle  cosine up and cosine down to nearly 0
    constant   linear warm-up, then 1

    >>> [round(learning_rate_factor("cosine", each, 0.1), 3) for each in (0.05, 0.1, 0.55, 1)]
    [0.5, 1.0, 0.5, 0.0]
    """
    if done < warmup:
        rising = done / warmup
        return (1 - math.cos(math.pi * rising)) / 2 if schedule == "one_cycle" else rising
    if schedule == "constant":
        return 1.0
    falling = (1 + math.cos(math.pi * (done - warmup) / (1 - warmup))) / 2
    return max(falling, _ONE_CYCLE_END) if schedule == "one_cycle" else falling
