import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from speechkit import DataError, Hypothesis, PluginError, SpeechkitError, Vocabulary
from speechkit_lm import NgramModel, build
from speechkit_ngram.flashlight_decoder import FlashlightDecoder
from speechkit_ngram.settings import FlashlightConfig

from .conftest import LETTERS, batch, every_path, noise, path
from .test_source import BINARY

UNPRUNED = {"beam": 100_000, "beam_threshold": 1e6}


@pytest.fixture
def flashlight_text() -> None:
    pytest.importorskip("flashlight.lib.text", reason="flashlight-text is not installed")


def flashlight(vocabulary: Vocabulary = LETTERS, language_model=None, **given) -> FlashlightDecoder:
    config = FlashlightConfig(**given)
    return FlashlightDecoder(config, vocabulary=vocabulary, language_model=language_model)


def best(decoder: FlashlightDecoder, log_probs: torch.Tensor) -> Hypothesis:
    return decoder(batch(log_probs))[0][0]


@pytest.mark.usefixtures("flashlight_text")
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("weight", [0.0, 0.7])
def test_the_best_is_that_of_all_texts_in_known_words(
    lm: NgramModel, seed: int, weight: float
) -> None:
    log_probs = noise(6, seed)
    expected = {}
    for text, paths in every_path(log_probs, LETTERS).items():
        words = text.split()
        if all(word in lm.word_ids for word in words):
            expected[text] = max(paths) + weight * lm.score(text) + 0.6 * len(words)
    decoder = flashlight(language_model=lm, lm_weight=weight, word_bonus=0.6, **UNPRUNED)
    found = best(decoder, log_probs)
    assert found.text == max(expected, key=lambda text: expected[text])
    assert found.score == pytest.approx(max(expected.values()), abs=1e-3)


@pytest.mark.usefixtures("flashlight_text")
def test_batched_is_one_by_one_and_hypotheses_are_whole(lm: NgramModel) -> None:
    decoder = flashlight(language_model=lm, nbest=3)
    rows = [noise(length, length) for length in (9, 0, 25, 1)]
    together = decoder(batch(*rows))
    assert together == [decoder(batch(row))[0] for row in rows]
    for length, found in zip((9, 0, 25, 1), together, strict=True):
        scores, texts = [each.score for each in found], [each.text for each in found]
        assert scores == sorted(scores, reverse=True)
        assert len(set(texts)) == len(texts) >= 1
        for each in found:
            assert each.text == " ".join(word.text for word in each.words)
            times = [0.0]
            for word in each.words:
                times += [word.start_seconds, word.end_seconds]
            assert [*times, 0.25 * length] == sorted([*times, 0.25 * length])
    assert together[1][0].text == ""


@pytest.mark.usefixtures("flashlight_text")
def test_words_have_the_times_and_confidence_of_the_path(lm: NgramModel) -> None:
    words = best(flashlight(language_model=lm), path("__aab_  _c_ab")).words
    assert [(word.text, word.start_seconds, word.end_seconds) for word in words] == [
        ("ab", 0.5, 1.25),
        ("cab", 2.25, 3.25),
    ]
    assert [word.confidence for word in words] == pytest.approx([0.9, 0.9], abs=1e-6)
    times = torch.tensor([[0.0, 0.25, 0.5, 7.0, 7.2, 7.45]])
    emissions = dataclasses.replace(batch(path("_ab ba")), frame_times=times)
    first, second = flashlight(language_model=lm)(emissions)[0][0].words
    assert (first.end_seconds, second.start_seconds) == (0.75, pytest.approx(7.2))


@pytest.mark.usefixtures("flashlight_text")
def test_impossible_labels_do_not_disturb(lm: NgramModel) -> None:
    log_probs = path("ab_ba", certainty=1.0)
    assert torch.isinf(log_probs).any()
    found = best(flashlight(language_model=lm), path(" ab_ _ba", certainty=1.0))
    assert (found.text, np.isfinite(found.score)) == ("ab ba", True)


@pytest.mark.usefixtures("flashlight_text")
def test_words_can_be_listed(lm: NgramModel, tmp_path: Path) -> None:
    (tmp_path / "words").write_text("cab acb")
    words = tmp_path / "words"
    log_probs = path("acb_ _ab_", certainty=0.6)
    for given in ({"lm_weight": 0.0}, {"language_model": lm}):
        found = best(flashlight(words_file=words, beam_threshold=100.0, **given), log_probs)
        assert set(found.text.split()) <= {"cab", "acb"}


@pytest.mark.usefixtures("flashlight_text")
def test_emissions_that_are_none_are_told(lm: NgramModel) -> None:
    with pytest.raises(DataError, match="highest is nan"):
        flashlight(language_model=lm)(batch(torch.full((5, 5), torch.nan)))


@pytest.mark.usefixtures("flashlight_text")
def test_without_words_it_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(SpeechkitError, match="there is none") as caught:
        flashlight()
    assert "[lm]" in caught.value.hint
    without = bytearray(BINARY[: BINARY.rindex(b"<unk>")])
    without[100] = False  # of the head: whether it has its words
    (tmp_path / "tiny.bin").write_bytes(without)
    with pytest.raises(SpeechkitError, match=r"tiny\.bin") as caught:
        flashlight(lm_file=tmp_path / "tiny.bin")
    assert "words_file" in caught.value.hint


@pytest.mark.usefixtures("flashlight_text")
def test_bad_files_and_labels_are_told(lm: NgramModel, tmp_path: Path) -> None:
    cut_off = tmp_path / "cut.arpa"
    cut_off.write_bytes(lm.arpa_path().read_bytes()[:-90])
    with pytest.raises(DataError, match=r"cut\.arpa"):
        flashlight(lm_file=cut_off)
    empty = tmp_path / "empty.arpa"
    empty.write_bytes(b"")
    with pytest.raises(DataError, match=r"empty\.arpa: .*is empty"):
        flashlight(lm_file=empty)
    twice = tmp_path / "twice.arpa"
    twice.write_text(lm.arpa_path().read_text().replace("\tba\t", "\tab\t", 1))
    with pytest.raises(DataError, match="'ab' is there twice"):
        flashlight(lm_file=twice)
    other_version = tmp_path / "old.bin"
    other_version.write_bytes(BINARY[:52].replace(b"version 5", b"version 4") + bytes(148))
    with pytest.raises(DataError, match="version 4 but"):
        flashlight(lm_file=other_version)
    build(["ab ba"], order=2, cutoffs=[9]).save(tmp_path / "wordless.arpa")
    with pytest.raises(DataError, match=r"wordless\.arpa: the language model has no words"):
        flashlight(lm_file=tmp_path / "wordless.arpa")
    build(["AB CAB", "CAB BA"], order=2).save(tmp_path / "upper.arpa")
    with pytest.raises(DataError, match="not one of"):
        flashlight(lm_file=tmp_path / "upper.arpa")
    with pytest.raises(SpeechkitError, match="'▁a'"):
        flashlight(Vocabulary(("", "▁a", "b", "▁"), word_boundary="▁"), lm)
    with pytest.raises(SpeechkitError, match="no such"):
        flashlight(Vocabulary(("", "a", "b")), lm)


def test_without_the_package_it_says_how_to_get_it(
    lm: NgramModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "flashlight", None)
    monkeypatch.delitem(sys.modules, "flashlight.lib.text", raising=False)
    monkeypatch.setitem(sys.modules, "flashlight.lib.text.decoder", None)
    with pytest.raises(PluginError, match="flashlight-text") as caught:
        flashlight(language_model=lm)
    assert caught.value.hint == "pip install flashlight-text"


@pytest.mark.usefixtures("flashlight_text")
def test_other_weights_are_as_if_built_with_them(lm: NgramModel) -> None:
    decoder = flashlight(language_model=lm, word_bonus=0.6, **UNPRUNED)
    assert set(decoder.tunable) == {"lm_weight", "word_bonus"}
    log_probs = noise(8, 5)
    before = decoder(batch(log_probs))
    for weights in ({"lm_weight": 2.0}, {"lm_weight": 0.3, "word_bonus": -1.0}):
        fresh = flashlight(language_model=lm, **{"word_bonus": 0.6, **UNPRUNED, **weights})
        assert decoder.retuned(**weights)(batch(log_probs)) == fresh(batch(log_probs))
    assert decoder(batch(log_probs)) == before
    with pytest.raises(ValueError, match="lm_weight"):
        decoder.retuned(lm_weight=-0.1)
