"""A web server on this machine that behaves as well, or as badly, as a test wants."""

import io
import tarfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Page:
    """What a path holds, and how it is served.

    cuts      bytes after which the 1st, 2nd, ... answer breaks off; further ones come whole
    statuses  of the 1st, 2nd, ... answer, instead of the content; further ones are right
    """

    content: bytes
    tag: str | None = '"one"'
    modified: str | None = None
    has_ranges: bool = True
    heeds_if_range: bool = True
    tags_parts: bool = True  # says the version of a part, too, not of the whole alone
    is_chunked: bool = False
    says_length: bool = True
    cuts: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    seconds_per_kilobyte: float = 0.0


class Server:
    """Pages by path, and a list of what was asked: path and range, None where there was none."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.pages: dict[str, Page] = {}
        self.asked: list[tuple[str, str | None]] = []

    def put(self, path: str, content: bytes, **how) -> Page:
        self.pages[path] = Page(content, **how)
        return self.pages[path]

    def asked_of(self, path: str) -> list[str | None]:
        return [given for each, given in self.asked if each == path]


@contextmanager
def serving() -> Iterator[Server]:
    class Handler(_Handler):
        pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        http.daemon_threads = True
        Handler.state = Server(f"http://127.0.0.1:{http.server_port}")
        thread = threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield Handler.state
        finally:
            http.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: Server

    def log_message(self, *arguments) -> None:
        pass

    def do_GET(self) -> None:
        self.close_connection = True
        asked = self.headers.get("Range")
        self.state.asked.append((self.path, asked))
        page = self.state.pages.get(self.path)
        if page is None:
            self._status(404, {})
            return
        if page.statuses:
            self._status(page.statuses.pop(0), page.headers)
            return
        start = self._start(page, asked)
        if start is not None and start >= len(page.content):
            self._status(416, {"Content-Range": f"bytes */{len(page.content)}"})
            return
        body = page.content[start or 0 :]
        self.send_response(200 if start is None else 206)
        if start is not None:
            whole = len(page.content)
            self.send_header("Content-Range", f"bytes {start}-{whole - 1}/{whole}")
        for name, value in {"ETag": page.tag, "Last-Modified": page.modified}.items():
            if value and (start is None or page.tags_parts):
                self.send_header(name, value)
        if page.is_chunked:
            self.send_header("Transfer-Encoding", "chunked")
        elif page.says_length:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        cut = page.cuts.pop(0) if page.cuts else None
        self._send(page, body[:cut], is_whole=cut is None)

    def _start(self, page: Page, asked: str | None) -> int | None:
        if not asked or not page.has_ranges:
            return None
        condition = self.headers.get("If-Range")
        if page.heeds_if_range and condition not in {None, page.tag, page.modified}:
            return None
        return int(asked.removeprefix("bytes=").rstrip("-"))

    def _send(self, page: Page, body: bytes, *, is_whole: bool) -> None:
        for place in range(0, len(body), 1024):
            piece = body[place : place + 1024]
            if page.is_chunked:
                piece = f"{len(piece):x}\r\n".encode() + piece + b"\r\n"
            try:
                self.wfile.write(piece)
            except OSError:
                return
            time.sleep(page.seconds_per_kilobyte)
        if page.is_chunked and is_whole:
            self.wfile.write(b"0\r\n\r\n")

    def _status(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()


def packed(files: Mapping[str, bytes], mode: str = "w:gz") -> bytes:
    """A tar of `files`, by their names; the kind of packing is in `mode`."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return out.getvalue()
