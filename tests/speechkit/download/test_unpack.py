"""Archives that are broken, or made to do harm."""

import errno
import gzip
import io
import random
import tarfile
from threading import Event

import pytest
from test_fetch import files_of_at_most
from web_server import packed

from speechkit import DownloadError
from speechkit.download import unpack as unpacking
from speechkit.download.trouble import HopelessError, StoppedError
from speechkit.download.unpack import unpack

FILES = {f"a/{n}.wav": random.Random(n).randbytes(3_000) for n in range(5)}


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "outer" / "folder"
    folder.mkdir(parents=True)
    return folder


def opened(content, folder):
    archive = folder.parent / "archive"
    archive.write_bytes(content)
    unpack(archive, folder, stop=Event())
    return {
        str(each.relative_to(folder)): each.read_bytes()
        for each in folder.rglob("*")
        if each.is_file()
    }


def member(name, **attributes) -> bytes:
    """A gzipped tar whose last member is the one described; the same bytes at any time."""
    info = tarfile.TarInfo(name)
    for key, value in attributes.items():
        setattr(info, key, value)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("good"))
        tar.addfile(info)
    return gzip.compress(out.getvalue(), mtime=0)


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_every_kind_of_packing(folder, mode):
    assert opened(packed(FILES, mode), folder) == FILES


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (member("../out"), "no path below a folder"),
        (member("a/../../out"), "no path below a folder"),
        (member("/out"), "no path below a folder"),
        (member("to", type=tarfile.SYMTYPE, linkname="/etc/passwd"), "a link"),
        (member("to", type=tarfile.SYMTYPE, linkname="../../out"), "a link"),
        (member("to", type=tarfile.SYMTYPE, linkname="good"), "a link"),
        (member("to", type=tarfile.LNKTYPE, linkname="../out"), "a link"),
        (member("to", type=tarfile.CHRTYPE, devmajor=1, devminor=3), "a device or pipe"),
        (member("to", type=tarfile.BLKTYPE), "a device or pipe"),
        (member("to", type=tarfile.FIFOTYPE), "a device or pipe"),
        (member("to", type=b"Q"), "a device or pipe"),
    ],
)
def test_what_would_get_out_of_the_folder_or_is_no_file(folder, content, said):
    with pytest.raises(DownloadError, match=said) as told:
        opened(content, folder)
    assert "nothing of it is kept" in told.value.hint
    assert {each.name for each in folder.parent.iterdir()} == {"folder", "archive"}
    assert {each.name for each in folder.iterdir()} <= {"good"}


@pytest.mark.parametrize(
    ("name", "headers"),
    [
        ("a", {"mtime": "1e30"}),
        ("a", {"mtime": "nan"}),
        ("a", {"GNU.sparse.map": "a,b", "GNU.sparse.size": "5"}),
        ("a/" * 3_000, {}),
    ],
)
def test_numbers_that_are_none_and_folders_without_end(folder, name, headers):
    with pytest.raises(DownloadError, match="the archive is broken"):
        opened(member(name, pax_headers=headers), folder)


def test_an_archive_that_swells(folder, monkeypatch):
    monkeypatch.setattr(unpacking, "SPARE_BYTES", 1 << 20)
    bomb = packed({"zeros": bytes(30 << 20)})
    assert len(bomb) < 100_000
    with pytest.raises(DownloadError, match=r"over \d+\.\d MB when unpacked"):
        opened(bomb, folder)
    assert sum(each.stat().st_size for each in folder.rglob("*")) < 20 << 20


def test_what_swells_after_the_last_file(folder, monkeypatch):
    monkeypatch.setattr(unpacking, "SPARE_BYTES", 1 << 20)
    with pytest.raises(DownloadError, match="when unpacked"):
        opened(gzip.compress(packed({"a": b"1"}, "w") + bytes(30 << 20)), folder)


def test_a_sparse_file_that_swells(folder):
    info = tarfile.TarInfo("sparse")
    info.pax_headers = {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.name": "sparse",
        "GNU.sparse.realsize": str(1 << 50),
    }
    data = b"0\n".ljust(512, b"\0")
    info.size = len(data)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(info, io.BytesIO(data))
    with pytest.raises(DownloadError, match="when unpacked"):
        opened(out.getvalue(), folder)


def test_too_many_files(folder, monkeypatch):
    monkeypatch.setattr(unpacking, "MOST_MEMBERS", 4)
    with pytest.raises(DownloadError, match="over 4 files"):
        opened(packed(FILES), folder)


def test_a_header_that_would_fill_the_memory(folder):
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 1 << 40
    with pytest.raises(DownloadError, match="a header of"):
        opened(gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + bytes(2048)), folder)


def test_no_archive_at_all(folder):
    with pytest.raises(DownloadError, match="it begins with '<html>'"):
        opened(b"<html>", folder)
    with pytest.raises(DownloadError, match="broken"):
        opened(b"", folder)
    with pytest.raises(DownloadError, match="broken"):
        opened(gzip.compress(b"no tar" * 1000), folder)


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz", "w"])
def test_cut_anywhere_it_is_broken(folder, mode):
    content = packed(FILES, mode)
    # The end of a plain tar is zeros, without which it is still all there.
    last = len(content) if mode != "w" else content.rstrip(b"\0").__len__()
    for place in range(1, last, 997):
        with pytest.raises(DownloadError, match="broken"):
            opened(content[:place], folder)


def test_a_flipped_bit_is_noticed(folder):
    content = packed(FILES)
    draws = random.Random(5)
    for _ in range(40):
        place = draws.randrange(10, len(content))
        broken = bytearray(content)
        broken[place] ^= 1 << draws.randrange(8)
        with pytest.raises(DownloadError):
            opened(bytes(broken), folder)


def test_a_broken_header_in_the_middle_is_not_the_end(folder):
    plain = bytearray(packed(FILES, "w"))
    plain[3584 + 148 : 3584 + 156] = b"xxxxxxxx"  # the second file's checksum
    with pytest.raises(DownloadError, match="no file"):
        opened(gzip.compress(bytes(plain)), folder)


def test_a_file_where_a_folder_should_be(folder):
    with pytest.raises(DownloadError, match="broken") as told:
        opened(packed({"a": b"1", "a/b": b"2"}), folder)
    assert not isinstance(told.value, HopelessError)


def test_a_disk_that_gets_full(folder):
    content = packed(FILES)
    archive = folder.parent / "archive"
    archive.write_bytes(content)
    full = pytest.raises(HopelessError, match="the disk is full")
    with files_of_at_most(2_000), full:
        unpack(archive, folder, stop=Event())


def test_it_stops_when_nobody_wants_it(folder):
    archive = folder.parent / "archive"
    archive.write_bytes(packed(FILES))
    stop = Event()
    stop.set()
    with pytest.raises(StoppedError):
        unpack(archive, folder, stop=stop)


def test_a_disk_that_fails_is_not_a_broken_archive(folder, monkeypatch):
    def failing(*_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(gzip.GzipFile, "read", failing)
    with pytest.raises(DownloadError, match=r"archive cannot be unpacked: Input/output error"):
        opened(packed(FILES, "w:gz"), folder)
