"""Greedy CTC decoding: the best label of every frame."""

from collections.abc import Iterable

from speechkit import Component, Decoder, hookimpl
from speechkit_greedy.greedy import Greedy, GreedyConfig


@hookimpl
def speechkit_decoders() -> Iterable[Component[Decoder]]:
    """Offer `greedy`."""
    return [Component("greedy", GreedyConfig, Greedy)]
