"""One file: never taken for whole when it is not, and never glued together from two."""

import hashlib
import http.client
import random
import resource
from contextlib import contextmanager
from threading import Event

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from speechkit import DownloadError
from speechkit.download.fetch import fetch
from speechkit.download.trouble import HopelessError, StoppedError
from speechkit.download.web import ATTEMPTS, read_page

CONTENT = random.Random(1).randbytes(50_000)
OTHER = random.Random(2).randbytes(50_000)


def get(server, place, path="/file", **how):
    how = {"tell": lambda done, size: None, "stop": Event(), **how}
    fetch(f"{server.url}{path}", place, **how)
    return place.read_bytes()


def begin(server, place, *, until=20_000, **how):
    """Fetch the first bytes, as a process does that is stopped."""
    stop = Event()

    def tell(done, size):
        if done >= until:
            stop.set()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("speechkit.download.fetch._CHUNK", 1_000)
        with pytest.raises(StoppedError):
            get(server, place, tell=tell, stop=stop, **how)
    assert not place.exists()
    part = place.with_name(f"{place.name}.part")
    assert CONTENT.startswith(part.read_bytes())
    return part


@contextmanager
def files_of_at_most(size):
    """As if the disk had room for `size` bytes: writing more fails, as the system has it fail."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def place(tmp_path):
    return tmp_path / "file.tgz"


def test_a_file_comes_whole_and_nothing_is_left_beside_it(server, place):
    server.put("/file", CONTENT)
    seen = []
    checksum = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
    tell = lambda done, size: seen.append((done, size))  # noqa: E731
    assert get(server, place, checksum=checksum, tell=tell) == CONTENT
    assert seen[0] == (0, 50_000)
    assert seen[-1] == (50_000, 50_000)
    assert [each.name for each in place.parent.iterdir()] == [place.name]


def test_a_cut_connection_is_gone_on_with(server, place):
    server.put("/file", CONTENT, cuts=[10_000, 5_000])
    assert get(server, place) == CONTENT
    assert server.asked_of("/file") == [None, "bytes=10000-", "bytes=15000-"]


def test_a_server_without_ranges_starts_again(server, place):
    server.put("/file", CONTENT, cuts=[10_000, 5_000], has_ranges=False)
    assert get(server, place) == CONTENT


@pytest.mark.parametrize(
    ("tag", "modified"), [('"one"', None), (None, "Mon, 02 Nov 2015 11:28:06 GMT")]
)
def test_a_stopped_one_goes_on_where_it_was(server, place, tag, modified):
    server.put("/file", CONTENT, tag=tag, modified=modified)
    part = begin(server, place)
    have = part.stat().st_size
    assert get(server, place) == CONTENT
    assert server.asked_of("/file") == [None, f"bytes={have}-"]


@pytest.mark.parametrize("tag", [None, 'W/"weak"'])
def test_without_a_version_nothing_is_gone_on_with(server, place, tag):
    server.put("/file", CONTENT, tag=tag)
    begin(server, place)
    server.put("/file", OTHER, tag=tag)
    assert get(server, place) == OTHER
    assert server.asked_of("/file") == [None, None]


@pytest.mark.parametrize("how", [{}, {"heeds_if_range": False}, {"tags_parts": False}])
@pytest.mark.parametrize("size", [50_000, 30_000, 10_000])
def test_a_file_that_changed_meanwhile_is_not_glued_together(server, place, how, size):
    server.put("/file", CONTENT)
    begin(server, place)
    server.put("/file", OTHER[:size], tag='"two"', **how)
    assert get(server, place) == OTHER[:size]


def test_another_address_starts_again(server, place):
    server.put("/file", CONTENT)
    begin(server, place)
    server.put("/mirror", OTHER)
    assert get(server, place, "/mirror") == OTHER


@pytest.mark.parametrize("note", ["", "{", "[]", '{"url": 1}'])
def test_a_part_with_a_broken_note_starts_again(server, place, note):
    server.put("/file", CONTENT)
    part = begin(server, place)
    part.with_name(f"{part.name}.json").write_text(note)
    assert get(server, place) == CONTENT
    assert server.asked_of("/file") == [None, None]


def test_killed_between_the_last_byte_and_the_name(server, place):
    server.put("/file", CONTENT)
    part = begin(server, place)
    part.write_bytes(CONTENT)
    assert get(server, place) == CONTENT
    assert len(server.asked) == 1


@given(
    cuts=st.lists(st.integers(0, 3_000), max_size=ATTEMPTS - 1),
    has_ranges=st.booleans(),
    is_chunked=st.booleans(),
    tag=st.sampled_from(['"one"', None]),
    size=st.integers(0, 3_000),
)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_however_it_is_cut_it_comes_whole(
    server, tmp_path, cuts, has_ranges, is_chunked, tag, size
):
    content = CONTENT[:size]
    server.put("/file", content, cuts=cuts, has_ranges=has_ranges, is_chunked=is_chunked, tag=tag)
    assert get(server, tmp_path / "file") == content


def test_a_file_that_is_always_shorter_than_the_server_says(server, place):
    server.put("/file", CONTENT, cuts=[20_000] * 20, has_ranges=False)
    with pytest.raises(DownloadError, match="cut off after 20,000 of 50,000 bytes"):
        get(server, place)
    assert not place.exists()
    assert len(server.asked) <= ATTEMPTS + 1


def test_a_length_that_nobody_says(server, place):
    server.put("/file", CONTENT, says_length=False)
    with pytest.raises(DownloadError, match="does not say how long"):
        get(server, place)
    assert not place.exists()
    assert get(server, place, checksum=f"md5:{hashlib.md5(CONTENT).hexdigest()}") == CONTENT


def test_a_length_that_is_said_of_the_rest_alone(server, place):
    page = server.put("/file", CONTENT, is_chunked=True)
    begin(server, place)
    page.is_chunked, page.cuts = False, [5_000]
    assert get(server, place) == CONTENT


def test_a_version_that_cannot_be_sent_back_is_none(server, place):
    server.put("/file", CONTENT, tag='"one\x01"')
    begin(server, place)
    assert get(server, place) == CONTENT
    assert server.asked_of("/file") == [None, None]


def test_a_wrong_checksum_throws_the_file_away(server, place):
    server.put("/file", OTHER)
    expected = hashlib.sha256(CONTENT).hexdigest()
    with pytest.raises(DownloadError, match=f"should be {expected}"):
        get(server, place, checksum=f"sha256:{expected}")
    assert not list(place.parent.iterdir())
    server.put("/file", CONTENT)
    assert get(server, place, checksum=f"sha256:{expected}") == CONTENT


def test_what_the_server_refuses_is_not_tried_again(server, place):
    with pytest.raises(DownloadError, match="/none: the server says 404 Not Found"):
        get(server, place, "/none")
    assert len(server.asked) == 1


def test_a_server_in_trouble_is_tried_again(server, place):
    server.put("/file", CONTENT, statuses=[500, 503, 429], headers={"Retry-After": "0"})
    assert get(server, place) == CONTENT
    server.put("/file", CONTENT, statuses=[500] * 20)
    with pytest.raises(DownloadError, match=rf"500 .* \({ATTEMPTS} attempts\)") as told:
        get(server, place)
    assert "goes on where it was" in told.value.hint


def test_nobody_listens(server, place):
    with pytest.raises(DownloadError, match="Connection refused"):
        fetch("http://127.0.0.1:1/x", place, tell=lambda done, size: None, stop=Event())


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/x", "data:,x"])
def test_a_redirection_leads_to_http_alone(server, place, target):
    server.put("/file", b"", statuses=[302], headers={"Location": target})
    with pytest.raises(DownloadError, match=r"302|unknown url type"):
        get(server, place)
    assert not place.exists()


@pytest.mark.parametrize("target", ["http://[::1", "http://h:port/", f"http://{'a' * 70}.org"])
def test_a_redirection_to_no_address(server, place, target):
    server.put("/file", b"", statuses=[302], headers={"Location": target})
    with pytest.raises(DownloadError, match="no address, or leads to one"):
        get(server, place)
    assert len(server.asked) == 1


def test_a_redirection_is_followed(server, place):
    server.put("/file", b"", statuses=[302] * 9, headers={"Location": f"{server.url}/there"})
    server.put("/there", CONTENT)
    part = begin(server, place)
    assert part.stat().st_size < len(CONTENT)
    assert get(server, place) == CONTENT


def test_a_disk_that_gets_full(server, place):
    server.put("/file", CONTENT)
    with files_of_at_most(30_000), pytest.raises(HopelessError, match="the disk is full") as told:
        get(server, place)
    assert "--to FOLDER" in told.value.hint
    assert place.with_name(f"{place.name}.part").read_bytes() == CONTENT[:30_000]
    assert get(server, place) == CONTENT
    assert server.asked_of("/file") == [None, "bytes=30000-"]


def test_a_disk_without_room_is_not_written(server, place, monkeypatch):
    server.put("/file", CONTENT)
    monkeypatch.setattr("speechkit.download.fetch.free_bytes", lambda place: 49_999)
    with pytest.raises(HopelessError, match=r"needs 0\.1 MB more, and 0\.0 MB are free"):
        get(server, place)
    assert not list(place.parent.iterdir())


def test_a_page_is_read_with_patience(server):
    server.put("/index", "сессии".encode(), cuts=[3], statuses=[503])
    assert read_page(f"{server.url}/index") == "сессии"
    with pytest.raises(DownloadError, match="404"):
        read_page(f"{server.url}/none")


@pytest.mark.parametrize("charset", ["klingon", "hex", "idna", "utf-8"])
def test_a_page_in_an_encoding_that_is_none(server, monkeypatch, charset):
    server.put("/index", "сессии".encode())
    answer = http.client.HTTPMessage
    monkeypatch.setattr(answer, "get_content_charset", lambda self: charset)
    assert read_page(f"{server.url}/index") == "сессии"


@pytest.mark.parametrize(
    "url",
    [
        "/etc/passwd",
        "file:///etc/passwd",
        "ftp://host/x",
        "http://",
        "",
        "http://127.0.0.1/a b",
        "http://127.0.0.1/сессии",
        "http://host:port/",
    ],
)
def test_a_page_of_the_web_alone(url):
    with pytest.raises(DownloadError):
        read_page(url)
