import os
import time
from concurrent.futures import process
from multiprocessing import connection
from weakref import WeakKeyDictionary

import pytest

from speechkit import SpeechkitError
from speechkit_lm import NgramModel
from speechkit_ngram import workers
from speechkit_ngram.kenlm_decoder import KenlmDecoder
from speechkit_ngram.settings import KenlmConfig

from .conftest import LETTERS, batch, noise

EMISSIONS = batch(*(noise(12 + seed, seed) for seed in range(6)))


def decoder(lm: NgramModel, processes: int = 2) -> KenlmDecoder:
    config = KenlmConfig(processes=processes, nbest=2, hotwords=["cab"])
    return KenlmDecoder(config, vocabulary=LETTERS, language_model=lm)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes are worth their start from the second utterance on."""
    monkeypatch.setattr(workers, "_FORK_SECONDS", 0.0)
    monkeypatch.setattr(workers, "_SPAWN_SECONDS", -100.0)


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.usefixtures("at_once")
def test_processes_find_the_same(
    lm: NgramModel, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    if method == "fork" and not hasattr(os, "fork"):
        pytest.skip("this system cannot fork")
    monkeypatch.setattr(workers, "start_method", lambda: method)
    expected = decoder(lm, processes=1)(EMISSIONS)
    several = decoder(lm)
    assert several(EMISSIONS) == expected
    pool = several._workers._pool
    assert pool is not None
    assert several(EMISSIONS) == expected
    assert several._workers._pool is pool  # and not started again
    one = batch(EMISSIONS.log_probs[0, : int(EMISSIONS.lengths[0])])
    assert several(one) == expected[:1]


def test_a_few_utterances_start_no_process(lm: NgramModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_FORK_SECONDS", 60.0)
    several = decoder(lm)
    several(EMISSIONS)
    several(EMISSIONS)
    assert several._workers._pool is None


def test_time_spent_here_counts(lm: NgramModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches that are each too small make processes worth while, too."""
    monkeypatch.setattr(workers, "_FORK_SECONDS", 60.0)
    several = decoder(lm)
    expected = several(EMISSIONS)
    several._workers._seconds = 61.0
    several._workers._frames = 10**9
    assert several(EMISSIONS) == expected
    assert several._workers._pool is not None


@pytest.mark.usefixtures("at_once")
def test_a_dead_process_is_told(lm: NgramModel, monkeypatch: pytest.MonkeyPatch) -> None:
    several = decoder(lm)
    monkeypatch.setattr(several._workers, "_started", _DyingPool)
    with pytest.raises(SpeechkitError, match="died") as caught:
        several(EMISSIONS)
    assert "processes = 1" in caught.value.hint


class _DyingPool:
    def map(self, *_: object) -> None:
        raise workers.BrokenProcessPool


class _EndingPool:
    """What a fork sees of another pool whose thread was just ending: one that is never joined."""

    def __init__(self) -> None:
        self._here = os.getpid()

    def wakeup(self) -> None:
        pass

    def join(self) -> None:
        if os.getpid() != self._here:
            time.sleep(60)


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("others", [0, 1])
def test_processes_end_with_the_decoder(
    lm: NgramModel, monkeypatch: pytest.MonkeyPatch, others: int
) -> None:
    ending = [_EndingPool() for _ in range(others)]
    known = {**process._threads_wakeups, **{each: each for each in ending}}
    monkeypatch.setattr(process, "_threads_wakeups", WeakKeyDictionary(known))
    several = decoder(lm)
    several(EMISSIONS)
    pool = several._workers._pool
    assert pool is not None
    processes = list(pool._processes.values())
    assert processes
    del several, pool
    for each in processes:  # not join(): the pool's thread, too, takes their exit codes
        assert connection.wait([each.sentinel], 10)
