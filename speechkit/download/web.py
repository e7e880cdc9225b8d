"""Opening an address of the web, and telling trouble that may pass from trouble that stays."""

import http.client
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from random import uniform
from threading import Event
from typing import cast
from urllib.parse import urlsplit

import speechkit
from speechkit.download.trouble import HopelessError, PassingError, StoppedError
from speechkit.errors import DownloadError

TIMEOUT_SECONDS = 30.0  # without a byte
ATTEMPTS = 5  # in a row that bring nothing
FIRST_WAIT_SECONDS = 1.0  # then twice as long each time
LONGEST_WAIT_SECONDS = 60.0
_PAGE_LIMIT = 64 << 20  # bytes; the longest index of VoxForge has less than 2 MB

_TRY_AGAIN = {408, 425, 429, 500, 502, 503, 504}
_RANGE_NOT_SATISFIABLE = 416


def _opener() -> urllib.request.OpenerDirector:
    """Knows http and https alone, also after a redirection: no ftp, and no file of this disk."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPRedirectHandler,
        urllib.request.HTTPErrorProcessor,
        urllib.request.UnknownHandler,
    ):
        opener.add_handler(handler())
    return opener


@contextmanager
def opened(url: str, headers: Mapping[str, str]) -> Iterator[http.client.HTTPResponse]:
    """What the server answers: its status is 200, 206, or 416 (the range asked for is not there).

    Raises:
        PassingError: the server cannot be reached, breaks off, or says that it is in trouble.
        DownloadError: it refuses.
    """
    given = {"User-Agent": f"speechkit/{speechkit.__version__}", "Accept-Encoding": "identity"}
    try:
        request = urllib.request.Request(url, headers={**given, **headers})  # noqa: S310 - see _opener
    except ValueError as error:
        raise DownloadError(f"{url} is no address: {error}") from None
    try:
        with _asked(request) as response:
            yield response
    except urllib.error.HTTPError as error:
        with error:
            if error.code == _RANGE_NOT_SATISFIABLE and "Range" in headers:
                yield cast("http.client.HTTPResponse", error.fp)
                return
            raise _refused(url, error) from None
    except urllib.error.URLError as error:
        if isinstance(error.reason, ssl.SSLCertVerificationError):
            raise HopelessError(
                f"{url}: the server is not who it says: {error.reason.verify_message}",
                hint="is the clock of this machine right? or take a mirror: --base-url URL",
            ) from None
        if not isinstance(error.reason, OSError):  # an address that is none, another protocol
            raise DownloadError(f"{url}: {error.reason}") from None
        raise PassingError(f"{error.reason.strerror or error.reason}") from None
    except http.client.HTTPException as error:
        raise PassingError(f"{type(error).__name__}: {error}") from None
    except (ConnectionError, TimeoutError, ssl.SSLError) as error:
        raise PassingError(f"{error.strerror or error}") from None


def _asked(request: urllib.request.Request) -> http.client.HTTPResponse:
    try:
        answer = _opener().open(request, timeout=TIMEOUT_SECONDS)
    except (http.client.InvalidURL, ValueError) as error:  # a UnicodeError is a ValueError
        raise DownloadError(
            f"{request.full_url!r} is no address, or leads to one that is none: {error}",
            hint="an address has ASCII letters and no spaces: %20 stands for a space",
        ) from None
    return cast("http.client.HTTPResponse", answer)


def _refused(url: str, error: urllib.error.HTTPError) -> Exception:
    said = f"{error.code} {error.reason}"
    if error.code in _TRY_AGAIN:
        wait = error.headers.get("Retry-After", "")
        return PassingError(said, wait_seconds=float(wait) if wait.isdecimal() else None)
    return DownloadError(
        f"{url}: the server says {said}",
        hint="is it moved? look at the corpus's page, or take a mirror: --base-url URL",
    )


class Patience:
    """How often to try again: until some attempts in a row have brought nothing new."""

    def __init__(self, url: str, stop: Event) -> None:
        self._url = url
        self._stop = stop
        self._failed = 0
        self._most = 0

    def wait(self, trouble: PassingError, had: int) -> None:
        """Wait before the next attempt; `had` bytes are there.

        Raises:
            DownloadError: it has been tried often enough.
            StoppedError: meanwhile nobody wants it any more.
        """
        self._failed = 0 if had > self._most else self._failed + 1
        self._most = max(self._most, had)
        if self._failed >= ATTEMPTS:
            raise DownloadError(
                f"{self._url}: {trouble} ({ATTEMPTS} attempts)",
                hint="give the same command again when the network and the server are well: "
                f"it goes on where it was; {urlsplit(self._url).hostname} may have a mirror: "
                "--base-url URL",
            ) from None
        seconds = FIRST_WAIT_SECONDS * 2 ** max(self._failed - 1, 0) * uniform(0.75, 1.25)  # noqa: S311 - no secret
        if trouble.wait_seconds is not None:
            seconds = trouble.wait_seconds
        if self._stop.wait(min(seconds, LONGEST_WAIT_SECONDS)):
            raise StoppedError


def read_page(url: str) -> str:
    """A page as text, such as an index of archives.

    Raises:
        DownloadError: it cannot be had.
    """
    patience = Patience(url, Event())
    while True:
        try:
            with opened(url, {}) as response:
                whole = response.length
                page = response.read(_PAGE_LIMIT + 1)
                if len(page) > _PAGE_LIMIT:
                    raise DownloadError(f"{url}: over {_PAGE_LIMIT >> 20} MiB, which is no index")
                if whole is not None and len(page) < whole:
                    raise PassingError(f"cut off after {len(page):,} of {whole:,} bytes")
                return _decoded(page, response.headers.get_content_charset())
        except PassingError as trouble:
            patience.wait(trouble, 0)


def _decoded(page: bytes, charset: str | None) -> str:
    try:
        return page.decode(charset or "utf-8", "replace")
    except (LookupError, ValueError):  # nobody knows it, or it is no encoding of text
        return page.decode("utf-8", "replace")
