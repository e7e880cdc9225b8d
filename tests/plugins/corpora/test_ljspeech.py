import json
import logging
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from speechkit import DataError
from speechkit.cli import app
from speechkit_corpora import LJSpeechConfig, build_ljspeech

LINES = [
    'LJ001-0002|in being "modern" in 1455,|in being "modern" in fourteen fifty-five,',
    'LJ001-0001|Printing, "in the only|Printing, "in the only',  # an unpaired quote
    "LJ002-0001|The café of Dr. X|The café of doctor X",
    "LJ050-0001|the end; no. 1|the end; number one",
]


def write_tree(folder: Path, lines: list[str] = LINES) -> None:
    """LJSpeech-1.1 in `folder`, each recording 0.1 s."""
    root = folder / "LJSpeech-1.1"
    (root / "wavs").mkdir(parents=True, exist_ok=True)
    (root / "metadata.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for line in lines:
        name = line.partition("|")[0]
        soundfile.write(root / "wavs" / f"{name}.wav", np.zeros(2205), 22050)


@pytest.fixture
def tree(tmp_path):
    write_tree(tmp_path)
    return tmp_path / "LJSpeech-1.1"


def build(path, **settings):
    written = json.dumps({"path": f"{path}", **settings})
    return build_ljspeech(LJSpeechConfig.model_validate_json(written))


def told(caplog) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]


def test_rows_are_by_id_with_the_columns_of_speech(tree, caplog):
    corpus = build(tree)
    assert corpus.column_names == ["id", "audio", "text", "speaker"]
    assert corpus["id"][:] == ["LJ001-0001", "LJ001-0002", "LJ002-0001", "LJ050-0001"]
    assert corpus[2] == {
        "id": "LJ002-0001",
        "audio": {"bytes": None, "path": f"{tree}/wavs/LJ002-0001.wav"},
        "text": "The café of doctor X",
        "speaker": "LJ",
    }
    assert soundfile.info(corpus[2]["audio"]["path"]).samplerate == 22050
    assert told(caplog) == []


def test_quotes_are_text(tree):
    assert build(tree)["text"][:2] == [
        'Printing, "in the only',
        'in being "modern" in fourteen fifty-five,',
    ]


def test_the_text_can_be_as_printed(tree):
    assert build(tree, text="raw")["text"][1] == 'in being "modern" in 1455,'


def test_the_folder_above_will_do(tree):
    assert build(tree.parent, limit=2)[:] == build(tree, limit=2)[:]


def test_shares_part_the_chapters(tmp_path):
    names = [f"LJ{chapter:03d}-{number:04d}" for chapter in range(1, 51) for number in (1, 2)]
    write_tree(tmp_path, [f"{name}|a|a" for name in names])
    train, rest = (build(tmp_path, share=each) for each in ([0, 0.9], [0.9, 1]))
    held_out = {each.partition("-")[0] for each in rest["id"][:]}
    # As the documentation says; another hash would part a finished run's data anew.
    assert held_out == {f"LJ{each:03d}" for each in (18, 23, 28, 33, 38, 46, 47, 50)}
    assert len(rest) == 2 * len(held_out)
    assert sorted(train["id"][:] + rest["id"][:]) == names


def test_a_missing_form_of_the_text_is_replaced_and_told(tmp_path, caplog):
    lines = [
        "LJ001-0001|No. 1|",
        "LJ001-0002|two",
        "LJ001-0003||three",
        "LJ001-0004| |",
        "",
        *LINES,
    ]
    write_tree(tmp_path, lines[:4])
    root = tmp_path / "LJSpeech-1.1"
    assert build(root)["text"][:] == ["No. 1", "two", "three"]
    left_out, replaced = told(caplog)
    assert left_out == f"{root}: left out lines without text: 1 (LJ001-0004)"
    assert replaced == (
        f"{root}: lines without normalized text, of which the raw one is taken: "
        "2 (LJ001-0001, LJ001-0002)"
    )
    caplog.clear()
    assert build(root, text="raw")["text"][:] == ["No. 1", "two", "three"]
    assert told(caplog)[1].endswith(
        "raw text, of which the normalized one is taken: 1 (LJ001-0003)"
    )


@pytest.mark.parametrize("line", ["LJ001-0009", "|a|b", "LJ001-0009|a|b|c", "text, with commas"])
def test_a_broken_line_is_named(tree, line):
    (tree / "metadata.csv").write_text("\n".join([*LINES, line]))
    with pytest.raises(DataError, match=r"metadata\.csv:5: \d fields parted by \|") as e:
        build(tree)
    assert "ID|raw text|normalized text" in e.value.hint


def test_an_id_that_stands_twice_is_told(tree):
    (tree / "metadata.csv").write_text("\n".join([*LINES, LINES[0]]))
    with pytest.raises(DataError, match="LJ001-0002 stands twice"):
        build(tree)


def test_a_line_without_its_recording_is_told(tree):
    (tree / "wavs/LJ002-0001.wav").unlink()
    with pytest.raises(
        DataError, match=r"1 of 4 lines without a recording: wavs/LJ002-0001\.wav is not there"
    ):
        build(tree)


def test_a_recording_without_a_line_is_left_out_and_told(tree, caplog):
    (tree / "metadata.csv").write_text("\r\n".join(LINES[:3]), encoding="utf-8-sig")
    assert build(tree)["id"][:] == ["LJ001-0001", "LJ001-0002", "LJ002-0001"]
    assert told(caplog) == [f"{tree}: left out recordings without a line: 1 (LJ050-0001)"]


def test_other_folders_are_told(tree):
    with pytest.raises(DataError, match=r"no metadata\.csv in it; it holds LJ001-0001\.wav"):
        build(tree / "wavs")
    with pytest.raises(DataError, match="no such folder"):
        build(tree / "elsewhere")
    with pytest.raises(DataError, match=r"metadata\.csv: a file, not a folder"):
        build(tree / "metadata.csv")
    (tree / "wavs").rename(tree / "audio")
    with pytest.raises(DataError, match=r"no folder wavs in it; it holds audio, metadata\.csv"):
        build(tree)


def test_an_empty_table_is_told(tree):
    (tree / "metadata.csv").write_text("\n")
    with pytest.raises(DataError, match="no lines"):
        build(tree)


def test_a_recipe_can_use_it(tmp_path):
    recipe = tmp_path / "small.toml"
    recipe.write_text(
        """
[recipe]
name = "small"
[corpus.train]
use = "ljspeech"
path = "LJSpeech-1.1"
share = [0.0, 0.9]
[corpus.validation]
use = "ljspeech"
path = "LJSpeech-1.1"
share = [0.9, 1.0]
text = "normalized"
[text]
alphabet = "abcdefghijklmnopqrstuvwxyz'"
[features]
use = "log_mel"
[model]
use = "n2"
[decoder]
use = "greedy"
"""
    )
    result = CliRunner().invoke(app, ["recipe", "check", f"{recipe}"])
    assert result.exit_code == 0, result.output
    assert "OK: 2 corpora" in result.output
