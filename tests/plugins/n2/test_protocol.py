"""Error rates as N2's notebook counts them."""

import jiwer
import pytest

from speechkit_n2.protocol import N2Protocol, N2ProtocolConfig

count = N2Protocol(N2ProtocolConfig())


def test_n2_counts_as_its_notebook_did():
    pairs = [("the cat sat", "the cat sat down"), ("a", "a b"), ("да нет", "да")]
    each = [(jiwer.wer(hyp, ref), jiwer.cer(hyp, ref)) for ref, hyp in pairs]
    word_rates, character_rates = zip(*each, strict=True)
    found = count(pairs)
    assert found["wer"] == pytest.approx(sum(word_rates) / 3)
    assert found["cer"] == pytest.approx(sum(character_rates) / 3)
    assert found["wer"] == pytest.approx((1 / 4 + 1 / 2 + 1) / 3)


def test_n2_counts_an_empty_hypothesis_as_wholly_wrong():
    assert count([("a b c", ""), ("a", "a")]) == {"wer": 0.5, "cer": 0.5}
    assert count([("", "")]) == {"wer": 0.0, "cer": 0.0}
    assert count([]) == {"wer": 0.0, "cer": 0.0}
