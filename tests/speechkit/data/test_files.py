"""Files written whole: in their place or not at all, for those to read who may read others."""

import os
import stat

import pytest
import torch
from safetensors.torch import save_file

from speechkit.data.files import folder_written_whole, written_whole
from speechkit.errors import RunError


@pytest.fixture(params=[0o022, 0o027, 0o077])
def umask(request):
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode_of(file) -> int:
    return stat.S_IMODE(file.stat().st_mode)


def test_a_file_may_be_read_by_those_whom_the_umask_lets(tmp_path, umask):
    place = tmp_path / "model.safetensors"
    with written_whole(place) as beside:
        save_file({"weight": torch.zeros(3)}, beside)
    assert mode_of(place) == 0o666 & ~umask


def test_files_of_a_folder_may_be_read_by_those_whom_the_umask_lets(tmp_path, umask):
    place = tmp_path / "checkpoint"
    with folder_written_whole(place) as beside:
        (beside / "inner").mkdir()
        save_file({"weight": torch.zeros(3)}, beside / "inner" / "tensors.safetensors")
        (beside / "state.json").write_text("{}")
    assert mode_of(place / "inner") == 0o777 & ~umask
    assert mode_of(place / "inner" / "tensors.safetensors") == 0o666 & ~umask
    assert mode_of(place / "state.json") == 0o666 & ~umask


def test_what_fails_leaves_what_was_there(tmp_path):
    place = tmp_path / "file"
    place.write_text("before")

    def fail_halfway() -> None:
        with written_whole(place) as beside:
            beside.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_halfway()
    assert place.read_text() == "before"
    assert list(tmp_path.iterdir()) == [place]


def test_nothing_written_is_no_file(tmp_path):
    with pytest.raises(FileNotFoundError), written_whole(tmp_path / "file"):
        pass
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_told(tmp_path):
    (tmp_path / "full").symlink_to("/dev/full")
    with (
        pytest.raises(RunError, match=r"the disk is full: .*place could not be written"),
        written_whole(tmp_path / "place"),
        (tmp_path / "full").open("w") as file,
    ):
        file.write("x" * 100_000)
