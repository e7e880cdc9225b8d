import hashlib
import os
from pathlib import Path

import pytest

from speechkit_corpora import cache


def test_a_file_that_is_not_finished_is_not_there(tmp_path):
    path = tmp_path / "new" / "file"
    path.parent.mkdir()
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), cache.written_whole(path) as unfinished:
        unfinished.write_text(f"half {1 / 0}")
    with pytest.raises(IsADirectoryError), cache.written_whole(path) as unfinished:
        unfinished.write_text("half") and path.parent.write_text("")
    assert [each.name for each in path.parent.iterdir()] == ["file"]
    assert path.read_text() == "old"
    with cache.written_whole(path) as unfinished:
        unfinished.write_text("whole")
        assert path.read_text() == "old"
    assert path.read_text() == "whole"
    assert [each.name for each in path.parent.iterdir()] == ["file"]


def test_the_digest_of_a_large_file_is_remembered_until_it_changes(monkeypatch, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"one")
    read = []
    monkeypatch.setattr(cache, "_REMEMBERED", 2)
    real = hashlib.file_digest
    monkeypatch.setattr(hashlib, "file_digest", lambda *given: read.append(1) or real(*given))
    first = [cache.content_digest(path) for _ in range(3)]
    assert set(first) == {hashlib.sha256(b"one").hexdigest()}
    assert len(read) == 1
    path.write_bytes(b"two")
    os.utime(path, ns=(1, 1))
    assert cache.content_digest(path) == hashlib.sha256(b"two").hexdigest()


def test_a_cache_that_cannot_be_written_costs_time_and_nothing_else(monkeypatch, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_bytes(b"not a folder")
    monkeypatch.setenv("SPEECHKIT_CACHE", f"{blocked}")
    monkeypatch.setattr(cache, "_REMEMBERED", 0)
    assert cache.content_digest(blocked) == hashlib.sha256(b"not a folder").hexdigest()


def test_the_cache_is_where_the_variable_says(monkeypatch):
    monkeypatch.setenv("SPEECHKIT_CACHE", "~/elsewhere")
    assert cache.cache_folder() == Path.home() / "elsewhere"
    monkeypatch.delenv("SPEECHKIT_CACHE")
    assert cache.cache_folder() == Path.home() / ".cache" / "speechkit"
