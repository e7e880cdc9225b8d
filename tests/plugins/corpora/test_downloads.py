"""Where LibriSpeech, LJSpeech and VoxForge are: their addresses, and what they become."""

import importlib.util
from pathlib import Path

import pytest
from pydantic import ValidationError
from rich.console import Console
from web_server import packed

from speechkit import DataError, Download
from speechkit.download import fetch_corpus, read_page
from speechkit.reporter import Reporter
from speechkit_corpora import downloads
from speechkit_corpora.downloads import (
    LibriSpeechDownload,
    LibriSpeechDownloadConfig,
    LJSpeechDownload,
    LJSpeechDownloadConfig,
    VoxForgeDownload,
    VoxForgeDownloadConfig,
)

INDEX = """\
<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 3.2 Final//EN">
<html><head><title>Index of /downloads/Russian/Trunk/Audio/Main/16kHz_16bit</title></head><body>
<pre><img src="/icons/blank.gif" alt="Icon "> <a href="?C=N;O=D">Name</a>  <a href="?C=S">Size</a>
<hr><img src="/icons/back.gif" alt="[DIR]"> <a href="/downloads/Russian/">Parent Directory</a>  -
<img alt="[   ]"> <a href="natali-20110507-jum.tgz">natali-20110507-jum.tgz</a> 07-May-2011 1.5M
<img alt="[   ]"> <a href="anonymous-20100901-mic.tgz">anonymous..&gt;</a> 01-Sep-2010 10:11  812K
<img alt="[   ]"> <a href='natali-20090101-abc.tgz'>natali-20090..&gt;</a> 01-Jan-2009 10:11   -
<img alt="[   ]"> <a href="urp.tgz">urp.tgz</a>                 01-Sep-2010 10:11   90M
<img alt="[   ]"> <a href="%D0%B0nna-20090101-xyz.tgz">x</a>  01-Sep-2010 10:11  1K
<a href="..%2F..%2Fevil.tgz">evil</a> <a href="readme.txt">readme.txt</a> 1K
</pre></body></html>
"""


def never(url: str) -> str:
    raise AssertionError(f"{url} is read")


def voxforge(**settings) -> VoxForgeDownload:
    return VoxForgeDownload(VoxForgeDownloadConfig(**{"language": "ru", **settings}))


def test_librispeech():
    config = LibriSpeechDownloadConfig(
        parts=["test-clean", "train-clean-5", "dev-clean", "train-clean-100", "train-clean-5"]
    )
    download: Download = LibriSpeechDownload(config)
    archives = {each.folder: each for each in download.archives(never)}
    assert list(archives) == [
        "LibriSpeech/test-clean",
        "LibriSpeech/train-clean-5",
        "LibriSpeech/dev-clean",
        "LibriSpeech/train-clean-100",
    ]
    mini = archives["LibriSpeech/train-clean-5"]
    assert mini.url == "https://www.openslr.org/resources/31/train-clean-5.tar.gz"
    large = archives["LibriSpeech/dev-clean"]
    assert large.url == "https://www.openslr.org/resources/12/dev-clean.tar.gz"
    assert download.corpora(Path("/d")) == {
        "train": {
            "use": "librispeech",
            "path": "/d/LibriSpeech",
            "parts": ["train-clean-5", "train-clean-100"],
        },
        "validation": {"use": "librispeech", "path": "/d/LibriSpeech", "parts": ["dev-clean"]},
        "test.test_clean": {
            "use": "librispeech",
            "path": "/d/LibriSpeech",
            "parts": ["test-clean"],
        },
    }


def test_every_part_of_librispeech_has_a_checksum():
    parts = list(downloads._LIBRISPEECH)
    archives = LibriSpeechDownload(LibriSpeechDownloadConfig(parts=parts)).archives(never)
    assert len(archives) == 9
    lengths = {"md5": 32, "sha256": 64}
    for each in archives:
        algorithm, value = each.checksum.split(":")
        assert len(bytes.fromhex(value)) * 2 == lengths[algorithm]
        assert each.size


def test_checksums_are_those_torchaudio_knows():
    spec = importlib.util.find_spec("torchaudio")  # its text: importing it takes seconds
    assert spec is not None
    datasets = Path(str(spec.origin)).parent / "datasets"
    librispeech = (datasets / "librispeech.py").read_text()
    for part, (resource, _, checksum) in downloads._LIBRISPEECH.items():
        if resource == 12:
            value = checksum.removeprefix("sha256:")
            assert f'/resources/12/{part}.tar.gz": "{value}"' in librispeech
    (archive,) = LJSpeechDownload(LJSpeechDownloadConfig()).archives(never)
    ljspeech = (datasets / "ljspeech.py").read_text()
    assert f'"url": "{archive.url}"' in ljspeech
    assert f'"checksum": "{archive.checksum.removeprefix("sha256:")}"' in ljspeech


def test_voxforge_lists_what_the_index_has():
    asked = []

    def read(url: str) -> str:
        asked.append(url)
        return INDEX

    archives = voxforge().archives(read)
    base = "http://www.repository.voxforge1.org/downloads/Russian/Trunk/Audio/Main/16kHz_16bit/"
    assert asked == [base]
    assert [(each.folder, each.size) for each in archives] == [
        ("voxforge/ru/anonymous-20100901-mic", 812 << 10),
        ("voxforge/ru/natali-20090101-abc", None),
        ("voxforge/ru/natali-20110507-jum", 3 << 19),
        ("voxforge/ru/urp", 90 << 20),
        ("voxforge/ru/аnna-20090101-xyz", 1 << 10),
    ]
    assert archives[3].url == f"{base}urp.tgz"
    assert archives[4].url == f"{base}%D0%B0nna-20090101-xyz.tgz"
    assert voxforge().corpora(Path("/d")) == {
        "train": {"use": "voxforge", "path": "/d/voxforge/ru"}
    }


@pytest.mark.parametrize(
    ("language", "folder"), [("en", "SpeechCorpus"), ("nl", "Dutch"), ("de", "de")]
)
def test_the_folders_of_languages(language, folder):
    asked = []
    voxforge(language=language, base_url="http://mirror/v/").archives(
        lambda url: asked.append(url) or INDEX
    )
    assert asked == [f"http://mirror/v/{folder}/Trunk/Audio/Main/16kHz_16bit/"]


def test_speakers_and_a_number_of_sessions():
    taken = voxforge(speaker=["natali", "urp"]).archives(lambda url: INDEX)
    names = [Path(each.folder).name for each in taken]
    assert names == ["natali-20090101-abc", "natali-20110507-jum", "urp"]
    taken = voxforge(speaker=["natali"], sessions=1).archives(lambda url: INDEX)
    assert [Path(each.folder).name for each in taken] == ["natali-20090101-abc"]


def test_a_speaker_who_is_not_there():
    with pytest.raises(DataError, match="no session of the speaker 'natalia'") as told:
        voxforge(speaker=["natalia"]).archives(lambda url: INDEX)
    assert told.value.hint == "did you mean natali?"


@pytest.mark.parametrize(
    "base",
    [
        "mirror/v",
        "/srv/mirror",
        "file:///srv",
        "http://",
        "",
        "http://[::1",
        "http://host:port",
        "http://host/a b",
        "http://host/сессии",
        "http://host/a\n",
    ],
)
def test_a_base_that_is_no_address(base):
    with pytest.raises(ValidationError, match="base_url"):
        voxforge(base_url=base)


def test_an_index_of_something_else():
    with pytest.raises(DataError, match="lists no session"):
        voxforge().archives(lambda url: "<html><a href='x.zip'>x</a></html>")


@pytest.mark.parametrize("name", ["a%00b", "a%0Ab", "a%1B[31m", "..", "a%2Fb"])
def test_names_that_can_be_no_session_are_no_sessions(name):
    assert downloads._sessions(f'<a href="{name}.tgz"><a href="ok.tgz">') == {"ok": None}


def test_all_three_from_a_mirror(server, tmp_path, monkeypatch):
    """As the sources have it: an index, an archive of all, an archive of a part."""
    monkeypatch.setattr("speechkit.download.fetch._check", lambda url, part, checksum: None)
    session = "natali-20110507-jum"
    here = "/v/Russian/Trunk/Audio/Main/16kHz_16bit/"
    server.put(here, f'<a href="{session}.tgz">'.encode())
    server.put(
        f"{here}{session}.tgz",
        packed({f"{session}/etc/PROMPTS": b"P", f"{session}/wav/ru_1.wav": b"W"}),
    )
    server.put(
        "/LJSpeech-1.1.tar.bz2",
        packed({"LJSpeech-1.1/metadata.csv": b"M", "LJSpeech-1.1/wavs/a.wav": b"W"}, "w:bz2"),
    )
    server.put(
        "/31/dev-clean-2.tar.gz",
        packed({"LibriSpeech/README.TXT": b"R", "LibriSpeech/dev-clean-2/1/2/a.flac": b"F"}),
    )
    every: list[Download] = [
        voxforge(base_url=f"{server.url}/v"),
        LJSpeechDownload(LJSpeechDownloadConfig(base_url=server.url)),
        LibriSpeechDownload(
            LibriSpeechDownloadConfig(base_url=f"{server.url}/", parts=["dev-clean-2"])
        ),
    ]
    monkeypatch.setattr("speechkit.download.corpus.free_bytes", lambda place: 1 << 40)
    for each in every:
        archives = each.archives(read_page)
        reporter = Reporter(Console(quiet=True))
        assert not fetch_corpus(archives, tmp_path, jobs=1, reporter=reporter).failed
    assert {str(each.relative_to(tmp_path)) for each in tmp_path.rglob("*") if each.suffix} >= {
        f"voxforge/ru/{session}/wav/ru_1.wav",
        "LJSpeech-1.1/metadata.csv",
        "LibriSpeech/README.TXT",
        "LibriSpeech/dev-clean-2/1/2/a.flac",
    }
    for each in every:
        for table in each.corpora(tmp_path).values():
            assert Path(table["path"]).is_dir()
