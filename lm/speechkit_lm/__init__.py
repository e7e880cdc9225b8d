"""N-gram language models: built from text, stored, queried; and the part `ngram` of recipes.

>>> from speechkit_lm import build
>>> model = build(["the cat sat", "the dog sat"], order=3)
>>> model.score("the cat sat") > model.score("sat cat the")
True
"""

from collections.abc import Iterable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from speechkit import Component, LanguageModelTrainer, hookimpl

if TYPE_CHECKING:
    from speechkit_lm.arpa_reading import read_arpa
    from speechkit_lm.arpa_writing import write_arpa
    from speechkit_lm.arrays import NgramArrays
    from speechkit_lm.building import build
    from speechkit_lm.kenlm_binary import KenlmBinary
    from speechkit_lm.lmplz import build_with_lmplz
    from speechkit_lm.measuring import perplexity
    from speechkit_lm.mixing import build_mixed, mix, tune_weights
    from speechkit_lm.model import NgramModel, Perplexity
    from speechkit_lm.pruning import prune
    from speechkit_lm.text import blocks_of_file, blocks_of_lines

_HOMES = {
    "KenlmBinary": "kenlm_binary",
    "NgramArrays": "arrays",
    "NgramModel": "model",
    "Perplexity": "model",
    "blocks_of_file": "text",
    "blocks_of_lines": "text",
    "build": "building",
    "build_mixed": "mixing",
    "build_with_lmplz": "lmplz",
    "mix": "mixing",
    "perplexity": "measuring",
    "prune": "pruning",
    "read_arpa": "arpa_reading",
    "tune_weights": "mixing",
    "write_arpa": "arpa_writing",
}

__all__ = [
    "KenlmBinary",
    "NgramArrays",
    "NgramModel",
    "Perplexity",
    "blocks_of_file",
    "blocks_of_lines",
    "build",
    "build_mixed",
    "build_with_lmplz",
    "mix",
    "perplexity",
    "prune",
    "read_arpa",
    "tune_weights",
    "write_arpa",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - a module's attribute is anything
    """What needs Arrow is imported on first use: listing plugins must not wait for it."""
    if name in _HOMES:
        return getattr(import_module(f"speechkit_lm.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@hookimpl
def speechkit_language_models() -> Iterable[Component[LanguageModelTrainer]]:
    """Offer `ngram`."""
    from speechkit_lm.trainer import NgramConfig, NgramTrainer  # noqa: PLC0415 - needs Arrow

    return [Component("ngram", NgramConfig, NgramTrainer)]
