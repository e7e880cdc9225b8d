"""Reading shards: mixed, the same with any number of workers, and from any place on."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from shards import without_processes, write_shards

from speechkit import DataError
from speechkit.data.stream import OPEN, Cursor, Shards
from speechkit_corpora import HubConfig, build_hub

SIZES = [40, 3, 16, 17, 32, 1, 5, 20, 11, 9, 2]  # some end with a chunk, some within one


def speech(folder: Path):
    settings = json.dumps({"path": str(folder), "streaming": True})
    return build_hub(HubConfig.model_validate_json(settings))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards")
    ids = write_shards(folder, SIZES, bad={"4-7"})
    return folder, ids


def chunks(folder: Path, order, cursor=None, workers=1):
    shards = Shards(speech(folder), sample_rate=16_000, workers=workers)
    try:
        return list(shards.chunks(order, cursor or Cursor.start(len(order))))
    finally:
        shards.close()


def told(given):
    return [
        (row.id, row.text, None if row.samples is None else row.samples.tobytes())
        for rows, _ in given
        for row in rows
    ]


def test_all_rows_come_once_from_many_shards_at_a_time(corpus, monkeypatch):
    without_processes(monkeypatch)
    folder, ids = corpus
    given = chunks(folder, range(len(SIZES)))
    assert sorted(row[0] for row in told(given)) == sorted(ids)
    first = {row.id.split("-")[0] for rows, _ in given[:OPEN] for row in rows}
    assert len(first) == OPEN
    (bad,) = [row for rows, _ in given for row in rows if row.samples is None]
    assert bad.id == "4-7"
    assert "4-7: cannot be read as audio" in bad.why


def test_worker_processes_give_the_same_whatever_their_number(corpus, monkeypatch):
    folder, _ = corpus
    order = [3, 7, 0, 5, 1, 10, 9, 8, 2, 6, 4]
    many = chunks(folder, order, workers=2)
    without_processes(monkeypatch)
    one = chunks(folder, order)
    assert told(many) == told(one)
    assert [cursor for _, cursor in many] == [cursor for _, cursor in one]


def test_reading_goes_on_from_every_place(corpus, monkeypatch):
    without_processes(monkeypatch)
    folder, _ = corpus
    order = list(range(len(SIZES)))
    whole = chunks(folder, order)
    for number in range(0, len(whole), 3):
        kept = Cursor.read(json.loads(json.dumps(whole[number][1].stored())))
        assert told(chunks(folder, order, kept)) == told(whole[number + 1 :])


def test_a_shard_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    without_processes(monkeypatch)
    write_shards(tmp_path, [3, 3])
    corpus = speech(tmp_path)
    file = sorted(tmp_path.glob("*.parquet"))[1]
    file.write_bytes(file.read_bytes()[:-20])
    shards = Shards(corpus, sample_rate=16_000, workers=1)
    with pytest.raises(DataError, match="shard 2 cannot be read: ") as caught:
        list(shards.chunks([0, 1], Cursor.start(2)))
    assert "goes on from the last checkpoint" in caught.value.hint


def test_a_worker_that_dies_is_told(corpus):
    shards = Shards(speech(corpus[0]), sample_rate=16_000, workers=1)
    given = shards.chunks([0], Cursor.start(1))
    next(given)
    os.kill(shards._processes[0].pid, signal.SIGKILL)
    with pytest.raises(DataError, match="process that reads corpus train died"):
        list(given)


def test_what_cannot_be_handed_over_is_told():
    class Unknown:
        pass

    with pytest.raises(DataError, match="cannot be handed to the processes") as caught:
        Shards(Unknown(), sample_rate=16_000, workers=1)
    assert "install it as a package" in caught.value.hint


HOLDER = """
import sys, time
sys.path[:0] = {path!r}
from test_stream import speech
from speechkit.data.stream import Cursor, Shards

if __name__ == "__main__":
    shards = Shards(speech({folder!r}), sample_rate=16_000, workers=1)
    next(shards.chunks([0], Cursor.start(1)))
    print(*(each.pid for each in shards._processes), flush=True)
    time.sleep(600)
"""


def test_workers_end_with_a_process_that_is_killed(corpus, tmp_path):
    here = Path(__file__).parent
    script = tmp_path / "holder.py"
    script.write_text(HOLDER.format(path=[str(here), str(here.parents[1])], folder=str(corpus[0])))
    holder = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    worker = int(holder.stdout.readline())
    assert Path(f"/proc/{worker}").exists()
    holder.kill()
    holder.wait()
    for _ in range(100):
        if not Path(f"/proc/{worker}").exists() or "Z" in state(worker):
            return
        time.sleep(0.1)
    raise AssertionError("the worker is still there")


def state(process: int) -> str:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"
