"""Beam search with an n-gram language model: compiled, and the fast one."""

from collections.abc import Iterable

from speechkit import Component, Decoder, hookimpl
from speechkit_beam.beam import Beam, BeamConfig


@hookimpl
def speechkit_decoders() -> Iterable[Component[Decoder]]:
    """Offer `beam`."""
    return [Component("beam", BeamConfig, Beam, revision=2, uses=frozenset({"language_model"}))]
