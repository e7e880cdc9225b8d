"""A folder of one's own recordings: `wavs/NNNN.wav` and a line for each in `metadata.jsonl`.

The corpus `files` reads such a folder: `[corpus.train] use = "files"`, `path = "FOLDER"`.
"""

import io
import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from speechkit.data.files import telling_of_full_disks, written_whole
from speechkit.data.text import read_lines
from speechkit.errors import DataError, RunError

METADATA = "metadata.jsonl"
_AUDIO = "wavs"


class RecordingFolder:
    """Recordings with their sentences; it can be filled over several days.

    Args:
        path: the folder; it is made if it is not there.

    Raises:
        DataError: it cannot be written, or holds something else.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._table = path / METADATA
        try:
            (path / _AUDIO).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(f"{path} cannot be made a folder: {error.strerror}") from None
        for other in ("metadata.csv", "metadata.parquet"):
            if (path / other).exists():
                raise DataError(
                    f"{path} has a {other}: a folder of recordings has one table",
                    hint=f"record into another folder, or make it a {METADATA}",
                )
        self.rows = self._read()

    def _read(self) -> list[dict[str, Any]]:
        if not self._table.exists():
            return []
        rows = []
        for number, line in enumerate(read_lines(self._table), 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
                is_one = all(isinstance(row[key], str) for key in ("file_name", "text"))
                is_one &= isinstance(row.get("duration_seconds") or 0, int | float)
            except (ValueError, TypeError, KeyError, AttributeError):
                is_one = False
            if not is_one:
                raise DataError(
                    f"{self._table}:{number}: not a recording's line: {line.strip()[:60]!r}",
                    hint='each line is an object: {"file_name": "wavs/0001.wav", "text": "..."}; '
                    "correct it, or delete it",
                )
            rows.append(row)
        return rows

    def left(self, sentences: Sequence[str], speaker: str | None) -> list[str]:
        """The sentences that `speaker` has not recorded yet, in order."""
        done = Counter(row["text"] for row in self.rows if row.get("speaker") == speaker)
        left = []
        for sentence in sentences:
            if done[sentence]:
                done[sentence] -= 1
            else:
                left.append(sentence)
        return left

    def add(
        self, samples: NDArray[np.int16], sample_rate: int, text: str, speaker: str | None
    ) -> Path:
        """Keep a recording: first its file, whole, then its line. Gives the file's path."""
        place = self.path / _AUDIO / f"{self._next():04d}.wav"
        content = io.BytesIO()  # since soundfile does not tell a full disk from other trouble
        soundfile.write(content, samples, sample_rate, subtype="PCM_16", format="WAV")
        with _kept_elsewhere(self.path), written_whole(place) as beside:
            beside.write_bytes(content.getvalue())
        seconds = round(len(samples) / sample_rate, 4)
        row = {"file_name": f"{_AUDIO}/{place.name}", "text": text, "duration_seconds": seconds}
        if speaker:
            row["speaker"] = speaker
        try:
            with _kept_elsewhere(self.path):
                self._append(json.dumps(row, ensure_ascii=False))
        except BaseException:
            place.unlink(missing_ok=True)  # of which no line tells
            raise
        self.rows.append(row)
        return place

    def _next(self) -> int:
        """One more than any number in use: no file is written over, though no line names it."""
        names = [each.stem for each in (self.path / _AUDIO).glob("*.wav")]
        return max((int(name) for name in names if name.isdecimal()), default=0) + 1

    def _append(self, line: str) -> None:
        with telling_of_full_disks(self._table), self._table.open("ab+", buffering=0) as file:
            end = file.seek(0, os.SEEK_END)
            if end:
                file.seek(-1, os.SEEK_END)
                line = line if file.read(1) == b"\n" else f"\n{line}"
            left = memoryview(f"{line}\n".encode())
            try:
                while left:  # a disk that becomes full takes a part of it, and then raises
                    left = left[file.write(left) :]
                os.fsync(file.fileno())
            except BaseException:
                file.truncate(end)  # half a line would make all of the table unreadable
                raise


@contextmanager
def _kept_elsewhere(folder: Path) -> Iterator[None]:
    """A full disk is told with what helps here."""
    try:
        yield
    except RunError as error:
        raise DataError(
            str(error),
            hint="this recording is not kept, those before it are; free some space, or record into "
            f"another folder than {folder}",
        ) from error.__cause__
