"""Units of text that a model scores: characters."""

from collections.abc import Iterable

from speechkit import Component, Units, hookimpl
from speechkit_units.characters import Characters, CharactersConfig


@hookimpl
def speechkit_units() -> Iterable[Component[Units]]:
    """Offer `characters`."""
    return [Component("characters", CharactersConfig, Characters)]
