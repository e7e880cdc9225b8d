"""Filters as the ear has them, had their module been put into the package."""

from collections.abc import Iterable

from speechkit import Component, FeatureExtractor, hookimpl
from speechkit_broken.filters import Gammatone, GammatoneConfig  # the mistake: no such file


@hookimpl
def speechkit_features() -> Iterable[Component[FeatureExtractor]]:
    """`[features] use = "gammatone"`."""
    return [Component("gammatone", GammatoneConfig, Gammatone)]
