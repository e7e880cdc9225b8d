"""Beam search with a word n-gram language model: `kenlm` (pyctcdecode) and `flashlight`."""

from collections.abc import Iterable
from typing import Any

from speechkit import Component, Decoder, hookimpl
from speechkit_ngram.settings import FlashlightConfig, KenlmConfig


def _kenlm(config: KenlmConfig, **given: Any) -> Decoder:  # noqa: ANN401 - the decoder's to check
    from speechkit_ngram.kenlm_decoder import KenlmDecoder  # noqa: PLC0415 - listing needs no search

    return KenlmDecoder(config, **given)


def _flashlight(config: FlashlightConfig, **given: Any) -> Decoder:  # noqa: ANN401 - as above
    from speechkit_ngram.flashlight_decoder import FlashlightDecoder  # noqa: PLC0415 - as above

    return FlashlightDecoder(config, **given)


@hookimpl
def speechkit_decoders() -> Iterable[Component[Decoder]]:
    """Offer `kenlm` and `flashlight`."""
    return [
        Component("kenlm", KenlmConfig, _kenlm, uses=frozenset({"language_model"})),
        Component("flashlight", FlashlightConfig, _flashlight, uses=frozenset({"language_model"})),
    ]
