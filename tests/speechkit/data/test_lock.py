"""One process at a time in a folder."""

import subprocess
import sys

import pytest

from speechkit import RunError
from speechkit.data.lock import locked

SAYS = {"name": "the folder", "busy": "wait for it", "unwritable": "another place"}
TRY = """
import sys; from pathlib import Path
from speechkit import RunError
from speechkit.data.lock import locked
try:
    with locked(Path(sys.argv[1]), name="the folder", busy="wait", unwritable="no"): print("in")
except RunError as error: print(error)
"""


def other_process(folder) -> str:
    command = [sys.executable, "-c", TRY, str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_one_process_at_a_time(tmp_path):
    folder = tmp_path / "a" / "b"
    with locked(folder, **SAYS):
        assert other_process(folder).startswith("the folder is in use by process ")
    assert other_process(folder) == "in"
    with locked(folder, **SAYS):
        pass


def test_a_second_try_of_this_process_leaves_the_lock(tmp_path):
    # Closing any file that names a locked one gives the process's POSIX lock up.
    with locked(tmp_path, **SAYS):
        with pytest.raises(RunError, match="in use by process"), locked(tmp_path, **SAYS):
            pass
        assert "in use" in other_process(tmp_path)


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    told = pytest.raises(RunError, match="cannot be written")
    with told as info, locked(tmp_path / "file" / "folder", **SAYS):
        pass
    assert info.value.hint == "another place"
