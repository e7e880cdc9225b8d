"""The prepared store: a corpus decoded once, kept as numbers that are mapped, not read.

A folder in the cache, shared by all runs on the same data:

    meta.json      what it holds
    rows.parquet   id, text (as written), speaker, length, one row an utterance
    sound.parquet  digest, peak and samples at full scale, one row an utterance
    values.bin     all utterances end to end: int16 samples, or float16/32 features (T, D)

16-bit samples are what recordings are made of; the rounding is 98 dB below full scale.
"""

import json
import math
import shutil
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from speechkit.data.audio import from_int16, read_audio, resample, to_int16
from speechkit.data.files import cache_folder, digest, folder_written_whole, write_json
from speechkit.data.sound import Measured, Sound, measure, read_sound, write_sound
from speechkit.errors import DataError
from speechkit.interfaces import Speech

_REVISION = 1  # of the layout, and of how audio is read
_SHOWN = 5  # bad utterances named in a message

Given = TypeVar("Given")
Made = TypeVar("Made")

_Read = tuple[NDArray[Any], Measured]


@dataclass(frozen=True)
class Meta:
    """What a store holds.

    kind                 "audio" or "features"
    dtype                of values.bin
    sample_rate          hertz, of audio; 0 of features
    dim                  D; 1 of audio
    frame_shift_seconds  of features; 0 of audio
    fingerprint          of what it was made from
    skipped              utterances left out since they could not be read: id and why
    """

    kind: str
    dtype: str
    sample_rate: int
    dim: int
    frame_shift_seconds: float
    fingerprint: str
    skipped: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Store:
    """A prepared corpus: `len(store)` utterances in the corpus' order.

    lengths  (utterances,) samples or frames
    offsets  (utterances + 1,) where each begins in `values`, in samples or frames
    """

    folder: Path
    meta: Meta
    ids: list[str]
    texts: list[str]
    speakers: list[str]
    lengths: NDArray[np.int64]
    offsets: NDArray[np.int64]
    values: NDArray[Any]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def seconds(self) -> NDArray[np.float64]:
        """(utterances,) how long each lasts."""
        if self.meta.kind == "audio":
            return self.lengths / self.meta.sample_rate
        return self.lengths * self.meta.frame_shift_seconds

    def row(self, index: int) -> NDArray[np.float32]:
        """(N,) samples in [-1, 1), or (T, D) features."""
        part = self.values[self.offsets[index] : self.offsets[index + 1]]
        return from_int16(part) if self.meta.kind == "audio" else part.astype(np.float32)

    def sound(self) -> Sound:
        """What the utterances sound like, as it was measured when the store was made.

        A store of an earlier version has no such file: its values are read, once, and it gets one.
        """
        found = read_sound(self.folder)
        if found is None or len(found.digests) != len(self):
            ends = zip(self.offsets, self.offsets[1:], strict=False)
            write_sound(self.folder, (measure(self.values[first:last]) for first, last in ends))
            found = read_sound(self.folder)
            assert found is not None
        return found


def open_store(folder: Path) -> Store:
    """Map the store in `folder`."""
    meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
    meta["skipped"] = tuple(map(tuple, meta["skipped"]))
    known = Meta(**meta)
    table = pq.read_table(folder / "rows.parquet")
    lengths = table["length"].to_numpy().astype(np.int64)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    values = np.memmap(folder / "values.bin", dtype=known.dtype, mode="r")
    return Store(
        folder,
        known,
        table["id"].to_pylist(),
        table["text"].to_pylist(),
        table["speaker"].to_pylist(),
        lengths,
        offsets,
        values if known.kind == "audio" else values.reshape(-1, known.dim),
    )


def prepare(
    speech: Speech,
    described: Mapping[str, Any],
    *,
    sample_rate: int,
    skip_bad: bool,
    name: str,
    progress: Callable[[int, int | None, str], None],
    workers: int = 2,
) -> Store:
    """The store of a corpus, made if the cache has none.

    Args:
        speech: the rows.
        described: the corpus' component and settings, for data that has no fingerprint of its own.
        sample_rate: hertz to resample audio to.
        skip_bad: leave out what cannot be read, and list it; else stop and name it.
        name: what messages call the corpus.
        progress: called with utterances done and their number, None where it is not known.
        workers: threads that decode.

    Raises:
        DataError: no rows, a column that is not there, or audio that cannot be read.
    """
    fingerprint = fingerprint_of(speech, described, sample_rate=sample_rate)
    place = cache_folder() / "prepared" / fingerprint
    store = _found(place)
    if store is not None:
        if not skip_bad and store.meta.skipped:
            raise _unreadable(store.meta.skipped, name)
        return store
    with folder_written_whole(place) as folder:
        _write(speech, folder, fingerprint, sample_rate, skip_bad, name, progress, workers)
    return open_store(place)


def _found(place: Path) -> Store | None:
    """The store in `place`, if it is there and whole; one that is damaged is taken away."""
    if not place.exists():
        return None
    try:
        store = open_store(place)
        whole = len(store.values) == store.offsets[-1]
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException):
        whole = False
    if whole:
        return store
    shutil.rmtree(place)
    return None


def fingerprint_of(speech: Speech, described: Mapping[str, Any], *, sample_rate: int) -> str:
    """Changes when the data, the way it is read, or the rate changes; reads no audio."""
    columns = set(speech.column_names or ())
    own = getattr(speech, "_fingerprint", None)  # streams have none
    rate = 0 if "features" in columns else sample_rate
    return digest([_REVISION, own or dict(described), sorted(columns), rate])


def _write(
    speech: Speech,
    folder: Path,
    fingerprint: str,
    sample_rate: int,
    skip_bad: bool,  # noqa: FBT001 - private
    name: str,
    progress: Callable[[int, int | None, str], None],
    workers: int,
) -> None:
    ready = gives_features(speech, name)
    total = len(speech) if hasattr(speech, "__len__") else None
    rows: dict[str, list[Any]] = {"id": [], "text": [], "speaker": [], "length": []}
    sounds: list[Measured] = []
    skipped: list[tuple[str, str]] = []
    dim, shift, dtype = 1, 0.0, "int16"
    with (folder / "values.bin").open("wb") as file, ThreadPoolExecutor(workers) as pool:

        def read(row: Mapping[str, Any]) -> tuple[Mapping[str, Any], _Read | str]:
            try:
                values = _features(row) if ready else read_audio_of(row, sample_rate=sample_rate)
                return row, (values, measure(values))
            except DataError as error:
                return row, str(error)

        for done, (row, result) in enumerate(_in_order(pool, read, iter(speech), 4 * workers), 1):
            if isinstance(result, str):
                skipped.append((str(row["id"]), result))
                continue
            values, sound = result
            sounds.append(sound)
            if ready:
                every = float(row.get("frame_shift_seconds") or 0.01)
                found = values.shape[1], every, str(values.dtype)
                if rows["id"] and found != (dim, shift, dtype):
                    raise DataError(
                        f"corpus {name}: {row['id']} has {found[0]} features every {found[1]:g} s "
                        f"in {found[2]}, those before it {dim} every {shift:g} s in {dtype}",
                        hint="the features of a corpus have to be made alike",
                    )
                dim, shift, dtype = found
            file.write(values.tobytes())
            rows["id"].append(str(row["id"]))
            rows["text"].append("" if row["text"] is None else str(row["text"]))
            rows["speaker"].append("" if row.get("speaker") is None else str(row["speaker"]))
            rows["length"].append(len(values))
            progress(done, total, "")
    if skipped and not skip_bad:
        raise _unreadable(tuple(skipped), name)
    if not rows["id"]:
        raise DataError(f"corpus {name}: holds no utterance", hint="is it the split you mean?")
    if len(set(rows["id"])) != len(rows["id"]):
        twice, _ = Counter(rows["id"]).most_common(1)[0]
        raise DataError(f"corpus {name}: the id {twice!r} stands twice")
    texts = [(each, pa.string()) for each in ("id", "text", "speaker")]
    schema = pa.schema([*texts, ("length", pa.int64())])
    pq.write_table(pa.table(rows, schema=schema), folder / "rows.parquet")
    write_sound(folder, sounds)
    kind = "features" if ready else "audio"
    rate = 0 if ready else sample_rate
    meta = Meta(kind, dtype, rate, dim, shift, fingerprint, tuple(skipped))
    write_json(folder / "meta.json", asdict(meta))


def gives_features(speech: Speech, name: str) -> bool:
    """Whether a corpus gives ready features, not audio.

    Raises:
        DataError: it lacks a column that every corpus has.
    """
    columns = set(speech.column_names or ())
    wanted = {"id", "text"} | ({"features"} if "features" in columns else {"audio"})
    if lacking := sorted(wanted - columns):
        raise DataError(
            f"corpus {name}: has no column {', '.join(lacking)}; its columns: "
            f"{', '.join(sorted(columns))}",
            hint="name the column in the corpus' settings, or have its plugin give it",
        )
    return "features" in columns


def read_audio_of(row: Mapping[str, Any], *, sample_rate: int) -> NDArray[np.int16]:
    """The samples of an utterance of a corpus, (N,) at a rate in hertz.

    Raises:
        DataError: it cannot be read; the message names it.
    """
    audio = row["audio"] or {}
    source = audio.get("bytes") or (Path(audio["path"]) if audio.get("path") else b"")
    where = f"{row['id']} ({audio['path']})" if audio.get("path") else str(row["id"])
    samples, rate = read_audio(
        source,
        name=where,
        start_seconds=_number(row.get("start_seconds")),
        end_seconds=_number(row.get("end_seconds")),
        channel=row.get("channel"),
    )
    return to_int16(resample(samples, rate, sample_rate))


def _number(cell: float | None) -> float | None:
    """A cell of a table, in which an empty one may be NaN."""
    return None if cell is None or math.isnan(cell) else float(cell)


def _features(row: Mapping[str, Any]) -> NDArray[Any]:
    dim = int(row.get("feature_dim") or 0)
    values = np.asarray(row["features"])
    if values.dtype != np.float16:
        values = values.astype(np.float32)
    if values.ndim == 1 and (dim <= 0 or len(values) % dim):
        raise DataError(f"{row['id']}: {len(values)} numbers are no whole frames of {dim}")
    matrix = values.reshape(-1, dim) if values.ndim == 1 else values
    if not len(matrix):
        raise DataError(f"{row['id']}: holds no frames")
    if not np.isfinite(matrix).all():
        raise DataError(f"{row['id']}: has features that are not numbers (NaN or infinite)")
    return matrix


def _unreadable(skipped: tuple[tuple[str, str], ...], name: str) -> DataError:
    shown = "\n".join(f"  {why}" for _, why in skipped[:_SHOWN])
    more = f"\n  ... and {len(skipped) - _SHOWN} more" if len(skipped) > _SHOWN else ""
    return DataError(
        f"corpus {name}: {len(skipped)} utterances cannot be used:\n{shown}{more}",
        hint='mend them, or leave them out with [data] bad_utterances = "skip"',
    )


def _in_order(
    pool: ThreadPoolExecutor, work: Callable[[Given], Made], items: Iterator[Given], ahead: int
) -> Iterator[Made]:
    """`map`, in parallel and in order, that never holds more than `ahead` items."""
    waiting: deque[Future[Made]] = deque()
    for item in items:
        waiting.append(pool.submit(work, item))
        if len(waiting) >= ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
