"""A folder of one's own recordings: `wavs/NNNN.wav` and a line for each in `metadata.jsonl`.

The corpus `files` reads such a folder: `[corpus.train] use = "files"`, `path = "FOLDER"`.
"""

import json
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from speechkit.data.files import telling_of_full_disks, written_whole
from speechkit.errors import DataError

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
        lines = self._table.read_text(encoding="utf-8").splitlines()
        for number, line in enumerate(lines, 1):
            try:
                row = json.loads(line or "{}")
                rows += [{**row, "text": row["text"], "file_name": row["file_name"]}] if row else []
            except (ValueError, TypeError, KeyError):
                raise DataError(
                    f"{self._table}:{number}: not a recording's line: {line[:60]}",
                    hint='each line is an object: {"file_name": "wavs/0001.wav", "text": "..."}',
                ) from None
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
        with written_whole(place) as beside:
            soundfile.write(beside, samples, sample_rate, subtype="PCM_16", format="WAV")
        seconds = round(len(samples) / sample_rate, 4)
        row = {"file_name": f"{_AUDIO}/{place.name}", "text": text, "duration_seconds": seconds}
        if speaker:
            row["speaker"] = speaker
        self._append(json.dumps(row, ensure_ascii=False))
        self.rows.append(row)
        return place

    def _next(self) -> int:
        """One more than any number in use: no file is written over, though no line names it."""
        names = [each.stem for each in (self.path / _AUDIO).glob("*.wav")]
        return max((int(name) for name in names if name.isdecimal()), default=0) + 1

    def _append(self, line: str) -> None:
        with telling_of_full_disks(self._table), self._table.open("ab+") as file:
            if file.seek(0, os.SEEK_END):
                file.seek(-1, os.SEEK_END)
                line = line if file.read(1) == b"\n" else f"\n{line}"
            file.write(f"{line}\n".encode())
            file.flush()
            os.fsync(file.fileno())
