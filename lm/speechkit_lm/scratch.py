"""Arrays that are in memory while they are small, and in temporary files when they are not."""

import os
import tempfile
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from speechkit_lm.storage import told_of_writing

Number = TypeVar("Number", bound=np.generic)


class Scratch:
    """Where large arrays go: a folder for those of more than `bytes_in_memory`, or memory."""

    def __init__(self, folder: Path | None = None, bytes_in_memory: int = 1 << 62) -> None:
        self._folder = folder
        self.bytes_in_memory = bytes_in_memory

    def column(self, dtype: type[Number]) -> "Column[Number]":
        """An array that grows."""
        return Column(self, dtype)

    def empty(self, size: int, dtype: type[Number]) -> npt.NDArray[Number]:
        """An array of `size` numbers yet to be written."""
        octets = size * np.dtype(dtype).itemsize
        if self._folder is None or octets <= self.bytes_in_memory or not size:
            return np.empty(size, dtype)
        path = self.file()
        with told_of_writing(self._folder), path.open("wb") as file:
            # Room that turns out to be lacking when the map is written to ends the process.
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, octets)
            else:
                file.truncate(octets)
        return np.memmap(path, dtype, "r+", shape=(size,))

    def file(self) -> Path:
        """A new file of the folder."""
        assert self._folder is not None
        with (
            told_of_writing(self._folder),
            tempfile.NamedTemporaryFile(dir=self._folder, delete=False) as made,
        ):
            return Path(made.name)


class Column(Generic[Number]):
    """An array that grows at its end."""

    def __init__(self, scratch: Scratch, dtype: type[Number]) -> None:
        self._scratch = scratch
        self._dtype = np.dtype(dtype)
        self._pieces: list[npt.NDArray[Number]] = []
        self._waiting = 0  # bytes of the pieces
        self._file: Path | None = None
        self.size = 0

    def append(self, piece: npt.NDArray[Any]) -> None:
        """Add numbers."""
        piece = np.ascontiguousarray(piece, self._dtype)
        self.size += len(piece)
        self._pieces.append(piece)
        self._waiting += piece.nbytes
        if self._scratch._folder is not None and self._waiting > self._scratch.bytes_in_memory:
            self._spill()

    def array(self) -> npt.NDArray[Number]:
        """All of them."""
        if self._file is None:
            if len(self._pieces) != 1:
                self._pieces = [np.concatenate([np.empty(0, self._dtype), *self._pieces])]
            return self._pieces[0]
        self._spill()
        return np.memmap(self._file, self._dtype, "r+", shape=(self.size,))

    def _spill(self) -> None:
        self._file = self._file or self._scratch.file()
        with told_of_writing(self._file.parent), self._file.open("ab") as file:
            for piece in self._pieces:
                file.write(piece.data)  # `tofile` does not say why it could not
        self._pieces, self._waiting = [], 0
