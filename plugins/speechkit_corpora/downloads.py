"""Where LibriSpeech, LJSpeech and VoxForge are to be had: `speechkit data get NAME`."""

import html
import re
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote, unquote, urlsplit

from pydantic import AfterValidator

from speechkit import Archive, Config, DataError, Field


def _an_address(url: str) -> str:
    parts = urlsplit(url)  # it and its port raise a ValueError, too
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.port == 0:
        raise ValueError("no address: it begins with http:// or https:// and a host's name")
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("an address has ASCII letters and no spaces: %20 stands for a space")
    return url


_Address = Annotated[str, AfterValidator(_an_address)]
_Part = Literal[
    "dev-clean",
    "dev-other",
    "test-clean",
    "test-other",
    "train-clean-100",
    "train-clean-360",
    "train-other-500",
    "dev-clean-2",
    "train-clean-5",
]

# Part -> number of the resource at openslr.org, bytes, checksum. The first seven are LibriSpeech,
# with the checksums torchaudio 2.11 knows them by; the others are Mini LibriSpeech, with those of
# openslr.org/resources/31/md5sum.txt.
_LIBRISPEECH: Mapping[str, tuple[int, int, str]] = {
    "dev-clean": (
        12,
        337_926_286,
        "sha256:76f87d090650617fca0cac8f88b9416e0ebf80350acb97b343a85fa903728ab3",
    ),
    "dev-other": (
        12,
        314_305_928,
        "sha256:12661c48e8c3fe1de2c1caa4c3e135193bfb1811584f11f569dd12645aa84365",
    ),
    "test-clean": (
        12,
        346_663_984,
        "sha256:39fde525e59672dc6d1551919b1478f724438a95aa55f874b576be21967e6c23",
    ),
    "test-other": (
        12,
        328_757_843,
        "sha256:d09c181bba5cf717b3dee7d4d592af11a3ee3a09e08ae025c5506f6ebe961c29",
    ),
    "train-clean-100": (
        12,
        6_387_309_499,
        "sha256:d4ddd1d5a6ab303066f14971d768ee43278a5f2a0aa43dc716b0e64ecbbbf6e2",
    ),
    "train-clean-360": (
        12,
        23_049_477_885,
        "sha256:146a56496217e96c14334a160df97fffedd6e0a04e66b9c5af0d40be3c792ecf",
    ),
    "train-other-500": (
        12,
        30_593_501_606,
        "sha256:ddb22f27f96ec163645d53215559df6aa36515f26e01dd70798188350adcb6d2",
    ),
    "dev-clean-2": (31, 126_046_265, "md5:6d7ab67ac6a1d2c993d050e16d61080d"),
    "train-clean-5": (31, 332_954_390, "md5:5df7d4e78065366204ca6845bb08f490"),
}
_FLAC_GROWTH = 1.05  # FLAC is packed already
_WAV_GROWTH = 2.0


class LibriSpeechDownloadConfig(Config):
    """Which parts of LibriSpeech, and from where."""

    parts: list[_Part] = Field(
        min_length=1,
        description="train-clean-5 and dev-clean-2 are Mini LibriSpeech, taken from the large ones",
    )
    base_url: _Address = Field(
        "https://www.openslr.org/resources",
        description="a mirror's, below which are 12/dev-clean.tar.gz and 31/dev-clean-2.tar.gz",
    )


class LibriSpeechDownload:
    """LibriSpeech: 1000 hours of English audio books, CC BY 4.0, openslr.org/12 and /31."""

    def __init__(self, config: LibriSpeechDownloadConfig) -> None:
        self._parts = list(dict.fromkeys(config.parts))
        self._base = config.base_url.rstrip("/")

    def archives(self, read: Callable[[str], str]) -> Sequence[Archive]:  # noqa: ARG002 - no index
        """One of each part."""
        found = []
        for part in self._parts:
            resource, size, checksum = _LIBRISPEECH[part]
            archive = Archive(
                f"{self._base}/{resource}/{part}.tar.gz",
                folder=f"LibriSpeech/{part}",
                inside=f"LibriSpeech/{part}",
                size=size,
                growth=_FLAC_GROWTH,
                checksum=checksum,
            )
            found.append(archive)
        return found

    def corpora(self, folder: Path) -> Mapping[str, Mapping[str, Any]]:
        """`train` and `validation` have all parts of their kind, each test part is one test."""
        train = [each for each in self._parts if each.startswith("train")]
        validation = [each for each in self._parts if each.startswith("dev")]
        tests = [each for each in self._parts if each.startswith("test")]
        tables = {"train": train, "validation": validation}
        tables |= {f"test.{each.replace('-', '_')}": [each] for each in tests}
        path = str(folder / "LibriSpeech")
        return {
            name: {"use": "librispeech", "path": path, "parts": parts}
            for name, parts in tables.items()
            if parts
        }


class LJSpeechDownloadConfig(Config):
    """From where."""

    base_url: _Address = Field(
        "https://data.keithito.com/data/speech",
        description="a mirror's, below which is LJSpeech-1.1.tar.bz2",
    )


class LJSpeechDownload:
    """LJSpeech 1.1: 24 hours of one reader of English, public domain, keithito.com."""

    def __init__(self, config: LJSpeechDownloadConfig) -> None:
        self._base = config.base_url.rstrip("/")

    def archives(self, read: Callable[[str], str]) -> Sequence[Archive]:  # noqa: ARG002 - no index
        """The one there is; its checksum is the one torchaudio 2.11 knows it by."""
        archive = Archive(
            f"{self._base}/LJSpeech-1.1.tar.bz2",
            folder="LJSpeech-1.1",
            inside="LJSpeech-1.1",
            size=2_748_572_632,
            growth=1.5,
            checksum="sha256:be1a30453f28eb8dd26af4101ae40cbf2c50413b1bb21936cbcdc6fae3de8aa5",
        )
        return [archive]

    def corpora(self, folder: Path) -> Mapping[str, Mapping[str, Any]]:
        """All of it, to train on."""
        return {"train": {"use": "ljspeech", "path": str(folder / "LJSpeech-1.1")}}


class VoxForgeDownloadConfig(Config):
    """Which sessions of VoxForge, and from where."""

    language: str = Field(
        pattern="^[a-z]{2,3}$", description="its code: ru, en, de, fr, it, es, nl, pt, ..."
    )
    speaker: list[str] = Field(
        [], description="take their sessions alone: urp of urp, natali of natali-20110507-jum"
    )
    sessions: int | None = Field(
        None, gt=0, description="take so many, in the order of their names"
    )
    base_url: _Address = Field(
        "http://www.repository.voxforge1.org/downloads",
        description="a mirror's, below which is LANGUAGE/Trunk/Audio/Main/16kHz_16bit/",
    )


# VoxForge's folders of these languages; that of another is called by the language's code.
_VOXFORGE_FOLDERS = {"en": "SpeechCorpus", "nl": "Dutch", "ru": "Russian"}
_LINK = re.compile(r"""href=["']?(?:[^"'\s>]*/)?(?P<name>[^/"'\s>?]+)\.tgz["'\s>]""", re.IGNORECASE)
_SIZE = re.compile(r"[\s>](?P<number>\d+(?:\.\d+)?)(?P<unit>[KMG])\b")  # as Apache lists it
_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_SESSION = re.compile(r"(?P<speaker>.+)-\d{8}-[^-]+")


class VoxForgeDownload:
    """VoxForge: sentences read by volunteers in many languages, GNU GPL, voxforge.org."""

    def __init__(self, config: VoxForgeDownloadConfig) -> None:
        self._config = config
        self._folder = f"voxforge/{config.language}"

    def archives(self, read: Callable[[str], str]) -> Sequence[Archive]:
        """One of each session in the index that is asked for.

        Raises:
            DataError: the index lists none, or none of a speaker who is asked for.
        """
        config = self._config
        folder = _VOXFORGE_FOLDERS.get(config.language, config.language)
        url = f"{config.base_url.rstrip('/')}/{folder}/Trunk/Audio/Main/16kHz_16bit/"
        sizes = _sessions(read(url))
        if not sizes:
            raise DataError(
                f"{url} lists no session, NAME.tgz", hint="is the base URL that of VoxForge?"
            )
        names = sorted(sizes)
        if config.speaker:
            _check_speakers(config.speaker, names)
            names = [each for each in names if speaker_of(each) in config.speaker]
        return [
            Archive(
                f"{url}{quote(name)}.tgz",
                folder=f"{self._folder}/{name}",
                size=sizes[name],
                growth=_WAV_GROWTH,
            )
            for name in names[: config.sessions]
        ]

    def corpora(self, folder: Path) -> Mapping[str, Mapping[str, Any]]:
        """All sessions that are there, to train on."""
        return {"train": {"use": "voxforge", "path": str(folder / self._folder)}}


def speaker_of(session: str) -> str:
    """The name a session was given by its speaker.

    >>> speaker_of("natali-20110507-jum"), speaker_of("urp")
    ('natali', 'urp')
    """
    found = _SESSION.fullmatch(session)
    return found["speaker"] if found else session


def _sessions(index: str) -> dict[str, int | None]:
    """Sessions of an index page, and about how many bytes each has, where it says so.

    >>> _sessions('<a href="ann-20110507-jum.tgz">ann..&gt;</a> 25-Oct-2011 11:10  1.5K')
    {'ann-20110507-jum': 1536}
    """
    sizes: dict[str, int | None] = {}
    for entry in re.split(r"<a\s", index)[1:]:
        link, size = _LINK.match(entry), _SIZE.search(entry.partition("</a>")[2])
        name = unquote(html.unescape(link["name"])) if link else ""
        if name.isprintable() and name and not name.startswith(".") and "/" not in name:
            sizes[name] = round(float(size["number"]) * _UNITS[size["unit"]]) if size else None
    return sizes


def _check_speakers(wanted: Sequence[str], names: Sequence[str]) -> None:
    known = {speaker_of(each) for each in names}
    for each in wanted:
        if each not in known:
            near = get_close_matches(each, sorted(known))
            hint = f"did you mean {' or '.join(near)}?" if near else ""
            raise DataError(
                f"the index lists no session of the speaker {each!r}",
                hint=hint or f"it has {len(known)} speakers: {', '.join(sorted(known)[:10])}, ...",
            )
