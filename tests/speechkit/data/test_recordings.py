"""A folder of one's own recordings is at every moment one that the corpus `files` reads."""

import json

import numpy as np
import pytest

from speechkit.data.recordings import METADATA, RecordingFolder
from speechkit.data.store import prepare
from speechkit.discovery import load_plugins
from speechkit.errors import DataError

SECOND = np.arange(16_000, dtype=np.int16)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SPEECHKIT_CACHE", str(tmp_path / "cache"))


def test_the_corpus_files_reads_it(tmp_path):
    folder = RecordingFolder(tmp_path / "mine")
    folder.add(SECOND, 16_000, 'Он сказал: "да", и всё', "anna")
    folder.add(SECOND[:8_000], 16_000, "нет", None)
    component = load_plugins().find("corpus", "files").component
    speech = component.build(component.config(path=tmp_path / "mine"))
    store = prepare(speech, {}, sample_rate=16_000, skip_bad=False, name="x", progress=print)
    assert store.ids == ["0001", "0002"]
    assert store.texts == ['Он сказал: "да", и всё', "нет"]
    assert store.speakers == ["anna", ""]
    assert store.seconds.tolist() == [1.0, 0.5]
    assert np.array_equal(store.row(0) * 32768, SECOND)


def test_goes_on_after_those_recorded_by_the_same_speaker(tmp_path):
    sentences = ["a", "b", "a", "c"]
    folder = RecordingFolder(tmp_path)
    folder.add(SECOND, 16_000, "a", "anna")
    again = RecordingFolder(tmp_path)
    assert again.left(sentences, "anna") == ["b", "a", "c"]
    assert again.left(sentences, "ben") == again.left(sentences, None) == sentences
    assert again.add(SECOND, 16_000, "b", None).name == "0002.wav"
    assert again.left(sentences, "anna") == ["b", "a", "c"]


def test_no_file_is_written_over_and_a_line_without_its_end_stays_a_line(tmp_path):
    folder = RecordingFolder(tmp_path)
    folder.add(SECOND, 16_000, "a", None)
    (tmp_path / "wavs" / "0007.wav").write_bytes(b"of a recording whose line was never written")
    (tmp_path / "wavs" / "other.wav").write_bytes(b"")
    table = tmp_path / METADATA
    table.write_text(table.read_text().rstrip("\n"))
    assert RecordingFolder(tmp_path).add(SECOND, 16_000, "b", None).name == "0008.wav"
    assert [json.loads(line)["text"] for line in table.read_text().splitlines()] == ["a", "b"]
    assert not list(tmp_path.rglob("*.partial"))


def test_a_folder_of_another_kind_is_left_alone(tmp_path):
    (tmp_path / "metadata.csv").write_text("file_name,text\n")
    with pytest.raises(DataError, match=r"has a metadata.csv"):
        RecordingFolder(tmp_path)
    (tmp_path / "metadata.csv").unlink()
    for line in ('{"audio": "a.wav", "text": "a"}', "file_name,text", "[1]"):
        (tmp_path / METADATA).write_text(f'{{"file_name": "a.wav", "text": ""}}\n{line}\n')
        with pytest.raises(DataError, match=r"metadata.jsonl:2: not a recording's line"):
            RecordingFolder(tmp_path)
    with pytest.raises(DataError, match="cannot be made a folder"):
        RecordingFolder(tmp_path / METADATA)
