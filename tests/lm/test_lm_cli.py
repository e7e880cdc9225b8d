"""speechkit lm."""

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from textbook import DATA
from typer.testing import CliRunner

from speechkit import SpeechkitError
from speechkit_lm import NgramModel, blocks_of_file, build, mix, prune
from speechkit_lm.cli import app


def lm(*arguments, status=0, given=None):
    result = CliRunner().invoke(app, [str(each) for each in arguments], input=given)
    if isinstance(result.exception, SpeechkitError):
        raise result.exception
    assert result.exit_code == status, result.output
    return result


TEXT = DATA / "russian.txt"


@pytest.mark.parametrize("name", ["lm.arpa", "lm.arpa.gz", "lm.safetensors", "folder"])
def test_the_name_of_the_output_says_what_is_built(tmp_path, russian, name):
    result = lm("build", "--order", 2, "--output", tmp_path / name, TEXT)
    assert result.stdout == ""
    model, expected = NgramModel.load(tmp_path / name), build(russian, order=2)
    assert np.array_equal(model.arrays.log_prob, expected.arrays.log_prob)
    assert [each.name for each in tmp_path.iterdir()] == [name]
    is_file = (tmp_path / name).is_file()
    assert is_file == (name != "folder")


def test_text_is_plain_packed_or_stdin(tmp_path, russian):
    packed = tmp_path / "b.txt.gz"
    packed.write_bytes(gzip.compress("лиса спит\n".encode()))
    lm("build", "-o", tmp_path / "out", TEXT, packed, "-", given="сова\n")
    expected = build([*russian, "лиса спит", "сова"])
    assert NgramModel.load(tmp_path / "out").words == expected.words


def test_a_column_of_a_table_is_named_after_its_file(tmp_path):
    table = tmp_path / "12:30.parquet"
    pq.write_table(pa.table({"text": ["лиса спит"], "said": ["сова"]}), table)
    for name, words in ((table, ["лиса", "спит"]), (f"{table}:said", ["сова"])):
        lm("build", "-o", tmp_path / "out", name)
        assert NgramModel.load(tmp_path / "out").words[3:] == words


def test_building_takes_every_setting(tmp_path, russian):
    words = tmp_path / "words"
    words.write_text("кот дом\nлес", encoding="utf-8")
    arguments = ["--order", 3, "--cutoffs", "0,1", "--vocabulary", words, "--prune", 1e-3]
    lm("build", *arguments, "--fallback", "0.4,0.9,1.2", "-o", tmp_path / "a.arpa", TEXT)
    expected = prune(
        build(
            russian, order=3, cutoffs=[0, 1], vocabulary=["кот", "дом", "лес"],
            fallback_discounts=(0.4, 0.9, 1.2),
        ),
        1e-3,
    )  # fmt: skip
    found = NgramModel.load(tmp_path / "a.arpa")
    assert np.array_equal(found.arrays.log_prob, expected.arrays.log_prob)
    lm("build", "--vocabulary-limit", 3, "-o", tmp_path / "b", TEXT)
    assert len(NgramModel.load(tmp_path / "b").words) == 6


def test_texts_with_weights_are_models_interpolated(tmp_path, russian):
    other = tmp_path / "other.txt"
    other.write_text("сова спит в лес\n", encoding="utf-8")
    lm("build", "--weights", "3,1", "--order", 2, "-o", tmp_path / "out", TEXT, other)
    expected = mix([build(russian, order=2), build(["сова спит в лес"], order=2)], [3, 1])
    found = NgramModel.load(tmp_path / "out")
    assert np.array_equal(found.arrays.log_prob, expected.arrays.log_prob)


def test_text_rules_of_a_recipe_or_an_alphabet(tmp_path):
    text = tmp_path / "text"
    text.write_text("Ёлка, ЕЛЬ!\nЁж\n", encoding="utf-8")
    recipe = tmp_path / "r.toml"
    recipe.write_text('[text]\nalphabet = "ежлкьа"\nreplace = { "ё" = "е" }\n', encoding="utf-8")
    lm("build", "--recipe", recipe, "-o", tmp_path / "a", text)
    assert NgramModel.load(tmp_path / "a").words[3:] == ["елка", "ель", "еж"]
    lm("build", "--alphabet", "ёежлкьа", "-o", tmp_path / "b", text)
    assert NgramModel.load(tmp_path / "b").words[3:] == ["ёлка", "ель", "ёж"]
    recipe.write_text('[text]\nalphabet = "аа"\n', encoding="utf-8")
    with pytest.raises(SpeechkitError, match=r"r.toml, \[text\]: alphabet: .* more than once"):
        lm("build", "--recipe", recipe, "-o", tmp_path / "c", text)


def test_info_as_lines_and_as_json(tmp_path, russian):
    lm("build", "--order", 2, "-o", tmp_path / "m", TEXT)
    lines = lm("info", tmp_path / "m", "--verify").stdout.splitlines()
    assert "order: 2" in lines
    assert "ngrams: 13 41" in lines
    assert f"letters: {''.join(sorted(set(''.join(russian)) - {' '}))}" in lines
    assert f"text words: {sum(len(each.split()) for each in russian)}" in lines
    known = json.loads(lm("info", "--json", tmp_path / "m").stdout)
    assert known["ngrams"] == [13, 41]
    assert known["facts"]["cutoffs"] == "0 0"


def test_perplexity_counts_unknown_words(tmp_path, russian):
    other = tmp_path / "other"
    other.write_text("кот сова дом\n", encoding="utf-8")
    model = build(russian, order=3)
    model.save(tmp_path / "m")
    said = lm("perplexity", tmp_path / "m", TEXT, other).stdout
    assert "1 of 3 words unknown (33.33%), 1 sentences" in said
    rows = json.loads(lm("perplexity", "--json", tmp_path / "m", TEXT, other).stdout)
    assert [row["unknown"] for row in rows] == [0, 1]
    assert rows[1]["unknown_rate"] == pytest.approx(1 / 3)
    assert rows[1]["log_prob"] == pytest.approx(model.score("кот сова дом"))


def test_query_shows_how_sentences_are_read(tmp_path, russian):
    model = build(russian, order=3)
    model.save(tmp_path / "m")
    said = lm("query", tmp_path / "m", "кот сова").stdout
    assert said.startswith(f"{model.score('кот сова'):.4f}\tкот=2 ")
    assert "сова=1? " in said
    rows = json.loads(lm("query", "--json", tmp_path / "m", given="кот\nлес лес\n").stdout)
    assert [row["sentence"] for row in rows] == ["кот", "лес лес"]
    assert [word["word"] for word in rows[1]["words"]] == ["лес", "лес", "</s>"]
    assert rows[0]["log_prob"] == pytest.approx(model.score("кот"))


def test_prune_and_mix_write_models(tmp_path, russian):
    model = build(russian, order=3)
    model.save(tmp_path / "m")
    lm("prune", tmp_path / "m", "--threshold", 1e-2, "-o", tmp_path / "p.arpa")
    assert NgramModel.load(tmp_path / "p.arpa").counts == prune(model, 1e-2).counts
    lm("mix", tmp_path / "m", tmp_path / "p.arpa", "--weights", "1,1", "-o", tmp_path / "x")
    assert NgramModel.load(tmp_path / "x").counts == model.counts
    said = lm("mix", tmp_path / "m", tmp_path / "p.arpa", "--tune", TEXT, "-o", tmp_path / "y")
    assert "weight" in said.stdout
    assert "perplexity of the mixture" in said.stdout


def test_packed_models_are_written_where_they_are_asked_for(tmp_path):
    lm("build", "-o", tmp_path / "whole", TEXT)
    lm("build", "--packed", "-o", tmp_path / "built", TEXT)
    lm("prune", tmp_path / "whole", "--threshold", 0, "--packed", "-o", tmp_path / "pruned")
    both = (tmp_path / "built", tmp_path / "pruned")
    lm("mix", *both, "--weights", "1,1", "--packed", "-o", tmp_path / "mixed")
    sizes = {}
    for name in ("whole", "built", "pruned", "mixed"):
        known = json.loads(lm("info", "--json", tmp_path / name).stdout)
        sizes[name] = known["file_bytes"]
        assert known["file_bytes"] == (tmp_path / name / "lm.safetensors").stat().st_size
    assert all(sizes[name] < 0.5 * sizes["whole"] for name in ("built", "pruned", "mixed"))
    told = lm("build", "--packed", "-o", tmp_path / "a.arpa", TEXT, status=2)
    assert "would be an ARPA file" in told.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["build", "--cutoffs", "0,x"],
        ["build", "--cutoffs", "1,0"],
        ["build", "--cutoffs", "1.5"],
        ["build", "--cutoffs", "nan"],
        ["build", "--order", 2, "--cutoffs", "0,0,0"],
        ["build", "--weights", "1,2"],
        ["build", "--fallback", "1,1"],
        ["build", "--engine", "srilm"],
        ["build", "--engine", "lmplz", "--vocabulary-limit", 3],
        ["build", "--recipe", "r.toml", "--alphabet", "abc"],
        ["build", "--memory", "0"],
        ["build", "--memory", "inf"],
        ["build", "--memory", "nan"],
        ["mix"],
        ["mix", "--weights", "0"],
    ],
)
def test_options_that_make_no_sense_are_usage_errors(tmp_path, arguments):
    file = TEXT if arguments[0] == "build" else DATA / "order3.arpa"
    result = lm(*arguments, "-o", tmp_path / "out", file, status=2)
    assert not list(tmp_path.iterdir())
    assert result.stdout == ""


def test_an_output_that_cannot_be_written_is_an_error_that_names_it(tmp_path):
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "folder.arpa").mkdir()
    for output in ("file", "file/lm.arpa", "folder.arpa"):
        with pytest.raises(SpeechkitError, match=f"{output}|{tmp_path}.*cannot be written"):
            lm("build", "-o", tmp_path / output, TEXT)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["file", "folder.arpa"]


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="files are not made of their size")
def test_a_full_disk_is_an_error_whatever_is_written(tmp_path):
    """Told by a process of its own, since a map on a full disk once ended it with a signal."""
    script = (
        "import resource, sys\n"
        "from speechkit import SpeechkitError\n"
        "from speechkit_lm import build\n"
        "from pathlib import Path\n"
        "limit, memory, where = int(sys.argv[1]), float(sys.argv[2]), Path(sys.argv[3])\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))\n"
        "lines = [f'a{i} b{i} c{i}' for i in range(1000)]\n"
        "try:\n"
        "    model = build(lines, memory_gigabytes=memory, temporary=where)\n"
        "    model.save(where / 'lm.arpa')\n"
        "except SpeechkitError as error:\n"
        "    print(error)\n"
    )
    for limit, memory in ((2_000, 2.0), (2_000, 1e-9), (15_000, 1e-9), (35_000, 1e-9)):
        arguments = [sys.executable, "-c", script, str(limit), str(memory), str(tmp_path)]
        done = subprocess.run(arguments, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "cannot be written: File too large" in done.stdout
        assert not list(tmp_path.iterdir())


def test_a_model_that_is_not_there_is_an_error_with_a_remedy(tmp_path):
    for command in ("info", "query"):
        with pytest.raises(SpeechkitError, match="there is no such file") as caught:
            lm(command, tmp_path / "nothing")
        assert "speechkit lm build" in caught.value.hint


@pytest.mark.skipif("SPEECHKIT_DATA" not in os.environ, reason="SPEECHKIT_DATA is not set")
def test_real_russian_text(tmp_path):
    """A thousand sentences of Russian novels, ё written as е on the way."""
    source = Path(os.environ["SPEECHKIT_DATA"]) / "text" / "ru.txt.gz"
    with gzip.open(source, "rt", encoding="utf-8") as file:
        lines = [next(file) for _ in range(1100)]
    text, held_out = tmp_path / "ru.txt", tmp_path / "held_out.txt"
    text.write_text("".join(lines[:1000]), encoding="utf-8")
    held_out.write_text("".join(lines[1000:]), encoding="utf-8")
    alphabet = "абвгдеёжзийклмнопрстуфхцчшщъыьэюя-"
    lm("build", "--alphabet", alphabet, "-o", tmp_path / "m", text)
    model = NgramModel.load(tmp_path / "m")
    expected = build(blocks_of_file(text))
    assert model.words == expected.words
    found = json.loads(lm("perplexity", "--json", tmp_path / "m", held_out).stdout)[0]
    assert 0.1 < found["unknown_rate"] < 0.5
    assert 50 < found["perplexity_known"] < 5000
