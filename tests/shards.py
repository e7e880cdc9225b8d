"""A corpus of tones in Parquet shards, and how to read it without worker processes."""

import io
import pickle
from collections import deque
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile
from tones import speak

from speechkit.data import stream


def wav(samples: np.ndarray, rate: int = 16_000) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="WAV", subtype="PCM_16")
    return file.getvalue()


def write_shards(folder: Path, sizes: list[int], *, bad=(), sound=None) -> list[str]:
    """A shard for each of `sizes`; the ids of all. Those in `bad` are no audio."""
    folder.mkdir(parents=True, exist_ok=True)
    random, ids = np.random.default_rng(0), []
    for shard, size in enumerate(sizes):
        rows = {"id": [], "audio": [], "text": []}
        for number in range(size):
            text = "".join(random.choice(list("abc"), random.integers(1, 6)))
            rows["id"].append(f"{shard}-{number}")
            content = wav(speak(text) if sound is None else sound(random))
            content = b"no audio" if rows["id"][-1] in bad else content
            rows["audio"].append({"bytes": content, "path": None})
            rows["text"].append(text)
        ids += rows["id"]
        name = f"train-{shard:05d}-of-{len(sizes):05d}.parquet"
        pq.write_table(pa.table(rows), folder / name, row_group_size=10)
    return ids


class Here:
    """What `multiprocessing.get_context` gives, but what is asked of it is read at once."""

    class Pipe(tuple):
        def __new__(cls):
            ours = SimpleNamespace(answers=deque())
            return tuple.__new__(cls, (ours, SimpleNamespace(ours=ours, close=lambda: None)))

    class Process:
        def __init__(self, target, args, daemon) -> None:
            theirs, packed, rate = args
            reading = stream._Reading(pickle.loads(packed), rate)
            theirs.ours.send = lambda asked: theirs.ours.answers.append(reading.answer(*asked))
            theirs.ours.recv = theirs.ours.answers.popleft
            self.start = self.kill = self.join = lambda: None


def without_processes(monkeypatch) -> None:
    """Have shards read by the process that asks for them: it need not start others."""
    here = SimpleNamespace(get_context=lambda method: Here)
    monkeypatch.setattr(stream, "multiprocessing", here)
