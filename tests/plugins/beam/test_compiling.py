"""Where compiled code is kept, and what is said while it is made."""

import logging
import time
from pathlib import Path

import pytest

from speechkit_beam import compiling


def test_kept_where_numba_is_told_else_in_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setenv("SPEECHKIT_CACHE", str(tmp_path / "cache"))
    folder = compiling._folder()
    assert folder is not None
    assert folder.is_dir()
    assert folder.parent == tmp_path / "cache" / "numba"
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "numba"))
    assert compiling._folder() == tmp_path / "numba" / folder.name


def test_nowhere_to_keep_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    file.touch()
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(file / "below"))
    assert compiling._folder() is None


def test_a_slow_first_call_is_told_of_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(compiling, "_called", [])
    monkeypatch.setattr(compiling, "COMPILED", True)
    monkeypatch.setattr(compiling, "_SAY_AFTER_SECONDS", 0.01)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            with compiling.first_call():
                time.sleep(0.3)
    assert caplog.text.count("compiling the beam search") == 1


def test_a_fast_first_call_is_not(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(compiling, "_called", [])
    monkeypatch.setattr(compiling, "_SAY_AFTER_SECONDS", 0.2)
    with compiling.first_call():
        pass
    time.sleep(0.3)
    assert not caplog.text
