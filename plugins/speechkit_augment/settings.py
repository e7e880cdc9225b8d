"""Kinds of settings that several augmentations have."""

from typing import Annotated

from pydantic import AfterValidator


def _ordered(limits: tuple[float, float]) -> tuple[float, float]:
    low, high = limits
    if low > high:
        raise ValueError(f"reaches from {low:g} to {high:g}; give the lower limit first")
    return limits


Range = Annotated[tuple[float, float], AfterValidator(_ordered)]
"""Lowest and highest value; what is used is drawn evenly between them."""


def between(limits: tuple[float, float], share: float) -> float:
    """The value so far (0 to 1) along a range.

    >>> between((10.0, 20.0), 0.25)
    12.5
    """
    low, high = limits
    return low + share * (high - low)
