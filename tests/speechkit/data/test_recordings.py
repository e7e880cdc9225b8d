"""A folder of one's own recordings is at every moment one that the corpus `files` reads."""

import json
import resource

import numpy as np
import pytest

from speechkit.data.recordings import METADATA, RecordingFolder
from speechkit.data.store import prepare
from speechkit.discovery import load_plugins
from speechkit.errors import DataError

TEXT_LIST = '{"file_name": "a.wav", "text": ["a"]}'
LONG = '{"file_name": "a.wav", "text": "a", "duration_seconds": "long"}'
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
    for line in (
        '{"audio": "a.wav", "text": "a"}',
        "file_name,text",
        "[1]",
        "null",
        '{"file_na',
        TEXT_LIST,
        LONG,
    ):
        (tmp_path / METADATA).write_text(f'{{"file_name": "a.wav", "text": ""}}\n{line}\n')
        with pytest.raises(DataError, match=r"metadata.jsonl:2: not a recording's line"):
            RecordingFolder(tmp_path)
    with pytest.raises(DataError, match="cannot be made a folder"):
        RecordingFolder(tmp_path / METADATA)
    (tmp_path / METADATA).write_bytes(b'{"file_name": "a.wav", "text": "\xe9"}\n')
    with pytest.raises(DataError, match="cannot be read as text"):
        RecordingFolder(tmp_path)
    (tmp_path / METADATA).unlink()
    (tmp_path / METADATA).mkdir()
    with pytest.raises(DataError, match="cannot be read as text"):
        RecordingFolder(tmp_path)


def test_lines_end_where_lines_of_json_end(tmp_path):
    RecordingFolder(tmp_path).add(SECOND, 16_000, "a", "anna\u2028b")
    assert RecordingFolder(tmp_path).left(["a"], "anna\u2028b") == []


@pytest.mark.parametrize("room", [20, 2_000])  # less than the line's, less than the recording's
def test_a_disk_that_gets_full_leaves_what_was_there(tmp_path, room):
    folder = RecordingFolder(tmp_path)
    folder.add(SECOND[:100], 16_000, "a" * 1_000, None)
    samples = SECOND[:100] if room == 20 else SECOND
    limit = (tmp_path / METADATA).stat().st_size + room
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))  # it fails as a full disk does
    try:
        with pytest.raises(DataError, match="the disk is full") as told:
            folder.add(samples, 16_000, "b", None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "this recording is not kept, those before it are" in told.value.hint
    assert [each.name for each in (tmp_path / "wavs").iterdir()] == ["0001.wav"]
    again = RecordingFolder(tmp_path)
    assert again.rows == folder.rows
    assert again.add(SECOND, 16_000, "b", None).name == "0002.wav"
