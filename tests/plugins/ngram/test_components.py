"""The parts as recipes ask for them."""

import subprocess
import sys

import pytest

import speechkit_ngram
from speechkit_lm import NgramModel

from .conftest import LETTERS, batch, path


def test_kenlm_and_flashlight_are_offered() -> None:
    offered = {each.name: each for each in speechkit_ngram.speechkit_decoders()}
    assert sorted(offered) == ["flashlight", "kenlm"]
    for component in offered.values():
        assert component.config().beam == 100
        for field in component.config.model_fields.values():
            assert field.description


@pytest.mark.parametrize("name", ["kenlm", "flashlight"])
def test_they_are_built_from_their_settings(name: str, lm: NgramModel) -> None:
    if name == "flashlight":
        pytest.importorskip("flashlight.lib.text", reason="flashlight-text is not installed")
    [component] = [each for each in speechkit_ngram.speechkit_decoders() if each.name == name]
    decoder = component.build(component.config(), vocabulary=LETTERS, language_model=lm)
    assert decoder.device == "cpu"
    assert decoder(batch(path("ab_ _ba")))[0][0].text == "ab ba"


def test_listing_them_loads_neither_torch_nor_a_search() -> None:
    code = (
        "import sys, speechkit_ngram; speechkit_ngram.speechkit_decoders();"
        "print([name for name in ('torch', 'kenlm', 'pyctcdecode') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
