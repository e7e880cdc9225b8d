"""Models in use: states, scores, files."""

import json
import os
from itertools import pairwise

import kenlm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from textbook import backed_off, plain_arpa, whole_history

from speechkit import DataError
from speechkit_lm import NgramModel, build, write_arpa
from speechkit_lm.packed import pack, unpack
from speechkit_lm.storage import FILE_NAME, written_whole
from speechkit_lm.text import blocks_of_lines, number_text


@pytest.fixture(scope="module")
def trigram(tmp_path_factory):
    """A model with n-grams cut off, as a model and as a dictionary."""
    lines = ["а б в г", "а б г", "б в а", "в г", "а а б", "г в б а", "б б", "в а б в"] * 3
    lines += ["г г а", "д а б", "в д"]
    model = build(lines, order=3, cutoffs=[0, 0, 1])
    path = tmp_path_factory.mktemp("trigram") / "model.arpa"
    write_arpa(model, path)
    return model, plain_arpa(path), path


SENTENCES = st.lists(st.sampled_from("абвгдя"), max_size=9).map(" ".join)


@settings(deadline=None, max_examples=200)
@given(SENTENCES)
def test_score_is_that_of_the_whole_history(trigram, sentence):
    model, plain, _ = trigram
    assert model.score(sentence) == pytest.approx(whole_history(plain, sentence, 3), abs=1e-5)


@settings(deadline=None, max_examples=100)
@given(SENTENCES)
def test_kenlm_reads_our_file_and_agrees(trigram, kenlm_model, sentence):
    model, _, _ = trigram
    expected = kenlm_model.score(sentence, bos=True, eos=True) * np.log(10)
    assert model.score(sentence) == pytest.approx(expected, abs=1e-4)
    lengths = [length for _, length, _ in kenlm_model.full_scores(sentence)]
    assert [each.ngram_length for each in model.read(sentence)] == lengths


@pytest.fixture(scope="module")
def kenlm_model(trigram):
    return kenlm.Model(str(trigram[2]))


def test_words_are_parted_as_in_a_text():
    model = build(blocks_of_lines(["no\u00a0break here"], name="a text"), order=1)
    assert set(model.words[3:]) == {"no\u00a0break", "here"}
    assert [each.word for each in model.read("no\u00a0break here")][:-1] == model.words[3:]
    assert model.score("no\u00a0break here") > model.score("no break here")


def test_a_state_forgets_what_no_longer_matters(trigram):
    model, plain, _ = trigram
    arrays = model.arrays
    contexts = {ngram[:-1] for ngram in plain if len(ngram) > 1}
    for words in ["а б", "б в", "в г г", "д д", "я", "а я"]:
        state = model.start()
        for word in words.split():
            _, state = model.step(state, model.word_ids.get(word, 0))
        if state >= 0:
            assert arrays.first_child[state] < arrays.first_child[state + 1]
        history = ("<s>", *(word if word in model.word_ids else "<unk>" for word in words.split()))
        longest = next(
            (history[i:] for i in range(max(0, len(history) - 2), len(history))
             if history[i:] in contexts),
            (),
        )  # fmt: skip
        assert _words_of(model, state) == longest


def _words_of(model, node):
    words = []
    while node >= len(model.words):
        words.append(model.words[model.arrays.word[node]])
        node = int(np.searchsorted(model.arrays.first_child, node, side="right")) - 1
    return tuple(reversed([*words, model.words[node]])) if node >= 0 else ()


def test_the_arrays_are_what_their_description_says(trigram, made_up):
    for model in (trigram[0], build(made_up(300), order=5)):
        arrays, offsets = model.arrays, model.offsets
        assert [len(each) for each in arrays] == [
            offsets[-1], offsets[-1], offsets[-1], offsets[-2], offsets[-2], offsets[-2] + 1,
        ]  # fmt: skip
        assert arrays.word[: offsets[1]].tolist() == list(range(len(model.words)))
        assert (arrays.back[: offsets[1]] == -1).all()
        assert arrays.first_child[0] == offsets[1]
        assert (np.diff(arrays.first_child) >= 0).all()
        for node in range(offsets[-2]):
            low, high = arrays.first_child[node : node + 2]
            assert (np.diff(arrays.word[low:high]) > 0).all()
            assert _words_of(model, int(arrays.back[node])) == _words_of(model, node)[1:]
        assert (arrays.next_state < offsets[-2]).all()


def test_many_words_at_once_are_read_as_one_by_one(made_up):
    lines = [*made_up(150), *made_up(50, words=45)]
    model = build(lines[:150], order=4)
    ids = number_text(blocks_of_lines(lines))
    own = np.array([model.word_ids.get(word, 0) for word in ids.words])[ids.ids]
    log_probs = model.log_probs(own)
    assert log_probs.sum() == pytest.approx(sum(model.score(line) for line in lines), abs=1e-3)
    found = model.perplexity(lines)
    assert (found.sentences, found.words) == (200, ids.tokens)
    assert found.unknown == np.count_nonzero(own == 0) > 0
    assert found.log_prob == pytest.approx(log_probs.sum())
    assert found.log_prob_known == pytest.approx(log_probs[own != 0].sum())
    assert found.perplexity == pytest.approx(np.exp(-found.log_prob / (ids.tokens + 200)))


def test_perplexity_of_parts_of_a_text_is_that_of_the_whole(made_up, monkeypatch):
    model, lines = build(made_up(100), order=3), made_up(50, seed=1)
    whole = model.perplexity(lines)
    monkeypatch.setattr("speechkit_lm.measuring.TOKENS_AT_ONCE", 7)
    parts = model.perplexity(lines)
    assert parts.log_prob == pytest.approx(whole.log_prob)
    assert parts.words == whole.words


def test_a_unigram_model_has_one_state():
    model = build(["a b", "b"], order=1)
    assert model.start() == -1
    assert model.step(-1, 3)[1] == -1
    assert [each.ngram_length for each in model.read("a b")] == [1, 1, 1]


# Files.


def test_a_saved_model_is_the_same_and_read_only(tmp_path, trigram):
    model = trigram[0]
    for place in (tmp_path / "folder", tmp_path / "file.safetensors"):
        path = model.save(place)
        loaded = NgramModel.load(place, verify=True)
        assert loaded.path == path
        assert loaded.words == model.words
        assert loaded.counts == model.counts
        assert loaded.facts == model.facts
        for one, other in zip(model.arrays, loaded.arrays, strict=True):
            assert one.dtype == other.dtype
            assert np.array_equal(one, other)
        assert type(loaded.arrays.word) is np.ndarray
        assert not loaded.arrays.word.flags.writeable


def test_any_reader_of_safetensors_opens_it(tmp_path, trigram):
    from safetensors.numpy import load_file

    path = trigram[0].save(tmp_path)
    tensors = load_file(path)
    assert np.array_equal(tensors["log_prob"], trigram[0].arrays.log_prob)
    words = tensors["words"].tobytes()
    bounds = tensors["word_bounds"]
    read = [words[a:b].decode().rstrip("\n") for a, b in pairwise(bounds)]
    assert read == trigram[0].words


def _header_changed(path, old, new):
    path.write_bytes(path.read_bytes().replace(old, new, 1))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda p: p.write_bytes(p.read_bytes()[:-5]), "cut off"),
        (lambda p: p.write_bytes(p.read_bytes()[:20]), "not a speechkit n-gram model"),
        (lambda p: p.write_bytes(b""), "empty"),
        (lambda p: p.write_bytes(p.read_bytes()[:-9] + bytes(9)), "changed since"),
        (lambda p: _header_changed(p, b'"version": "1"', b'"version": "9"'), "version 9"),
        (lambda p: _header_changed(p, b'"version"', b'"Version"'), "version None"),
        (lambda p: _header_changed(p, b'"crc32"', b'"crc64"'), "header is damaged"),
        (lambda p: _header_changed(p, b'"F32"', b'"F23"'), "header is damaged"),
        (lambda p: _header_changed(p, b'"shape": [', b'"shape": [1'), "header is damaged"),
        (lambda p: _header_changed(p, b'"data_offsets": [', b'"data_0ffsets": ['), "is damaged"),
        (lambda p: _header_changed(p, b'"next_state"', b'"next-state"'), "does not hold"),
        (lambda p: _header_changed(p, b'"counts": "8', b'"counts": "7'), "does not hold"),
        (lambda p: _header_changed(p, b'"counts": "8', b'"counts": "x'), "does not hold"),
        (lambda p: p.write_bytes(b"hello" * 100), "not a speechkit n-gram model"),
        (lambda p: p.unlink(), "no such file"),
    ],
)
def test_a_spoilt_file_is_an_error_that_names_it(tmp_path, trigram, spoil, message):
    path = trigram[0].save(tmp_path)
    spoil(path)
    with pytest.raises(DataError, match=message) as caught:
        NgramModel.load(tmp_path)
    assert FILE_NAME in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize("order", [1, 2, 4])
def test_a_packed_model_is_the_same_to_rounding_in_a_third_of_the_room(tmp_path, made_up, order):
    model = build(made_up(4000, words=300), order=order)
    path, whole = model.save(tmp_path / "packed", packed=True), model.save(tmp_path / "whole")
    assert path.stat().st_size < 0.45 * whole.stat().st_size
    loaded = NgramModel.load(path, verify=True)
    assert (loaded.words, loaded.counts, loaded.facts) == (model.words, model.counts, model.facts)
    for name, one, other in zip(model.arrays._fields, model.arrays, loaded.arrays, strict=True):
        assert one.dtype == other.dtype
        if name in {"log_prob", "backoff"}:
            assert np.allclose(one, other, rtol=2**-11, atol=1e-7)
        else:
            assert np.array_equal(one, other), name
    sentence = made_up(1, words=300, seed=9)[0]
    assert loaded.score(sentence) == pytest.approx(model.score(sentence), rel=2**-10)


@pytest.mark.parametrize("words", [5, 300, 70_000])
def test_a_packed_models_words_fit_their_integers(tmp_path, words):
    model = build([" ".join(f"w{i}" for i in range(words))], order=2)
    loaded = NgramModel.load(model.save(tmp_path, packed=True))
    assert np.array_equal(loaded.arrays.word, model.arrays.word)
    assert np.array_equal(loaded.arrays.first_child, model.arrays.first_child)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b'"packed_word"', b'"packed-word"', "does not hold"),
        (b'"counts": "8', b'"counts": "7', "does not hold"),
        (b'"version": "2"', b'"version": "1"', "does not hold"),
        (b'"version": "2"', b'"version": "3"', "version 3 of the format, this speechkit reads 1 "),
    ],
)
def test_a_spoilt_packed_file_is_an_error_too(tmp_path, trigram, old, new, message):
    _header_changed(trigram[0].save(tmp_path, packed=True), old, new)
    with pytest.raises(DataError, match=message):
        NgramModel.load(tmp_path)


def test_packed_ngrams_that_do_not_hang_together_are_refused(trigram):
    kept, counts = pack(trigram[0].arrays), trigram[0].counts
    assert unpack(kept, counts).word.tolist() == trigram[0].arrays.word.tolist()
    beyond = kept["packed_word"].copy()
    beyond[-1] = counts[0]
    more = kept["packed_children"].copy()
    more[0] += 1
    for name, values in (("packed_word", beyond), ("packed_children", more)):
        with pytest.raises(ValueError, match="do not hang together"):
            unpack({**kept, name: values}, counts)


def test_interrupted_writing_leaves_what_was_there(tmp_path, trigram):
    model = trigram[0]
    for name in ("lm.arpa", "lm.arpa.gz", FILE_NAME):
        path = tmp_path / name
        path.write_bytes(b"as it was")

    def interrupt(stage, share):
        raise KeyboardInterrupt

    def half_written(path):
        with written_whole(path) as partial:
            partial.write_bytes(b"half")
            raise KeyboardInterrupt

    for name in ("lm.arpa", "lm.arpa.gz"):
        with pytest.raises(KeyboardInterrupt):
            model.save(tmp_path / name, progress=interrupt)
    with pytest.raises(KeyboardInterrupt):
        half_written(tmp_path / FILE_NAME)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["lm.arpa", "lm.arpa.gz", FILE_NAME]
    assert {each.read_bytes() for each in tmp_path.iterdir()} == {b"as it was"}


def test_interrupted_building_leaves_nothing(tmp_path, made_up):
    def interrupt(stage, share):
        if stage.startswith("estimating"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(made_up(50), order=3, temporary=tmp_path, progress=interrupt)
    assert not list(tmp_path.iterdir())


def test_the_arpa_file_is_written_once_and_anew_for_a_new_model(tmp_path, trigram, made_up):
    with pytest.raises(DataError, match="in memory only"):
        build(["a b"]).arpa_path()
    model = build(["a b", "b a"], order=2)
    model.save(tmp_path)
    arpa = model.arpa_path()
    assert arpa == tmp_path / "lm.arpa"
    assert NgramModel.load(arpa).score("a b") == model.score("a b")
    before = arpa.stat().st_mtime_ns
    assert NgramModel.load(tmp_path).kenlm_path() == arpa
    assert arpa.stat().st_mtime_ns == before
    other = build(["c d"], order=2)
    os.utime(arpa, ns=(before - 10**9, before - 10**9))
    other.save(tmp_path)
    assert NgramModel.load(other.arpa_path()).words[3:] == ["c", "d"]
    packed = tmp_path / "x.3gram.arpa.gz"
    model.save(packed)
    assert NgramModel.load(packed).arpa_path() == tmp_path / "x.3gram.arpa"


def test_backing_off_by_hand_is_what_the_other_tests_compare_with(trigram):
    plain = {("a",): (-1.0, -0.5), ("b",): (-2.0, 0.0), ("<unk>",): (-3.0, 0.0)}
    assert backed_off(plain, ("a", "b")) == -2.5
    assert backed_off(plain, ("b", "z")) == -3.0


def test_metadata_says_what_the_numbers_are(tmp_path, trigram):
    raw = trigram[0].save(tmp_path).read_bytes()
    header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    assert header["__metadata__"]["logarithm"] == "natural"
    assert header["__metadata__"]["order"] == "3"
