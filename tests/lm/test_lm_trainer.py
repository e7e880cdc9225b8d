"""The language model of recipes."""

import stat
import subprocess
import sys

import kenlm
import numpy as np
import pytest
from pydantic import ValidationError
from textbook import DATA

import speechkit_lm
from speechkit import DataError
from speechkit_lm import KenlmBinary, NgramModel, build, prune
from speechkit_lm.lmplz import build_with_lmplz
from speechkit_lm.trainer import NgramConfig, NgramTrainer


def test_the_plugin_offers_ngram():
    (component,) = speechkit_lm.speechkit_language_models()
    assert component.name == "ngram"
    trainer = component.build(NgramConfig())
    assert trainer.config.order == 3


def test_training_writes_a_model_that_loads(tmp_path, made_up):
    lines = made_up(200)
    config = NgramConfig(order=4, cutoffs=[0, 0, 1], prune=1e-3, vocabulary_limit=25)
    trainer = NgramTrainer(config)
    trainer.train(iter(lines), tmp_path / "lm")
    assert [each.name for each in (tmp_path / "lm").iterdir()] == ["lm.safetensors"]
    loaded = trainer.load(tmp_path / "lm")
    expected = prune(build(lines, order=4, cutoffs=[0, 0, 1], vocabulary_limit=25), 1e-3)
    assert loaded.order == 4
    assert loaded.folder == tmp_path / "lm"
    assert np.array_equal(loaded.arrays.log_prob, expected.arrays.log_prob)
    assert kenlm.Model(str(loaded.kenlm_path())).order == 4


def test_a_model_to_be_shipped_is_packed(tmp_path, made_up):
    trained = []
    for packed in (False, True):
        trainer = NgramTrainer(NgramConfig(order=2, packed=packed))
        trainer.train(iter(made_up(200)), tmp_path / str(packed))
        trained.append(trainer.load(tmp_path / str(packed)))
    sizes = [each.path.stat().st_size for each in trained]
    assert sizes[1] < 0.5 * sizes[0]
    again = NgramTrainer(NgramConfig(order=2, packed=True, file=trained[0].path))
    again.train(iter(()), tmp_path / "again")
    assert (tmp_path / "again" / "lm.safetensors").stat().st_size == sizes[1]


def test_training_on_nothing_is_an_error_and_leaves_nothing(tmp_path):
    with pytest.raises(DataError, match="not a word"):
        NgramTrainer(NgramConfig()).train(iter(["", " "]), tmp_path / "lm")
    assert not list((tmp_path / "lm").iterdir())


def test_an_arpa_file_made_elsewhere_is_used_instead(tmp_path):
    trainer = NgramTrainer(NgramConfig(file=DATA / "order3.arpa"))
    trainer.train(iter(["not read"]), tmp_path / "lm")
    loaded = trainer.load(tmp_path / "lm")
    assert loaded.score("кот") == NgramModel.load(DATA / "order3.arpa").score("кот")
    with pytest.raises(DataError, match=r"none.arpa: cannot be read"):
        NgramTrainer(NgramConfig(file=tmp_path / "none.arpa")).train(iter([]), tmp_path / "other")


def test_a_file_without_the_order_that_is_asked_for_is_an_error(tmp_path):
    trainer = NgramTrainer(NgramConfig(file=DATA / "order3.arpa", order=4))
    with pytest.raises(DataError, match=r"order3.arpa: its longest .* 3 words, lm.order is 4"):
        trainer.train(iter([]), tmp_path / "lm")
    assert not list((tmp_path / "lm").iterdir())


def test_a_kenlm_binary_that_kenlm_cannot_open_is_an_error(tmp_path):
    binary = tmp_path / "old.binary"
    binary.write_bytes(b"mmap lm http://kheafield.com/code format version 4\n\0" + bytes(100))
    trainer = NgramTrainer(NgramConfig(file=binary))
    with pytest.raises(DataError, match=r"old.binary: KenLM cannot open it") as caught:
        trainer.train(iter([]), tmp_path / "lm")
    assert "ARPA" in caught.value.hint


def test_what_kenlm_opens_is_passed_on_where_it_is(tmp_path):
    # kenlm opens ARPA files like binaries; making a binary takes a program of its own.
    model = KenlmBinary(DATA / "order3.arpa", tmp_path)
    assert (model.order, model.folder) == (3, tmp_path)
    assert model.kenlm_path() == DATA / "order3.arpa"
    expected = NgramModel.load(DATA / "order3.arpa").score("кот дом")
    assert model.score("кот дом") == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    "settings",
    [
        {"order": 7},
        {"order": 2, "cutoffs": [0, 1, 2]},
        {"cutoffs": [1, 0]},
        {"prune": -1.0},
        {"fallback_discounts": (0.5, 1.0, 3.5)},
        {"engine": "lmplz", "vocabulary_limit": 10},
        {"memory_gigabytes": 0.0},
    ],
)
def test_settings_that_make_no_sense_are_refused(settings):
    with pytest.raises(ValidationError):
        NgramConfig(**settings)


FAKE_LMPLZ = """#!{python}
import pathlib, shutil, sys
text = sys.stdin.buffer.read()
arguments = sys.argv[1:]
pathlib.Path(r"{folder}", "asked").write_text("\\n".join(arguments))
pathlib.Path(r"{folder}", "text").write_bytes(text)
if b"fail" in text:
    sys.exit("some trouble\\nBad discount")
shutil.copy(r"{arpa}", arguments[arguments.index("--arpa") + 1])
"""


@pytest.fixture
def fake_lmplz(tmp_path, monkeypatch):
    """A program called lmplz that keeps what it is given, and answers with a file it has."""
    program = tmp_path / "bin" / "lmplz"
    program.parent.mkdir()
    program.write_text(
        FAKE_LMPLZ.format(python=sys.executable, folder=tmp_path, arpa=DATA / "order3.arpa")
    )
    program.chmod(program.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setenv("PATH", str(program.parent))
    return tmp_path


def test_lmplz_is_asked_for_the_same_model(fake_lmplz):
    work = fake_lmplz / "work"
    model = build_with_lmplz(
        ["кот дом", "", "лес", " "], temporary=work, order=3, cutoffs=[0, 0, 2], vocabulary=["кот"]
    )
    assert model.counts == NgramModel.load(DATA / "order3.arpa").counts
    assert (fake_lmplz / "text").read_text(encoding="utf-8") == "кот дом\nлес\n"
    asked = (fake_lmplz / "asked").read_text().split("\n")
    assert asked[asked.index("--prune") + 1 :][:3] == ["0", "0", "2"]
    assert asked[asked.index("--discount_fallback") + 1 :][:3] == ["0.5", "1.0", "1.5"]
    assert "--limit_vocab_file" in asked
    assert not list(work.iterdir())


def test_lmplz_failing_says_why(fake_lmplz, monkeypatch):
    with pytest.raises(DataError, match="lmplz failed: some trouble / Bad discount"):
        build_with_lmplz(["fail"], temporary=fake_lmplz / "work")
    monkeypatch.setenv("PATH", str(fake_lmplz / "nowhere"))
    with pytest.raises(DataError, match="no lmplz on the PATH"):
        build_with_lmplz(["a"], temporary=fake_lmplz / "work")


def test_listing_the_plugin_and_its_commands_imports_nothing_large():
    code = (
        "import sys, speechkit_lm, speechkit_lm.cli; "
        "sys.exit(' '.join({'torch', 'numpy', 'pyarrow', 'kenlm'} & set(sys.modules)) or 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
