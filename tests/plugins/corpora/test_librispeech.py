import json
import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from speechkit import DataError
from speechkit.cli import app
from speechkit_corpora import LibriSpeechConfig, build_librispeech
from speechkit_corpora.share import place

UTTERANCES = {
    "train-clean-5": {
        "1034-121119-0000": "THE LAST DROP FLY IN",
        "1034-121119-0001": "AS LAST MY PEN I DROP",
        "1034-99-0000": "HE'S RIGHT",
        "103-1240-0000": "CHAPTER ONE",
    },
    "dev-clean-2": {"84-121550-0000": "BUT WITH FULL RAVISHMENT"},
}


def write_tree(root: Path) -> None:
    """LibriSpeech under `root`, each recording 0.1 s."""
    for part, utterances in UTTERANCES.items():
        for name, text in utterances.items():
            speaker, chapter, _ = name.split("-")
            folder = root / "LibriSpeech" / part / speaker / chapter
            folder.mkdir(parents=True, exist_ok=True)
            soundfile.write(folder / f"{name}.flac", np.zeros(1600), 16000)
            with (folder / f"{speaker}-{chapter}.trans.txt").open("a") as file:
                file.write(f"{name} {text}\n")
    (root / "LibriSpeech" / "SPEAKERS.TXT").write_text("; comments\n103 | F | ...\n")


@pytest.fixture
def tree(tmp_path):
    write_tree(tmp_path)
    return tmp_path / "LibriSpeech"


def build(path, **settings):
    written = json.dumps({"path": f"{path}", **settings})
    return build_librispeech(LibriSpeechConfig.model_validate_json(written))


def test_a_part_has_the_columns_of_speech_sorted_by_id(tree):
    corpus = build(tree, parts=["train-clean-5"])
    assert corpus.column_names == ["id", "audio", "text", "speaker"]
    assert corpus["id"][:] == sorted(UTTERANCES["train-clean-5"])
    assert corpus[1] == {
        "id": "1034-121119-0000",
        "audio": {
            "bytes": None,
            "path": f"{tree}/train-clean-5/1034/121119/1034-121119-0000.flac",
        },
        "text": "THE LAST DROP FLY IN",
        "speaker": "1034",
    }
    samples, rate = soundfile.read(corpus[1]["audio"]["path"])
    assert (len(samples), rate) == (1600, 16000)


def test_the_folder_above_and_a_part_will_do(tree):
    expected = build(tree, parts=["dev-clean-2"])
    (tree.parent / "other" / "225").mkdir(parents=True)  # a corpus whose speakers are numbers, too
    for corpus in (
        build(tree.parent, parts=["dev-clean-2"]),
        build(tree / "dev-clean-2"),
        build(tree / "dev-clean-2", parts=["dev-clean-2"]),
    ):
        assert corpus[:] == expected[:]
        assert corpus._fingerprint == expected._fingerprint


def test_parts_come_in_the_order_asked_for(tree):
    corpus = build(tree, parts=["train-clean-5", "dev-clean-2", "train-clean-5"])
    assert corpus["speaker"][:] == ["103", "1034", "1034", "1034", "84"]
    assert build(tree, parts=["dev-clean-2", "train-clean-5"], limit=2)["speaker"][:] == [
        "84",
        "103",
    ]


def test_shares_part_the_speakers(tree):
    parts = list(UTTERANCES)
    cut = place("1034")
    first, second = (build(tree, parts=parts, share=each) for each in ([0, cut], [cut, 1]))
    assert "1034" in second["speaker"][:]
    assert not set(first["speaker"][:]) & set(second["speaker"][:])
    assert len(first) + len(second) == 5


def test_the_fingerprint_stands_for_texts_and_moves_with_the_tree(tree, tmp_path):
    before = build(tree, parts=["dev-clean-2"])._fingerprint
    moved = shutil.copytree(tree, tmp_path / "moved", copy_function=shutil.copy2)
    assert build(moved, parts=["dev-clean-2"])._fingerprint == before
    assert build(moved, parts=["train-clean-5"])._fingerprint != before
    table = moved / "dev-clean-2/84/121550/84-121550.trans.txt"
    table.write_text("84-121550-0000 BUT WITHOUT\n")
    assert build(moved, parts=["dev-clean-2"])._fingerprint != before


def test_several_parts_without_a_choice_are_refused(tree):
    with pytest.raises(DataError, match=r"2 parts: dev-clean-2, train-clean-5") as e:
        build(tree)
    assert e.value.hint == 'say which: parts = ["dev-clean-2"]'


def test_a_part_that_is_absent_names_those_there(tree):
    with pytest.raises(
        DataError, match="no part 'train-clean-50'; there are dev-clean-2, train"
    ) as e:
        build(tree, parts=["train-clean-50"])
    assert e.value.hint == "did you mean 'train-clean-5'?"


def test_an_empty_part_is_told(tree):
    (tree / "test-clean").mkdir()
    with pytest.raises(DataError, match=r"test-clean: no speakers; it is empty"):
        build(tree, parts=["test-clean"])


@pytest.mark.parametrize("below", ["train-clean-5/1034", "train-clean-5/1034/121119"])
def test_a_folder_too_far_down_is_told(tree, below):
    with pytest.raises(DataError, match=r"no part of LibriSpeech; it holds .*(99|0000\.flac)") as e:
        build(tree / below)
    assert "PART/SPEAKER/CHAPTER" in e.value.hint


def test_a_folder_that_is_not_there_or_packed_is_told(tree):
    with pytest.raises(DataError, match="no such folder"):
        build(tree / "train-clean-360")
    archive = tree / "train-clean-360.tar.gz"
    archive.touch()
    with pytest.raises(DataError, match="a file, not a folder") as e:
        build(archive)
    assert "unpack it" in e.value.hint


def test_a_transcript_without_its_recording_is_told(tree):
    (tree / "train-clean-5/1034/121119/1034-121119-0001.flac").unlink()
    with pytest.raises(
        DataError,
        match=r"1034-121119\.trans\.txt: 1 of 2 lines without a recording: 1034-121119-0001\.flac",
    ):
        build(tree, parts=["train-clean-5"])


def test_two_texts_of_one_recording_are_told(tree):
    file = tree / "dev-clean-2" / "84" / "121550" / "84-121550.trans.txt"
    file.write_text(file.read_text() * 2)
    assert len(build(tree, parts=["dev-clean-2"])) == 1
    file.write_text(file.read_text() + "84-121550-0000 ANOTHER\n")
    with pytest.raises(DataError, match=r"trans.txt: 84-121550-0000 has two texts that differ"):
        build(tree, parts=["dev-clean-2"])


def test_a_chapter_without_transcripts_is_told(tree):
    (tree / "train-clean-5/1034/99/1034-99.trans.txt").unlink()
    with pytest.raises(DataError, match=r"99: no 1034-99\.trans\.txt; it holds 1034-99-0000\.flac"):
        build(tree, parts=["train-clean-5"])


def test_a_recording_without_a_transcript_is_left_out_and_told(tree, caplog):
    folder = tree / "train-clean-5/103/1240"
    shutil.copy(folder / "103-1240-0000.flac", folder / "103-1240-0001.flac")
    shutil.copy(folder / "103-1240-0000.flac", folder / "._103-1240-0000.flac")
    with caplog.at_level(logging.WARNING):
        assert len(build(tree, parts=["train-clean-5"])) == 4
    assert [each.getMessage() for each in caplog.records] == [
        f"{tree}: left out recordings without a transcript: 1 (103-1240-0001)"
    ]


def test_an_utterance_in_two_parts_is_told(tree):
    shutil.copytree(tree / "train-clean-5/103", tree / "train-clean-100/103")
    with pytest.raises(
        DataError, match="103-1240-0000 is in the parts train-clean-100 and train-clean-5"
    ):
        build(tree, parts=["train-clean-100", "train-clean-5"])


def test_a_transcript_in_another_encoding_is_told(tree):
    (tree / "dev-clean-2/84/121550/84-121550.trans.txt").write_bytes(b"84-121550-0000 caf\xe9\n")
    with pytest.raises(DataError, match=r"84-121550\.trans\.txt: not UTF-8 \(byte 18\)"):
        build(tree, parts=["dev-clean-2"])


def test_a_recipe_can_use_it(tmp_path):
    recipe = tmp_path / "small.toml"
    recipe.write_text(
        """
[recipe]
name = "small"
[corpus.train]
use = "librispeech"
path = "LibriSpeech"
parts = ["train-clean-100"]
share = [0, 0.95]
[corpus.validation]
use = "librispeech"
path = "LibriSpeech"
parts = ["train-clean-100"]
share = [0.95, 1]
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
