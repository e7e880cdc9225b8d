"""A whole run on a stream: learnt, stopped, killed, by two processes, and what is refused."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from rich.console import Console
from shards import without_processes, write_shards
from tones import RECIPE, furnish, lines, weights

from speechkit import DataError, RecipeError, RunError
from speechkit.audit import audit
from speechkit.cli.look_at_recipe import measured
from speechkit.corpora import Corpora
from speechkit.discovery import load_plugins
from speechkit.errors import TerminatedError
from speechkit.pipeline import Pipeline
from speechkit.recipe import read_recipe
from speechkit.reporter import Reporter
from speechkit.training import loop

pytestmark = pytest.mark.usefixtures("undrawn")

STREAM = """[corpus.train]
use = "hub"
path = "./set"
streaming = true
"""
SIZES = [9, 4, 12, 6, 1, 10]


def recipe_text() -> str:
    table = '[corpus.train]\nuse = "files"\npath = "train.csv"\n'
    assert table in RECIPE
    text = RECIPE.replace(table, STREAM).replace("epochs = 3", "epochs = 2")
    return text.replace("[train]\n", "[train]\nstreaming = true\nwindow_minutes = 0.2\n")


@pytest.fixture
def house(tmp_path, monkeypatch):
    monkeypatch.setenv("SPEECHKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    furnish(tmp_path)
    write_shards(tmp_path / "set", SIZES)
    (tmp_path / "tones.toml").write_text(recipe_text())
    yield tmp_path
    torch.set_flush_denormal(False)


def recipe_of(house: Path, *overrides: str):
    return read_recipe(house / "tones.toml", load_plugins(), overrides=overrides)


def pipeline(house: Path, *overrides: str, run: str = "tones", console=None) -> Pipeline:
    reporter = Reporter(console or Console(quiet=True))
    recipe = recipe_of(house, *overrides)
    return Pipeline(recipe, load_plugins(), house / "runs" / run, reporter)


def recording() -> Console:
    return Console(record=True, file=io.StringIO(), width=300)


def before_step(monkeypatch, number: int, happens) -> None:
    learn, left = loop.Training._step, iter(range(number))

    def step(self, *given):
        if next(left, None) is None:
            happens()
        return learn(self, *given)

    monkeypatch.setattr(loop.Training, "_step", step)


def trained(house: Path, run: str) -> list[dict]:
    return [each for each in lines(house / f"runs/{run}/metrics.jsonl") if each["kind"] == "train"]


def interrupt():
    raise KeyboardInterrupt


def terminate():
    os.kill(os.getpid(), signal.SIGTERM)


def test_a_stopped_run_ends_with_the_weights_of_one_that_was_not(house, monkeypatch):
    without_processes(monkeypatch)
    console = recording()
    rows = pipeline(house, run="whole", console=console).run()
    said = console.export_text()
    assert [row.test for row in rows] == ["validation", "unseen"]
    assert "on a stream of 6 shards, an epoch a pass, in windows of 0.2 minutes" in said
    kept = json.loads((house / "runs/whole/audit.json").read_text())
    assert list(kept["parts"]) == ["validation", "unseen"]
    assert "The training part is streamed" in kept["verdict"]
    prepared = list((house / "cache" / "prepared").iterdir())
    assert len(prepared) == 2, "the stream is none of them"

    saved = "train.checkpoint_minutes=1e-9"  # after each step
    for number, happens, error in (
        (3, interrupt, KeyboardInterrupt),
        (3, terminate, TerminatedError),
    ):
        with monkeypatch.context() as patch:
            before_step(patch, number, happens)
            with pytest.raises(error):
                pipeline(house, saved, run="stopped").run()
    console = recording()
    pipeline(house, saved, run="stopped", console=console).run()
    said = console.export_text()
    assert "going on from epoch 1, batch 8: the stream is read again from the begin" in said
    whole, stopped = weights(house, "whole"), weights(house, "stopped")
    assert all(whole[name].equal(stopped[name]) for name in whole)
    assert trained(house, "stopped") == trained(house, "whole")


def test_padding_is_the_mean_of_the_batches_that_were_made(house, monkeypatch):
    without_processes(monkeypatch)
    learn, seen = loop.Training._step, []

    def step(self, batches, *given):
        seen.append([batch.padding for batch in batches])
        return learn(self, batches, *given)

    monkeypatch.setattr(loop.Training, "_step", step)
    pipeline(
        house,
        "train.accumulate=3",
        "train.epochs=1",
        "train.batch_seconds=2",
        "train.window_minutes=0.1",
    ).run()
    assert len({len(each) for each in seen}) > 1, "the last step of a window has fewer batches"
    (noted,) = (
        each for each in lines(house / "runs/tones/metrics.jsonl") if each["kind"] == "efficiency"
    )
    assert noted["padding"] == pytest.approx(sum(map(sum, seen)) / sum(map(len, seen)))


def test_what_is_met_while_training_may_be_settled_then(house, monkeypatch):
    without_processes(monkeypatch)
    shutil.rmtree(house / "set")
    write_shards(house / "set", SIZES, bad={"2-3"})
    with pytest.raises(DataError, match=r"cannot be used: 2-3: cannot be read as audio"):
        pipeline(house).run()
    console = recording()
    pipeline(house, 'data.bad_utterances="skip"', console=console).run()
    said = console.export_text()
    assert "train: left out: 2-3: cannot be read as audio" in said
    assert "1 of 42 utterances read were left out: cannot be read (2-3)" in said


def test_a_table_is_no_stream(house):
    with pytest.raises(DataError, match=r"train.streaming = true, and corpus train .files. gives"):
        pipeline(house, 'corpus.train={use="files", path="train.csv"}').run()


def test_another_window_is_another_training(house, monkeypatch):
    without_processes(monkeypatch)
    with monkeypatch.context() as patch:
        before_step(patch, 3, terminate)
        with pytest.raises(TerminatedError):
            pipeline(house).run()
    with pytest.raises(RunError, match=r"window_minutes"):
        pipeline(house, "train.window_minutes=0.3").run()


def test_transcripts_of_a_stream_make_no_language_model(house):
    with (house / "tones.toml").open("a") as file:
        file.write('\n[lm]\nuse = "ngram"\norder = 2\n')
    recipe_of(house)  # whose decoder uses none
    with pytest.raises(RecipeError, match=r"lm\.train_text = true needs all transcripts"):
        recipe_of(house, 'decoder.use="kenlm"')
    recipe_of(house, 'decoder.use="kenlm"', "lm.train_text=false")


def test_no_frequencies_of_labels_are_known_of_a_stream(house):
    with pytest.raises(RecipeError, match=r"model\.mmi needs all transcripts") as caught:
        recipe_of(house, "model.mmi=0.5")
    assert "--set model.mmi=0.5:" in str(caught.value)
    recipe_of(house, "model.mmi=0")


def test_only_what_is_prepared_is_looked_at(house):
    console = recording()
    looks = measured(recipe_of(house), Reporter(console))
    assert [each.name for each in looks] == ["validation", "unseen"]
    assert "train is streamed, and not looked at" in console.export_text()
    reporter = Reporter(Console(quiet=True))
    found = audit(Corpora(recipe_of(house), reporter), reporter, lm_text=[])
    assert found.verdict().startswith("The training part is streamed: what it shares with")


def test_one_batch_of_a_stream_can_be_learnt_by_heart(house, monkeypatch):
    without_processes(monkeypatch)
    monkeypatch.setattr("speechkit.training.by_heart._STEPS", 2)
    with pytest.raises(RunError, match="does not learn even one batch by heart"):
        pipeline(house).overfit_one_batch()


def command(house: Path, *given: str, processes: int = 1) -> subprocess.Popen:
    launcher = []
    if processes > 1:
        launcher = ["torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
        launcher += ["-m", "--"]  # "--": else torchrun takes --run for an option of its own
    return subprocess.Popen(
        [sys.executable, "-m", *launcher, "speechkit", "run", "tones.toml", *given],
        cwd=house,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
def test_a_killed_run_ends_as_one_that_was_not(house, processes):
    told, _ = command(house, "--run", "whole", processes=processes).communicate()
    assert weights(house, "whole"), told
    assert ("2 processes" in told) is (processes == 2)
    log = house / "runs/killed/metrics.jsonl"
    given = ("--run", "killed", "--set", "train.checkpoint_minutes=1e-9")
    process = command(house, *given, processes=processes)
    while not log.is_file() or len(log.read_text().splitlines()) < 7:
        assert process.poll() is None, process.stdout.read()
    if processes > 1:  # which the launcher has put into sessions of their own
        for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
            os.kill(int(child), signal.SIGKILL)
    process.kill()
    process.wait()
    told, _ = command(house, "--run", "killed", processes=processes).communicate()
    assert "none is learnt from twice" in told
    whole, killed = weights(house, "whole"), weights(house, "killed")
    assert all(whole[name].equal(killed[name]) for name in whole)
    epochs = [each for each in lines(house / "runs/whole/metrics.jsonl") if each["kind"] == "epoch"]
    assert len(epochs) == 2


@pytest.mark.skipif(
    "SPEECHKIT_DATA" not in os.environ, reason="SPEECHKIT_DATA names no folder of speech"
)
def test_real_speech_in_shards(tmp_path, monkeypatch):
    import pyarrow.parquet as pq

    without_processes(monkeypatch)
    monkeypatch.setenv("SPEECHKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    source = Path(os.environ["SPEECHKIT_DATA"]) / "mini_librispeech"
    table = pq.read_table(source / "train.parquet").slice(0, 60)
    (tmp_path / "set").mkdir()
    for shard in range(6):
        name = f"train-{shard:05d}-of-00006.parquet"
        pq.write_table(table.slice(10 * shard, 10), tmp_path / "set" / name)
    text = recipe_text().replace("dev.csv", str(source / "dev.parquet"))
    text = text.replace("abc", "abcdefghijklmnopqrstuvwxyz'").split("[corpus.test")
    text = text[0] + "[text]" + text[1].split("[text]")[1]
    (tmp_path / "tones.toml").write_text(text)
    given = ("train.batch_seconds=120", "train.window_minutes=5", "train.epochs=1")
    monkeypatch.setattr("speechkit.pipeline.Pipeline._test", lambda *given: None)
    monkeypatch.setattr("speechkit.pipeline.write_scores", lambda *given, **more: [])
    monkeypatch.setattr("speechkit.pipeline.Pipeline._report", lambda *given: None)
    pipeline(tmp_path, "corpus.validation.limit=4", *given).run()
    first = trained(tmp_path, "tones")
    assert len(first) >= 5
    assert first[-1]["loss"] < first[0]["loss"]
    torch.set_flush_denormal(False)
