"""The archives of a corpus: fetched and unpacked several at once, each whole or not at all.

TO/LibriSpeech/dev-clean/                    is there when it is whole, with its note in it
TO/.download/LibriSpeech%2Fdev-clean.part    while it is fetched
TO/.download/LibriSpeech%2Fdev-clean         fetched whole, not yet unpacked
TO/.download/LibriSpeech%2Fdev-clean.open/   while it is unpacked: thrown away if that ends early
"""

import contextlib
import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event, Thread
from urllib.parse import quote

from speechkit.data.lock import locked
from speechkit.download.fetch import fetch
from speechkit.download.trouble import HopelessError, free_bytes, in_words, writing
from speechkit.download.unpack import unpack
from speechkit.errors import DownloadError
from speechkit.interfaces import Archive
from speechkit.reporter import Advance, Reporter

NOTE = ".downloaded.json"  # in a folder that is whole: from where it is, and what it holds
WORK = ".download"  # beside the corpora
MOST_FAILURES = 8  # in a row; then the others are not tried
_LONGEST_NAME = 200  # of a file, which can have 255 with .part.json
_TOLD = 20  # archives: of more, each one is no line of its own
_TICK_SECONDS = 0.2
_LAST_WAIT_SECONDS = 2.0


@dataclass(frozen=True)
class Fetched:
    """What came of it: the folders of archives that were there, came, and did not, and why."""

    present: tuple[str, ...]
    new: tuple[str, ...]
    failed: tuple[tuple[str, DownloadError], ...]


def fetch_corpus(
    archives: Sequence[Archive], to: Path, *, jobs: int, reporter: Reporter
) -> Fetched:
    """Fetch and unpack what is not there yet.

    Args:
        archives: of the corpus.
        to: the folder that theirs are below.
        jobs: how many archives at once.
        reporter: is told how it goes.

    Raises:
        DownloadError: the disk has no room, or what is there is in the way; one archive that fails
            does not end the others.
        RunError: another process fetches into the same folder.
    """
    twice = [folder for folder, n in Counter(each.folder for each in archives).items() if n > 1]
    if twice:
        raise DownloadError(f"two archives become the folder {twice[0]}", hint="a plugin's defect")
    with locked(
        to / WORK,
        name=f"the downloads' folder {to / WORK}",
        busy="wait for it, or fetch into another folder: --to FOLDER",
        unwritable="name another folder: --to FOLDER",
    ):
        whole = {each.folder for each in archives if _is_whole(to / each.folder)}
        wanted = [each for each in archives if each.folder not in whole]
        for each in wanted:
            _look_at_the_way(to / each.folder, to)
        _look_for_room(wanted, to)
        new, failed = _fetch_all(wanted, to, jobs, reporter)
    present = tuple(each.folder for each in archives if each.folder in whole)
    return Fetched(present, tuple(new), tuple(failed))


@dataclass
class _Piece:
    """An archive on its way."""

    archive: Archive
    to: Path
    stop: Event
    done: int = 0  # bytes fetched
    size: int = field(init=False)
    doing: str = ""  # empty: nothing

    def __post_init__(self) -> None:
        self.size = self.archive.size or 0

    def work(self) -> str:
        """Fetch it, unpack it, put it into its place; say what came."""
        try:
            return self._work()
        finally:
            self.doing = ""

    def _work(self) -> str:
        place = self.to / self.archive.folder
        packed = _packed(self.to, self.archive)
        if not packed.exists():
            self.doing = "fetching"
            fetch(
                self.archive.url,
                packed,
                checksum=self.archive.checksum,
                tell=self._tell,
                stop=self.stop,
            )
        self._tell(packed.stat().st_size, packed.stat().st_size)
        self.doing = "unpacking"
        opened = packed.with_name(f"{packed.name}.open")
        try:
            with _emptied(opened):
                unpack(packed, opened, stop=self.stop)
                files, size = _put_into_place(opened, self.archive, place)
        except HopelessError:
            raise  # the disk's fault
        except DownloadError as error:
            packed.unlink()
            raise DownloadError(f"{self.archive.url}: {error}", hint=error.hint) from None
        packed.unlink()
        return f"{self.archive.folder}: {files:,} files, {in_words(size)}"

    def _tell(self, done: int, size: int | None) -> None:
        self.done, self.size = done, size or max(self.size, done)


def _fetch_all(
    wanted: Sequence[Archive], to: Path, jobs: int, reporter: Reporter
) -> tuple[list[str], list[tuple[str, DownloadError]]]:
    stop = Event()
    pieces = [_Piece(each, to, stop) for each in wanted]
    new: list[str] = []
    failed: list[tuple[str, DownloadError]] = []
    in_a_row = 0
    with (
        reporter.progress("megabytes") as advance,
        _working(pieces, min(jobs, len(pieces)), stop) as results,
    ):
        while len(new) + len(failed) < len(pieces) and in_a_row < MOST_FAILURES:
            try:
                piece, result = results.get(timeout=_TICK_SECONDS)
            except Empty:
                _show(pieces, len(new), advance)
                continue
            match result:
                case str():
                    new.append(piece.archive.folder)
                    in_a_row = 0
                    if len(pieces) <= _TOLD:
                        reporter.say(result)
                case DownloadError() if not isinstance(result, HopelessError):
                    failed.append((piece.archive.folder, result))
                    in_a_row += 1
                case _:
                    raise result
    return new, failed


@contextmanager
def _working(
    pieces: Sequence[_Piece], jobs: int, stop: Event
) -> Iterator[SimpleQueue[tuple[_Piece, str | BaseException]]]:
    """Work on the pieces in threads while inside; what comes of each is put into the queue."""
    todo: SimpleQueue[_Piece] = SimpleQueue()
    results: SimpleQueue[tuple[_Piece, str | BaseException]] = SimpleQueue()
    for piece in pieces:
        todo.put(piece)

    def work() -> None:
        while not stop.is_set():
            try:
                piece = todo.get_nowait()
            except Empty:
                return
            try:
                results.put((piece, piece.work()))
            except BaseException as error:  # it is raised in the main thread
                results.put((piece, error))

    # Daemons, so that one which waits for a silent server does not hold up an interrupted command.
    threads = [Thread(target=work, daemon=True) for _ in range(jobs)]
    try:
        for thread in threads:
            thread.start()
        yield results
    finally:
        stop.set()
        for thread in threads:
            thread.join(_LAST_WAIT_SECONDS)


def _show(pieces: Sequence[_Piece], ended: int, advance: Advance) -> None:
    doing = {each.doing for each in pieces if each.doing}
    word = f"{ended} of {len(pieces)} archives"
    if doing == {"unpacking"}:
        word += ", unpacking"
    done, size = sum(each.done for each in pieces), sum(each.size for each in pieces)
    is_known = all(each.size for each in pieces)
    total = size // 1_000_000 if is_known else None
    advance(done // 1_000_000, total, word)


def _look_for_room(wanted: Sequence[Archive], to: Path) -> None:
    """See that the archives, and what becomes of them, have room.

    Raises:
        DownloadError: they have not.
    """
    packed = unpacked = 0
    for each in wanted:
        size = each.size or 0
        unpacked += round(size * each.growth)
        packed += max(size - _fetched(_packed(to, each)), 0)
    free = free_bytes(to)
    if packed + unpacked > free:
        raise DownloadError(
            f"this needs about {in_words(packed + unpacked)}: {in_words(packed)} to fetch and "
            f"{in_words(unpacked)} unpacked; {in_words(free)} are free in {to}",
            hint="free some space, fetch less, or name a folder on a larger disk: --to FOLDER",
        )


def _look_at_the_way(place: Path, to: Path) -> None:
    """See that a folder can be renamed into `place`, before gigabytes are fetched for it.

    Raises:
        DownloadError: it cannot.
    """
    above = place
    while not os.path.lexists(above):
        above = above.parent
    if not above.is_dir():
        raise DownloadError(
            f"{above} is in the way: a file, or a link to nothing",
            hint="move it away, or fetch into another folder: --to FOLDER",
        )
    if above.stat().st_dev != to.stat().st_dev:
        raise DownloadError(
            f"{above} is on another disk than {to}: what is fetched cannot be renamed into it",
            hint=f"fetch into a folder of that disk: --to FOLDER; this one is {above.resolve()}",
        )


def _packed(to: Path, archive: Archive) -> Path:
    name = quote(archive.folder, safe="")
    if len(name) > _LONGEST_NAME:  # six characters for a letter of Cyrillic
        name = hashlib.sha256(archive.folder.encode()).hexdigest()
    return to / WORK / name


def _fetched(packed: Path) -> int:
    part = packed.with_name(f"{packed.name}.part")
    return sum(each.stat().st_size for each in (packed, part) if each.exists())


@contextmanager
def _emptied(folder: Path) -> Iterator[None]:
    """Have `folder` empty inside, and gone afterwards."""
    shutil.rmtree(folder, ignore_errors=True)
    with writing(folder):
        folder.mkdir(parents=True)
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _put_into_place(opened: Path, archive: Archive, place: Path) -> tuple[int, int]:
    """Note in what was unpacked that it is whole, and rename it into its place."""
    inside = _inside(opened, archive.inside)
    files, size = _contents(inside)
    if not files:
        raise DownloadError("the archive holds no files", hint="take a mirror: --base-url URL")
    if (inside / NOTE).is_dir():
        raise DownloadError(
            f"the archive holds a folder {NOTE}, which is a name of ours",
            hint="the server has another file than the corpus's authors made",
        )
    with writing(place):
        note = {"url": archive.url, "files": files, "bytes": size}
        (inside / NOTE).write_text(json.dumps(note) + "\n", "utf-8")
        place.parent.mkdir(parents=True, exist_ok=True)
        if inside != opened:
            for each in inside.parent.iterdir():
                if each.is_file() and not (place.parent / each.name).exists():
                    each.replace(place.parent / each.name)
        inside.replace(place)
    return files, size


def _inside(opened: Path, named: str | None) -> Path:
    """The folder that is meant."""
    if named:
        inside = opened / named
        if not inside.is_dir():
            found = ", ".join(sorted(repr(each.name) for each in opened.iterdir())[:5])
            raise DownloadError(
                f"the archive holds no folder {named}, but {found or 'nothing'}",
                hint="the server has another file than the corpus's authors made",
            )
        return inside
    tops = [each for each in opened.iterdir() if each.is_dir()]
    return tops[0] if len(tops) == 1 else opened


def _is_whole(place: Path) -> bool:
    """Whether an archive's folder is there, as it was put there.

    Raises:
        DownloadError: there is something else, or less, which is not ours to throw away.
    """
    if not os.path.exists(place):  # noqa: PTH110 - the path's own fails where a name is too long
        return False
    try:
        note = json.loads((place / NOTE).read_text("utf-8"))
        expected = (int(note["files"]), int(note["bytes"]))
    except (OSError, ValueError, OverflowError, TypeError, KeyError):
        raise DownloadError(
            f"{place} is there, and not from here: nobody can tell whether it is whole",
            hint="use it as it is, move it away, or fetch into another folder: --to FOLDER",
        ) from None
    files, size = _contents(place)
    if files < expected[0] or size < expected[1]:
        raise DownloadError(
            f"{place} is no longer whole: {files:,} files with {size:,} bytes of "
            f"{expected[0]:,} with {expected[1]:,}",
            hint="delete the folder, and give the same command again",
        )
    return True


def _contents(folder: Path) -> tuple[int, int]:
    """Files in `folder` and below, our note apart, and their bytes."""
    files = size = 0
    for root, _, names in os.walk(folder):
        for name in names:
            if name != NOTE:
                with contextlib.suppress(FileNotFoundError):  # a link to nothing
                    size += (Path(root) / name).stat().st_size
                    files += 1
    return files, size
