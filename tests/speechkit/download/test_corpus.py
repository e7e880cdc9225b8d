"""Archives of a corpus: whole in their places, or not there, whatever happens meanwhile."""

import io
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console
from test_fetch import files_of_at_most
from web_server import packed

from speechkit import Archive, DownloadError, RunError
from speechkit.download import fetch_corpus
from speechkit.download.corpus import MOST_FAILURES, NOTE
from speechkit.download.trouble import HopelessError
from speechkit.reporter import Reporter

PARTS = {
    part: {
        "Corpus/README.TXT": b"read me",
        f"Corpus/{part}/1.wav": random.Random(part).randbytes(20_000),
        f"Corpus/{part}/2/2.wav": b"2" * 500,
    }
    for part in ("one", "two")
}
FETCH = """
import signal, sys; from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs have it ignored
from speechkit import Archive, SpeechkitError
from speechkit.download import fetch_corpus
from speechkit.reporter import Reporter
url, to = sys.argv[1:]
try:
    print(fetch_corpus([Archive(url, "corpus")], Path(to), jobs=1, reporter=Reporter()).new)
except SpeechkitError as error:
    print(f"{error} / {error.hint}")
    sys.exit(2)
"""


@pytest.fixture
def archives(server):
    for part, files in PARTS.items():
        server.put(f"/{part}.tgz", packed(files))
    return [
        Archive(f"{server.url}/{part}.tgz", f"Corpus/{part}", inside=f"Corpus/{part}")
        for part in PARTS
    ]


@pytest.fixture
def get(tmp_path):
    said = io.StringIO()

    def get(archives, to=None, jobs=2):
        reporter = Reporter(Console(file=said, width=200))
        return fetch_corpus(archives, to or tmp_path / "data", jobs=jobs, reporter=reporter)

    get.said = said
    return get


def seen(folder):
    """Files by path, but those of our own."""
    return {
        str(each.relative_to(folder)): each.read_bytes()
        for each in folder.rglob("*")
        if each.is_file() and each.name not in {NOTE, ".lock"}
    }


def process(url, to, **how):
    command = [sys.executable, "-c", FETCH, url, str(to)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **how)


def until(condition):
    for _ in range(600):
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError("it did not happen")


def test_all_parts_come_and_a_second_time_nothing_is_fetched(server, archives, get, tmp_path):
    fetched = get(archives)
    assert set(fetched.new) == {"Corpus/one", "Corpus/two"}
    assert (fetched.present, fetched.failed) == ((), ())
    assert seen(tmp_path / "data") == PARTS["one"] | PARTS["two"]
    assert "Corpus/one: 2 files, 0.0 MB" in get.said.getvalue()
    server.asked.clear()
    assert get(archives).present == ("Corpus/one", "Corpus/two")
    assert server.asked == []


def test_a_part_is_added_to_those_there(server, archives, get, tmp_path):
    get(archives[:1])
    (tmp_path / "data" / "Corpus" / "README.TXT").write_text("mine")
    fetched = get(archives)
    assert (fetched.present, fetched.new) == (("Corpus/one",), ("Corpus/two",))
    assert server.asked_of("/one.tgz") == [None]
    assert seen(tmp_path / "data") == PARTS["one"] | PARTS["two"] | {"Corpus/README.TXT": b"mine"}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"s/etc/P": b"1", "s/wav/a": b"2"}, {"x/s/etc/P": b"1", "x/s/wav/a": b"2"}),
        ({"./other/etc/P": b"1"}, {"x/s/etc/P": b"1"}),
        ({"etc/P": b"1", "wav/a": b"2"}, {"x/s/etc/P": b"1", "x/s/wav/a": b"2"}),
        ({"s/a": b"1", "beside": b"2"}, {"x/s/a": b"1", "x/beside": b"2"}),
    ],
)
def test_the_folder_at_the_top_or_else_all_of_it(server, get, tmp_path, files, expected):
    server.put("/s.tgz", packed(files))
    get([Archive(f"{server.url}/s.tgz", "x/s")])
    assert seen(tmp_path / "data") == expected


def test_a_folder_of_somebody_else_is_left_alone(server, archives, get, tmp_path):
    mine = tmp_path / "data" / "Corpus" / "one" / "mine.wav"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    with pytest.raises(DownloadError, match="nobody can tell whether it is whole"):
        get(archives)
    assert mine.read_text() == "mine"
    assert server.asked == []


def test_a_folder_from_which_something_went(archives, get, tmp_path):
    get(archives)
    (tmp_path / "data" / "Corpus" / "one" / "1.wav").unlink()
    with pytest.raises(DownloadError, match="no longer whole: 1 files with 500 bytes of 2 with"):
        get(archives)
    (tmp_path / "data" / "Corpus" / "one" / "1.wav").write_bytes(b"")
    with pytest.raises(DownloadError, match="no longer whole"):
        get(archives)


def test_one_that_fails_does_not_end_the_others(server, archives, get, tmp_path):
    hostile = packed({"../../out": b"x"})
    server.put("/one.tgz", hostile)
    ((folder, error),) = get(archives).failed
    assert folder == "Corpus/one"
    assert str(error).startswith(f"{server.url}/one.tgz: it holds '../../out'")
    assert seen(tmp_path) == {f"data/{name}": content for name, content in PARTS["two"].items()}
    server.put("/one.tgz", packed({"else/1": b""}))
    ((_, error),) = get(archives).failed
    assert "holds no folder Corpus/one, but 'else'" in str(error)
    server.put("/one.tgz", packed(PARTS["one"]))
    assert get(archives).new == ("Corpus/one",)
    assert seen(tmp_path / "data") == PARTS["one"] | PARTS["two"]


def test_after_many_failures_the_others_are_not_tried(server, get):
    archives = [Archive(f"{server.url}/{n}.tgz", f"{n}") for n in range(50)]
    fetched = get(archives, jobs=1)
    assert len(fetched.failed) == MOST_FAILURES
    assert len(server.asked) < MOST_FAILURES + 3


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda corpus: corpus.write_text("mine"), "in the way"),
        (lambda corpus: corpus.symlink_to("/nowhere"), "in the way"),
        (lambda corpus: (corpus.mkdir(), (corpus / "one").symlink_to("/nowhere")), "in the way"),
        (lambda corpus: corpus.symlink_to("/dev/shm"), "is on another disk than"),
    ],
)
def test_what_cannot_be_renamed_into_its_place_is_not_fetched(
    server, archives, get, tmp_path, make, said
):
    shm = Path("/dev/shm")
    if "disk" in said and (not shm.is_dir() or shm.stat().st_dev == tmp_path.stat().st_dev):
        pytest.skip("no second disk here")
    (tmp_path / "data").mkdir()
    make(tmp_path / "data" / "Corpus")
    with pytest.raises(DownloadError, match=said) as told:
        get(archives)
    assert "--to FOLDER" in told.value.hint
    assert server.asked == []


def test_names_as_long_as_the_disk_allows_and_longer(server, get, tmp_path):
    server.put("/s.tgz", packed({"s/a": b"1"}))
    name = "я" * 120  # 240 bytes; as an address six times as many
    get([Archive(f"{server.url}/s.tgz", name)])
    assert seen(tmp_path / "data") == {f"{name}/a": b"1"}
    ((_, error),) = get([Archive(f"{server.url}/s.tgz", name * 2)]).failed
    assert "too long a name" in str(error)


def test_a_folder_with_a_link_to_nothing_and_a_note_that_is_none(archives, get, tmp_path):
    get(archives)
    (tmp_path / "data" / "Corpus" / "one" / "mine").symlink_to("/nowhere")
    assert get(archives).present == ("Corpus/one", "Corpus/two")
    (tmp_path / "data" / "Corpus" / "one" / NOTE).write_text('{"files": 1e999, "bytes": 1}')
    with pytest.raises(DownloadError, match="nobody can tell"):
        get(archives)


def test_an_archive_with_a_folder_of_our_notes_name(server, get, tmp_path):
    server.put("/s.tgz", packed({f"s/{NOTE}/a": b"1", "s/b": b"2"}))
    ((_, error),) = get([Archive(f"{server.url}/s.tgz", "x")]).failed
    assert f"holds a folder {NOTE}" in str(error)
    assert seen(tmp_path / "data") == {}


def test_no_room(server, archives, get, tmp_path):
    archives = [
        Archive(each.url, each.folder, size=10**18, growth=1.5, inside=each.inside)
        for each in archives
    ]
    needed = r"needs about 5000000000\.0 GB: 2000000000\.0 GB to fetch and 3000000000\.0 GB unpack"
    with pytest.raises(DownloadError, match=needed):
        get(archives)
    assert server.asked == []
    assert seen(tmp_path) == {}


def test_a_disk_that_gets_full_and_is_freed(archives, get, tmp_path):
    with files_of_at_most(5_000), pytest.raises(HopelessError, match="the disk is full"):
        get(archives)
    assert not (tmp_path / "data" / "Corpus").exists()
    get(archives)
    assert seen(tmp_path / "data") == PARTS["one"] | PARTS["two"]


def test_a_disk_that_gets_full_while_unpacking(server, get, tmp_path):
    server.put("/s.tgz", packed({"s/zeros": bytes(100_000)}))
    archives = [Archive(f"{server.url}/s.tgz", "s")]
    with files_of_at_most(50_000), pytest.raises(HopelessError, match="the disk is full"):
        get(archives)
    assert not (tmp_path / "data" / "s").exists()
    get(archives)
    assert seen(tmp_path / "data") == {"s/zeros": bytes(100_000)}
    assert server.asked_of("/s.tgz") == [None]  # what was fetched is kept


def test_two_archives_for_one_folder(server, archives, get):
    with pytest.raises(DownloadError, match="two archives become the folder Corpus/one"):
        get([*archives, archives[0]])


def test_a_folder_that_cannot_be_written(archives, get, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="cannot be written") as told:
        get(archives, tmp_path / "file" / "data")
    assert "--to FOLDER" in told.value.hint


def test_killed_it_goes_on_where_it_was_and_two_at_once_do_no_harm(server, tmp_path):
    content = random.Random(3).randbytes(2_000_000)
    server.put("/s.tgz", packed({"s/noise": content}), seconds_per_kilobyte=0.001)
    url, to = f"{server.url}/s.tgz", tmp_path / "data"
    part = to / ".download" / "corpus.part"
    with process(url, to) as first:
        until(lambda: part.exists() and part.stat().st_size > 300_000)
        with process(url, to) as second:
            assert f"is in use by process {first.pid}" in second.communicate()[0]
        assert second.returncode == 2
        os.kill(first.pid, signal.SIGKILL)
    assert first.returncode == -signal.SIGKILL
    assert not (to / "corpus").exists()
    have = part.stat().st_size
    server.pages["/s.tgz"].seconds_per_kilobyte = 0
    with process(url, to) as third:
        assert third.communicate()[0].strip() == "('corpus',)"
    assert server.asked_of("/s.tgz") == [None, f"bytes={have}-"]
    assert seen(to) == {"corpus/noise": content}


def test_killed_while_unpacking(server, get, tmp_path):
    files = {f"s/{n}": random.Random(n).randbytes(100) for n in range(3_000)}
    server.put("/s.tgz", packed(files))
    url, to = f"{server.url}/s.tgz", tmp_path / "data"
    opened = to / ".download" / "corpus.open"
    with process(url, to) as first:
        until((opened / "s" / "200").exists)
        os.kill(first.pid, signal.SIGKILL)
    assert opened.exists()
    assert not (to / "corpus").exists()
    assert get([Archive(url, "corpus")]).new == ("corpus",)
    assert len(server.asked) == 1
    assert {f"s/{name.removeprefix('corpus/')}": each for name, each in seen(to).items()} == files


def test_interrupted_while_the_server_is_silent(server, tmp_path):
    server.put("/s.tgz", bytes(100_000), seconds_per_kilobyte=60)
    with process(f"{server.url}/s.tgz", tmp_path / "data", stderr=subprocess.DEVNULL) as first:
        until(lambda: server.asked)
        time.sleep(0.3)
        began = time.monotonic()
        first.send_signal(signal.SIGINT)
        first.wait(60)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "file:///etc/passwd"},
        {"url": "ftp://host/x"},
        {"url": "/etc/passwd"},
        {"folder": "../x"},
        {"folder": "/x"},
        {"folder": ""},
        {"inside": ".."},
        {"checksum": "crc:1"},
        {"checksum": "md5:"},
    ],
)
def test_an_archive_says_nothing_impossible(wrong):
    with pytest.raises(ValueError, match=r"no path|no http|neither"):
        Archive(**{"url": "http://host/x", "folder": "x", **wrong})
