"""One file of the web into one place: resumed where it was cut, checked, and then renamed.

Until then it is PLACE.part, with PLACE.part.json beside it, which says what file of the server
these are the first bytes of.
"""

import contextlib
import hashlib
import http.client
import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from threading import Event

from speechkit.download.trouble import (
    HopelessError,
    PassingError,
    StoppedError,
    free_bytes,
    in_words,
    writing,
)
from speechkit.download.web import Patience, opened
from speechkit.errors import DownloadError

_CHUNK = 1 << 18
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)")

Tell = Callable[[int, int | None], None]
"""Bytes that are there, and of how many; None: not known."""


@dataclass(frozen=True)
class _Note:
    """Which file of a server a part is of.

    version  what the server gives to tell one version of a file from another: its strong ETag or
             its date; empty: nothing, and the part cannot be gone on with
    size     bytes of the whole; None: not known
    """

    url: str
    version: str
    size: int | None


def fetch(url: str, place: Path, *, checksum: str = "", tell: Tell, stop: Event) -> None:
    """Put the file at `url` into `place`, whole.

    Args:
        url: of the file.
        place: for it; in an existing folder.
        checksum: "md5:..." or "sha256:..." of it, or empty.
        tell: how far it is.
        stop: ends it early; a later call goes on where it was.

    Raises:
        DownloadError: it cannot be had, or is not what it should be.
        StoppedError: `stop` was set.
    """
    part = place.with_name(f"{place.name}.part")
    patience = Patience(url, stop)
    while True:
        try:
            _go_on(url, part, tell, stop, is_checked=bool(checksum))
            break
        except PassingError as trouble:
            patience.wait(trouble, _size(part))
    if checksum:
        _check(url, part, checksum)
    with writing(place):
        part.replace(place)
        _beside(part).unlink(missing_ok=True)


def _go_on(url: str, part: Path, tell: Tell, stop: Event, *, is_checked: bool) -> None:
    """One attempt. When it returns, `part` is whole."""
    note, have = _noted(part, url), _size(part)
    if note and note.size == have and part.exists():
        tell(have, have)
        return
    asked = {}
    if note and note.version and 0 < have < (note.size or have + 1):
        asked = {"Range": f"bytes={have}-", "If-Range": note.version}
    with opened(url, asked) as response:
        if response.status == http.client.OK:  # from the start, since it changed or cannot else
            have, note = 0, _Note(url, _version(response), response.length)
        elif not asked or not note:
            raise PassingError("the server gave a part of the file, and was asked for all")
        elif not _continues(response, have, note):  # a 416, too: it has become shorter
            _forget(part)
            _go_on(url, part, tell, stop, is_checked=is_checked)
            return
        else:  # a server may say how long the file is only now
            note = replace(note, size=_whole_size(response))
        if note.size is None and not response.chunked and not is_checked:
            raise DownloadError(
                f"{url}: the server does not say how long the file is, so that nobody can tell "
                "whether it came whole",
                hint="take a mirror: --base-url URL",
            )
        _room(part, note.size, have)
        if not have:  # the note first: a part without one is thrown away
            with writing(part):
                part.unlink(missing_ok=True)
                _beside(part).write_text(json.dumps(asdict(note)), "utf-8")
        _write(response, part, have, note.size, tell, stop)


def _write(
    response: http.client.HTTPResponse,
    part: Path,
    have: int,
    size: int | None,
    tell: Tell,
    stop: Event,
) -> None:
    with contextlib.ExitStack() as stack:
        with writing(part):
            file = stack.enter_context(part.open("ab", buffering=0))
        tell(have, size)
        while chunk := response.read1(_CHUNK):
            if stop.is_set():
                raise StoppedError
            with writing(part):
                left = memoryview(chunk)
                while left:  # a disk that becomes full takes a part of it, and then raises
                    left = left[file.write(left) :]
            have += len(chunk)
            tell(have, size)
    if size is not None and have != size:
        raise PassingError(f"cut off after {have:,} of {size:,} bytes")


def _continues(response: http.client.HTTPResponse, have: int, note: _Note) -> bool:
    """Whether the answer is the rest of the file that is begun."""
    found = _range(response)
    if response.status != http.client.PARTIAL_CONTENT or not found:
        return False
    start, size = map(int, found.groups())
    is_same = _version(response) in {"", note.version}  # for servers that skip over If-Range
    return is_same and start == have and size == (note.size or size)


def _whole_size(response: http.client.HTTPResponse) -> int | None:
    found = _range(response)
    return int(found[2]) if found else None


def _range(response: http.client.HTTPResponse) -> re.Match[str] | None:
    return _RANGE.fullmatch(response.headers.get("Content-Range", "").strip())


def _version(response: http.client.HTTPResponse) -> str:
    tag: str = response.headers.get("ETag", "")
    if not tag or tag.startswith("W/"):  # a weak one does not promise equal bytes
        tag = response.headers.get("Last-Modified", "")
    return tag if tag.isprintable() else ""  # it is sent back, where only such can be sent


def _room(part: Path, size: int | None, have: int) -> None:
    free = free_bytes(part)
    if size is not None and size - have > free:
        raise HopelessError(
            f"{part.name} needs {in_words(size - have)} more, and {in_words(free)} are free in "
            f"{part.parent}",
            hint="free some space, or name a folder on a larger disk: --to FOLDER",
        )


def _check(url: str, part: Path, checksum: str) -> None:
    algorithm, _, expected = checksum.partition(":")
    with part.open("rb") as file:
        found = hashlib.file_digest(file, algorithm).hexdigest()
    if found != expected.lower():
        _forget(part)
        raise DownloadError(
            f"{url}: its {algorithm} is {found}, and should be {expected}",
            hint="what was fetched is thrown away: give the same command again; if it stays so, "
            "the server has another file than the corpus's authors made",
        )


def _beside(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _noted(part: Path, url: str) -> _Note | None:
    try:
        note = _Note(**json.loads(_beside(part).read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return note if note.url == url else None


def _forget(part: Path) -> None:
    part.unlink(missing_ok=True)
    _beside(part).unlink(missing_ok=True)


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0
