"""A whole run on a corpus of tones: every stage, again, killed, and with what goes wrong."""

import io
import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from rich.console import Console
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tones import RECIPE, lines, speak, weights

from speechkit import (
    DataError,
    DeviceError,
    MMILoss,
    RecipeError,
    RunError,
    SpeechkitError,
    __version__,
)
from speechkit.bundle import write_bundle
from speechkit.discovery import load_plugins
from speechkit.errors import ModelError, PluginError, TerminatedError
from speechkit.inference.transcriber import Transcriber, read_and_transcribe
from speechkit.pipeline import Pipeline
from speechkit.recipe import read_recipe
from speechkit.recogniser import Recogniser, load_recogniser
from speechkit.reporter import Reporter
from speechkit.runs import RunFolder
from speechkit.settings import TuneSettings
from speechkit.starting import start_from
from speechkit.training import by_heart, learner, loop
from speechkit.training.budget import Budget
from speechkit.training.checkpoint import load_checkpoint

pytestmark = pytest.mark.usefixtures("undrawn")

MASKS = """use = "spec_augment"
frequency_mask_width = 3
time_mask_width = 8"""

TUNED = """
[lm]
use = "ngram"
order = 2

[tune]
utterances = 4
settings = 12
"""


def pipeline(house: Path, *overrides: str, run: str = "tones", force=(), console=None) -> Pipeline:
    plugins = load_plugins()
    recipe = read_recipe(house / "tones.toml", plugins, overrides=overrides)
    reporter = Reporter(console or Console(quiet=True))
    return Pipeline(recipe, plugins, house / "runs" / run, reporter, frozenset(force))


def test_a_run_leaves_what_it_promises_and_a_second_call_does_nothing(house):
    rows = pipeline(house).run()
    folder = house / "runs" / "tones"
    assert [(row.test, row.decoder) for row in rows] == [
        ("validation", "greedy"),
        ("unseen", "greedy"),
    ]
    stored = json.loads((folder / "scores.json").read_text())
    assert {"test", "decoder", "wer", "cer", "utterances", "words"} <= stored[0].keys()
    decoded = lines(folder / "decoded" / "greedy" / "unseen.jsonl")
    assert [each["id"] for each in decoded] == [f"test-{number}" for number in range(6)]
    known = {"id", "speaker", "seconds", "reference", "hypothesis", "score", "words"}
    assert decoded[0].keys() == known
    assert decoded[0]["speaker"] == "s0"
    kinds = [each["kind"] for each in lines(folder / "metrics.jsonl")]
    assert kinds.count("epoch") == 3
    assert kinds.count("validation") == 3
    assert list((folder / "tensorboard").iterdir())
    made_with = json.loads((folder / "environment.json").read_text())
    assert made_with["plugins"] == {"speechkit": __version__}
    assert made_with["processes"] == 1
    assert write_bundle(folder, house / "tones.bundle.zip", weights=True).holds
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert page.count("Emissions over time</h3>") == 2
    assert page.count("<audio") == 12
    assert "--run tones-again" in page

    stamps = {file: file.stat().st_mtime_ns for file in folder.rglob("*") if file.is_file()}
    assert pipeline(house).run() == rows
    changed = {file.name for file, stamp in stamps.items() if file.stat().st_mtime_ns != stamp} - {
        ".lock",
        "scores.json",
    }
    assert not changed


def test_a_language_model_made_before_a_setting_was_there_stays(house):
    (house / "tones.toml").write_text(RECIPE + TUNED)
    beam = ("train.epochs=1", "decoder.use=beam")
    pipeline(house, *beam).run()
    stages = house / "runs/tones/stages.json"
    noted = json.loads(stages.read_text())
    for stage in noted.values():
        model = stage["inputs"].get("lm") or {}
        model.get("lm", model if stage is noted["lm"] else {}).pop("packed", None)
    stages.write_text(json.dumps(noted))
    assert '"packed"' not in stages.read_text()
    assert "building the language model" not in told(house, *beam)
    assert '"packed"' not in stages.read_text()
    assert "building the language model" in told(house, *beam, "lm.packed=true")


def test_several_corpora_are_learnt_from_and_validated_on(house):
    several = RECIPE
    for part, files in (("train", "train dev"), ("validation", "dev test")):
        first, second = files.split()
        several = several.replace(
            f'[corpus.{part}]\nuse = "files"\npath = "{first}.csv"',
            f'[corpus.{part}.one]\nuse = "files"\npath = "{first}.csv"\nlimit = 4\n\n'
            f'[corpus.{part}.two]\nuse = "files"\npath = "{second}.csv"\nlimit = 3',
        )
    (house / "tones.toml").write_text(several)
    said = told(house, "train.epochs=1")
    assert "on 7 utterances" in said
    decoded = lines(house / "runs/tones/decoded/greedy/validation.jsonl")
    ids = ["one/dev-0", "one/dev-1", "one/dev-2", "one/dev-3"]
    assert [each["id"] for each in decoded] == [*ids, "two/test-0", "two/test-1", "two/test-2"]
    assert "training n2" not in told(house, "train.epochs=1")
    with pytest.raises(RunError, match="data"):  # other data, and a training that is finished
        pipeline(house, "train.epochs=1", "corpus.train.two.limit=2").run()
    with pytest.raises(RecipeError, match="streaming = true is of one corpus, and there are 2"):
        pipeline(house, "train.streaming=true")


def told(house: Path, *overrides: str, force=(), run="tones") -> str:
    console = Console(record=True, file=io.StringIO(), width=200)
    pipeline(house, "train.epochs=1", *overrides, run=run, force=force, console=console).run()
    return console.export_text()


def test_the_data_are_audited_before_training(house):
    (house / "tones.toml").write_text(RECIPE + TUNED)
    leak = "warning: error in the data: train → unseen: 3 of 3 speakers: in train, too"
    said = told(house)
    assert leak in said
    assert said.index(leak) < said.index("training n2")
    kept = json.loads((house / "runs" / "tones" / "audit.json").read_text())
    assert kept["findings"][0]["kind"] == "shared-speakers"
    assert "look better than they are" in kept["verdict"]
    assert leak not in told(house)
    assert leak in told(house, force=["train"])


def test_lm_text_is_audited_where_it_is_used(house):
    spoken = (house / "test.csv").read_text().splitlines()[1].split(",")[2]
    (house / "lm.txt").write_text(f"{spoken}\n")
    lm = TUNED.replace("order = 2", 'order = 2\ntext = ["lm.txt"]')
    (house / "tones.toml").write_text(RECIPE + lm)
    leak = "LM text lm.txt → unseen"

    def where() -> set[str]:
        kept = json.loads((house / "runs" / "tones" / "audit.json").read_text())
        return {" → ".join(each["parts"]) for each in kept["findings"]}

    told(house)
    assert leak not in where()
    told(house, "decoder.use=kenlm")
    assert leak in where()


def test_a_run_that_is_refused_leaves_the_audit_as_it_was(house):
    pipeline(house, "train.epochs=1").run()
    before = (house / "runs" / "tones" / "audit.json").read_bytes()
    change(house, "test", 0, text="ab щ c")
    with pytest.raises(RunError, match="finished training of another recipe"):
        pipeline(house, "train.epochs=1", "model.dim=16").run()
    assert (house / "runs" / "tones" / "audit.json").read_bytes() == before


def test_the_kept_recipe_says_the_same(house):
    pipeline(house).run()
    plugins = load_plugins()
    kept = read_recipe(house / "runs" / "tones" / "recipe.toml", plugins)
    assert kept == read_recipe(house / "tones.toml", plugins)


def test_loss_falls_and_the_model_hears_tones(house):
    rows = pipeline(
        house,
        "train.epochs=60",
        "train.learning_rate=5e-3",
        "model.dropout=0.0",
        "augment.0.probability=0.0",
    ).run()
    losses = [
        each["loss"]
        for each in lines(house / "runs/tones/metrics.jsonl")
        if each["kind"] == "epoch"
    ]
    assert losses[-1] < 0.4 * losses[0]
    assert rows[1].cer < 0.2
    recogniser = load_recogniser(house / "runs" / "tones", load_plugins())
    greedy = load_plugins().find("decoder", "greedy").component
    decoder = greedy.build(
        greedy.config(), vocabulary=recogniser.units.vocabulary, language_model=None
    )
    transcriber = Transcriber(recogniser, decoder)
    decoded = lines(house / "runs/tones/decoded/greedy/unseen.jsonl")
    for number in range(6):
        found, seconds = read_and_transcribe(transcriber, str(house / f"test{number}.wav"))
        assert found.text == decoded[number]["hypothesis"]
        assert all(0 <= w.start_seconds < w.end_seconds <= seconds + 0.04 for w in found.words)
    for rate, channels in ((8_000, 1), (48_000, 2)):
        stereo = np.tile(speak("abc", rate)[:, None], (1, channels))
        soundfile.write(house / "other.wav", stereo, rate)
        assert read_and_transcribe(transcriber, str(house / "other.wav"))[0].text == "abc"


def test_long_audio_is_read_in_windows_that_do_not_show(house, monkeypatch):
    local = ("model.attention=false", 'features.normalization="global"')  # a frame sees its like
    pipeline(
        house, "train.epochs=60", "train.learning_rate=5e-3", "model.dropout=0.0", *local
    ).run()
    recogniser = load_recogniser(house / "runs" / "tones", load_plugins())
    greedy = load_plugins().find("decoder", "greedy").component
    decoder = greedy.build(
        greedy.config(), vocabulary=recogniser.units.vocabulary, language_model=None
    )
    transcriber = Transcriber(recogniser, decoder)
    soundfile.write(house / "long.wav", speak(" ".join(["abc", "cab", "bca", "acb"] * 14)), 16_000)
    found, seconds = read_and_transcribe(transcriber, str(house / "long.wav"))
    assert seconds > 40
    assert found.words[-1].end_seconds > seconds - 2
    monkeypatch.setattr("speechkit.inference.transcriber._WHOLE_SECONDS", 1e9)
    whole, _ = read_and_transcribe(transcriber, str(house / "long.wav"))
    assert len(found.text) > 40
    assert found.text == whole.text
    starts = [[word.start_seconds for word in each.words] for each in (found, whole)]
    assert np.allclose(*starts, atol=1e-3)


def test_a_stopped_training_ends_with_the_weights_of_one_that_was_not(house, monkeypatch):
    pipeline(house, run="whole").run()

    class StopError(Exception):
        pass

    learn = loop.Training._step
    for after in (2, 5, 6, 11):
        left = iter(range(after))

        def step(self, *given, left=left):
            if next(left, None) is None:
                raise StopError
            return learn(self, *given)

        monkeypatch.setattr(loop.Training, "_step", step)
        with pytest.raises(StopError):
            pipeline(house, run="stopped").run()
    monkeypatch.setattr(loop.Training, "_step", learn)
    pipeline(house, run="stopped").run()
    whole, stopped_weights = weights(house, "whole"), weights(house, "stopped")
    assert all(whole[name].equal(stopped_weights[name]) for name in whole)
    logged = [
        [
            each
            for each in lines(house / f"runs/{run}/metrics.jsonl")
            if each["kind"] != "efficiency"
        ]
        for run in ("whole", "stopped")
    ]
    assert logged[0] == logged[1]


@pytest.mark.parametrize(("best_by", "epochs"), [("loss", 4), ("wer", 6)])
def test_patience_counts_validations_without_a_better_one(house, monkeypatch, best_by, epochs):
    found = iter([(3.0, 0.5), (1.0, 0.9), (2.0, 0.9), (2.0, 0.4), (2.0, 0.9), (2.0, 0.9)])
    monkeypatch.setattr(
        loop.Training, "validate", lambda *_: loop.Validation(*next(found), cer=0.5, shown=())
    )
    pipeline(
        house,
        "train.epochs=9",
        f"train.best_by={best_by}",
        "train.patience=2",
        "train.patience_from=3",
    ).run()
    logged = lines(house / "runs/tones/metrics.jsonl")
    assert [each["kind"] for each in logged].count("validation") == epochs


@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_a_batch_that_is_not_finite_is_left_out(house, monkeypatch, what):
    spoil_losses(monkeypatch, what, steps={2})
    written = io.StringIO()
    pipeline(house, console=Console(file=written, width=200)).run()
    told = [line for line in written.getvalue().splitlines() if "not finite" in line]
    assert len(told) == 1
    assert "loss or gradient not finite with train-" in told[0]
    assert told[0].endswith("the batch is left out")
    assert all(each.isfinite().all() for each in weights(house).values())


def test_too_many_batches_that_are_not_finite_end_the_training(house, monkeypatch):
    spoil_losses(monkeypatch, "loss", steps=range(1, 99))
    with pytest.raises(RunError, match="and in the 19 batches before") as told:
        pipeline(house, "train.epochs=9").run()
    assert "lower train.learning_rate" in told.value.hint


def spoil_losses(monkeypatch, what, steps):
    make, learn = learner.Learner.losses, learner.Learner.learn
    now = [-1]

    def at(self, batches, **given):
        now[:] = [given["step"]]
        return learn(self, batches, **given)

    def losses(self, *given):
        found = make(self, *given)
        if not torch.is_grad_enabled() or now[0] not in steps:
            return found
        if what == "loss":
            return {"loss": found["loss"] * torch.nan}
        found["loss"].register_hook(lambda gradient: gradient * torch.nan)
        return found

    monkeypatch.setattr(learner.Learner, "learn", at)
    monkeypatch.setattr(learner.Learner, "losses", losses)


def test_matrices_decay_and_vectors_do_not():
    layer = torch.nn.Linear(3, 2)
    decaying, others = learner._groups(layer, 0.1)
    assert decaying == {"params": [layer.weight], "weight_decay": 0.1}
    assert others == {"params": [layer.bias], "weight_decay": 0.0}


def test_a_curriculum_begins_with_short_transcripts(house, monkeypatch):
    learnt: dict[int, int] = {}
    learn = loop.Training._step

    def step(self, batches, *given):
        epoch = self.position.epoch
        longest = max(int(batch.label_lengths.max()) for batch in batches)
        learnt[epoch] = max(learnt.get(epoch, 0), longest)
        return learn(self, batches, *given)

    monkeypatch.setattr(loop.Training, "_step", step)
    pipeline(house, "train.curriculum=[{ epochs = 2, max_labels = 4 }]").run()
    assert learnt == {0: 4, 1: 4, 2: 5}
    with pytest.raises(DataError, match="takes transcripts of 1 labels at most; the shortest has"):
        pipeline(house, "train.curriculum=[{ epochs = 2, max_labels = 1 }]", run="none").run()


def test_one_text_read_by_many_takes_little_of_an_epoch(house, monkeypatch):
    table = house / "train.csv"
    head, *rows = table.read_text().splitlines()
    parts = [row.split(",") for row in rows]  # half of them read one text, the others another
    for number, row in enumerate(parts):
        row[2] = ("abc", "cba")[number % 2]
    table.write_text("\n".join([head, *map(",".join, parts)]) + "\n")
    read: dict[int, list[str]] = {}
    learn = loop.Training._step

    def step(self, batches, *given):
        ids = [identity for batch in batches for identity in batch.ids]
        read.setdefault(self.position.epoch, []).extend(ids)
        return learn(self, batches, *given)

    monkeypatch.setattr(loop.Training, "_step", step)
    pipeline(house, "train.same_text=2", "train.epochs=4").run()
    for ids in read.values():
        odd = [int(identity.split("-")[1]) % 2 for identity in ids]
        assert sorted(odd) == [0, 0, 1, 1]
    assert len({identity for ids in read.values() for identity in ids}) > 4  # others each epoch


def test_a_model_that_asks_is_told_the_texts_of_an_epoch(house, monkeypatch):
    table = house / "train.csv"
    head, *rows = table.read_text().splitlines()
    parts = [row.split(",") for row in rows]
    for number, row in enumerate(parts):
        row[2] = ("abc", "cba", "bb", "bb")[number % 4]
    table.write_text("\n".join([head, *map(",".join, parts)]) + "\n")
    told = []
    expect = MMILoss.expect
    monkeypatch.setattr(
        MMILoss, "expect", lambda self, texts: expect(self, told.append(list(texts)) or told[-1])
    )
    pipeline(house, "model.mmi=0.5", "train.same_text=7", "train.epochs=1").run()
    assert Counter(map(tuple, told[0])) == {(1, 2, 3): 6, (3, 2, 1): 6, (2, 2): 7}
    log = (house / "runs/tones/metrics.jsonl").read_text()
    assert '"mmi"' in log
    monkeypatch.setattr(by_heart, "_LOSS", 99)
    pipeline(house, "model.mmi=0.5").overfit_one_batch()
    assert len(told) == 2
    assert len(told[1]) == 24


KILLS = int(os.environ.get("SPEECHKIT_KILLS", "3"))  # the long form has 20


@pytest.mark.slow
@pytest.mark.timeout(600 + 30 * KILLS)
def test_a_killed_run_ends_as_one_that_was_not(house):
    # Longer than all kills take, also where this process must wait seconds for its turn.
    settings = (f"train.epochs={4 + 8 * KILLS}", "train.checkpoint_minutes=0.002")
    pipeline(house, *settings, run="whole").run()
    overrides = [part for each in settings for part in ("--set", each)]
    command = [sys.executable, "-m", "speechkit", "run", "tones.toml", "--run", "killed"]
    log, random = house / "runs/killed/metrics.jsonl", np.random.default_rng(os.getpid())
    for number in range(KILLS):
        with (house / "told.txt").open("w") as told:
            process = subprocess.Popen([*command, *overrides], stderr=told, stdout=told)
        for _ in range(random.integers(1, 8)):  # in any place between two steps
            wait_until_it_learns(process, log)
        time.sleep(float(random.uniform(0, 0.03)))
        asked = number == KILLS // 2  # one is asked to end, the others are killed
        process.send_signal(signal.SIGTERM if asked else signal.SIGKILL)
        code, told = process.wait(), (house / "told.txt").read_text()
        assert code == (143 if asked else -signal.SIGKILL), told
        if asked:
            assert "stopped: asked to end in epoch" in told
            assert "Traceback" not in told
    done = subprocess.run([*command, *overrides], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    same_ends(house, "whole", "killed")


def wait_until_it_learns(process: subprocess.Popen, log: Path) -> None:
    stamp = log.stat().st_mtime_ns if log.exists() else 0
    deadline = time.monotonic() + 120
    while process.poll() is None and (not log.exists() or log.stat().st_mtime_ns == stamp):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def same_ends(house: Path, *runs: str) -> None:
    """Weights, what was measured while training, and scores are the same, bit for bit."""
    first, second = (weights(house, run) for run in runs)
    assert first.keys() == second.keys()
    assert all(first[name].equal(second[name]) for name in first)
    first, second = (lines(house / f"runs/{run}/metrics.jsonl") for run in runs)
    assert [each for each in first if each["kind"] != "efficiency"] == [
        each for each in second if each["kind"] != "efficiency"
    ]
    of_epochs = [  # of whole epochs, though one was begun by another process
        [
            (each["speed"] * each["seconds"], each["padding"])
            for each in run
            if each["kind"] == "efficiency"
        ]
        for run in (first, second)
    ]
    assert np.allclose(*of_epochs)
    first, second = (
        [
            {key: row[key] for key in ("test", "decoder", "wer", "cer", "words")}
            for row in json.loads((house / f"runs/{run}/scores.json").read_text())
        ]
        for run in runs
    )
    assert first == second


def after_steps(monkeypatch, count: int, happens) -> None:
    """Have `happens` called before the step after `count` more of them."""
    learn, left = loop.Training._step, iter(range(count))

    def step(self, *given):
        if next(left, None) is None:
            happens()
        return learn(self, *given)

    monkeypatch.setattr(loop.Training, "_step", step)


@pytest.mark.parametrize("moment", ["step", "validation"])
def test_a_run_that_is_asked_to_end_saves_and_goes_on(house, monkeypatch, moment):
    pipeline(house, run="whole").run()
    with monkeypatch.context() as patch:
        if moment == "step":
            after_steps(patch, 9, lambda: os.kill(os.getpid(), signal.SIGTERM))
        else:
            validate = loop.Training.validate

            def asked(self, examples):
                os.kill(os.getpid(), signal.SIGTERM)
                return validate(self, examples)

            patch.setattr(loop.Training, "validate", asked)
        with pytest.raises(TerminatedError, match=r"asked to end in epoch \d, after batch \d+: a "):
            pipeline(house, run="asked").run()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    kinds = [each["kind"] for each in lines(house / "runs/asked/metrics.jsonl")]
    found = load_checkpoint(house / "runs/asked/checkpoints")
    assert found
    assert found[1]["step"] == (10 if moment == "step" else 7)  # nothing learnt is lost

    def stop(_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:  # then killed before it has saved what it measured
        patch.setattr(loop.Training, "_save", stop)
        with pytest.raises(KeyboardInterrupt):
            pipeline(house, run="asked").run()
    pipeline(house, run="asked").run()
    same_ends(house, "whole", "asked")
    # the step it is asked in is learnt; a validation is not, and is done again
    steps, validations = (10, 1) if moment == "step" else (7, 0)
    assert (kinds.count("train"), kinds.count("validation")) == (steps, validations)


def test_a_run_that_is_asked_to_end_while_its_last_checkpoint_is_written_ends(house, monkeypatch):
    save = loop.Training._save

    def asked(self):
        save(self)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(loop.Training, "_save", asked)
    with pytest.raises(TerminatedError, match="asked to end after the last epoch"):
        pipeline(house, "train.epochs=1").run()
    monkeypatch.undo()
    monkeypatch.setenv("SPEECHKIT_CACHE", str(house / "cache"))
    assert pipeline(house, "train.epochs=1").run()


@pytest.mark.parametrize("damage", [lambda file: file.unlink(), lambda file: file.write_bytes(b"")])
def test_a_training_whose_best_weights_are_lost_goes_on_and_says_so(house, monkeypatch, damage):
    def stop():
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        after_steps(patch, 15, stop)
        with pytest.raises(KeyboardInterrupt):
            pipeline(house).run()
    damage(house / "runs/tones/checkpoints/best.safetensors")
    written = io.StringIO()
    assert pipeline(house, console=Console(file=written, width=200)).run()
    assert "the weights that were the best are lost" in written.getvalue()


def test_what_has_more_labels_than_frames_is_not_in_the_validation_loss(house):
    pipeline(house, "train.epochs=1", run="without").run()
    with (house / "dev.csv").open("a") as rows:
        rows.write(f"dev-long,dev0.wav,{'ab' * 200},s0\n")
    pipeline(house, "train.epochs=1", run="with").run()
    (without,), (found,) = (
        [each["loss"] for each in lines(house / f"runs/{run}/metrics.jsonl") if "wer" in each]
        for run in ("without", "with")
    )
    assert found == pytest.approx(without, rel=1e-4)


@pytest.mark.parametrize("by", ["loss", "wer"])
def test_a_validation_whose_loss_is_not_a_number_is_not_the_best_for_good(house, monkeypatch, by):
    losses = iter([float("nan"), 2.0, 1.0])
    monkeypatch.setattr(
        loop.Training, "validate", lambda *_: loop.Validation(next(losses), 1.0, 1.0, ())
    )
    pipeline(house, f"train.best_by={by}").run()
    _, state, _ = load_checkpoint(house / "runs/tones/checkpoints")
    assert sorted(state["position"]["best"]) == [1.0, 1.0]


def test_a_time_budget_chooses_the_epochs_and_a_stopped_run_keeps_to_them(house, monkeypatch):
    class StopError(Exception):
        pass

    def stop():
        raise StopError

    monkeypatch.setattr(Budget, "used", property(lambda _: 0.0))
    monkeypatch.setattr(Budget, "shorten", lambda *_: False)
    plans = []

    def plan(self, done, used):
        assert self.seconds_per_second > 0
        assert self.validation_seconds > 0
        plans.append((done, used))
        self.epochs = 2 + 3 / 7

    monkeypatch.setattr(Budget, "plan", plan)
    settings = ("train.minutes=1.0", "train.checkpoint_minutes=0.0001")
    written = io.StringIO()
    pipeline(house, *settings, run="whole", console=Console(file=written, width=200)).run()
    told = [line for line in written.getvalue().splitlines() if line.startswith("1 minutes: ")]
    assert len(told) == 1
    assert told[0].endswith("a validation: 2.429 epochs of 7 steps fit")
    for steps in (7, 10):  # seven are timed, so the first time it is stopped before a real one
        with monkeypatch.context() as patch:
            after_steps(patch, steps, stop)
            with pytest.raises(StopError):
                pipeline(house, *settings, run="stopped").run()
        found = load_checkpoint(house / "runs/stopped/checkpoints")
        assert found
        learnt = any(name.startswith("optimizer") for name in found[0])
        assert learnt == (steps == 10)  # what the timed steps taught is forgotten
    pipeline(house, *settings, run="stopped").run()
    same_ends(house, "whole", "stopped")
    assert plans == [(0.0, 0.0)] * 2
    kinds = [each["kind"] for each in lines(house / "runs/stopped/metrics.jsonl")]
    assert (kinds.count("train"), kinds.count("validation")) == (7 + 7 + 3, 3)
    rates = [each.get("learning_rate") for each in lines(house / "runs/stopped/metrics.jsonl")]
    assert min(rate for rate in rates[-6:] if rate) < 0.05 * 3e-3  # the schedule came to its end


def test_a_training_ends_within_its_minutes(house):
    began = time.monotonic()
    written = io.StringIO()
    pipeline(house, "train.minutes=0.1", console=Console(file=written, width=200)).run()
    told = json.loads((house / "runs/tones/checkpoints/time.json").read_text())
    assert told["seconds"] <= 7
    assert time.monotonic() - began > 3  # it uses its time


def test_a_model_that_compares_views_gets_them_unchanged_of_a_batch_to_learn_by_heart(
    house, monkeypatch
):
    text = RECIPE.replace("time_mask_width = 8", "time_mask_width = 8\nviews = 2")
    (house / "tones.toml").write_text(text + "\n")
    seen = []
    losses = learner.Learner.losses

    def noted(self, ready):
        if seen and self.recogniser.training:
            half = len(ready.features) // 2
            seen.append(ready.features[:half].equal(ready.features[half:]))
        seen.append(True)
        return losses(self, ready)

    monkeypatch.setattr(learner.Learner, "losses", noted)
    monkeypatch.setattr(by_heart, "_LOSS", 99)
    pipeline(house, "model.consistency=0.2").overfit_one_batch()
    assert len(seen) > 10
    assert all(seen)


def test_a_model_learns_one_batch_by_heart_or_says_that_it_cannot(house, monkeypatch):
    written = io.StringIO()
    console = Console(file=written, width=200)
    pipeline(house, "train.learning_rate=5e-3", console=console).overfit_one_batch()
    assert "the model can learn: the loss of one batch of 3 utterances went from" in (
        written.getvalue()
    )
    monkeypatch.setattr(by_heart, "_STEPS", 10)
    with pytest.raises(RunError, match=r"does not learn even one batch .* in 10 steps; 0.1 "):
        pipeline(house, "train.learning_rate=1e-9").overfit_one_batch()
    assert not (house / "runs").exists()


def test_another_recipe_does_not_throw_a_training_away(house):
    pipeline(house).run()
    before = (house / "runs/tones/model.safetensors").read_bytes()
    with pytest.raises(RunError, match=r"finished training.*\n  model.dim: 32, now 16") as error:
        pipeline(house, "model.dim=16").run()
    assert "--run NAME" in error.value.hint
    assert (house / "runs/tones/model.safetensors").read_bytes() == before
    pipeline(house, "model.dim=16", force=["train"]).run()
    assert (house / "runs/tones/model.safetensors").read_bytes() != before


def test_settings_that_do_not_change_the_result_do_not_matter(house):
    pipeline(house).run()
    pipeline(house, "train.keep=1", "train.threads=2", "train.checkpoint_minutes=1.0").run()


def test_two_at_once_the_second_says_so(house):
    first, second = pipeline(house), pipeline(house)
    with (
        RunFolder(first.folder).locked(),
        pytest.raises(RunError, match=f"in use by process {os.getpid()}"),
    ):
        second.run()


def test_fine_tuning_starts_from_the_weights_and_a_run_can_only_decode(house):
    pipeline(house).run()
    tuned = pipeline(house, "model.start_from=runs/tones", "train.learning_rate=1e-9", run="tuned")
    tuned.run()
    assert all(
        one.allclose(other, atol=1e-4)
        for one, other in zip(
            weights(house).values(), weights(house, "tuned").values(), strict=True
        )
    )
    with pytest.raises(ModelError, match=r"model.start_from = toons: no folder or file, and no"):
        pipeline(house, "model.start_from=toons", run="other").run()
    text = RECIPE.replace('[corpus.train]\nuse = "files"\npath = "train.csv"\n', "").replace(
        "[model]\n",
        '[model]\nstart_from = "tones"\n',  # the run of this name
    )
    (house / "tones.toml").write_text(text)
    rows = pipeline(house, run="decoded").run()
    kept = tomllib.loads((house / "runs/decoded/recipe.toml").read_text())
    assert kept["model"]["start_from"] == str(house / "runs/tones")
    assert [row.wer for row in rows] == [
        each["wer"] for each in json.loads((house / "runs/tones/scores.json").read_text())
    ]

    # The model's plugin has gained a setting since: the weights mean what they meant.
    file = house / "runs/tones/model.safetensors"
    with safe_open(file, framework="pt") as opened:
        described = json.loads(opened.metadata()["speechkit"])
    del described["model"]["layer_drop"]
    save_file(load_file(file), file, metadata={"speechkit": json.dumps(described)})
    assert [row.wer for row in pipeline(house, run="later").run()] == [row.wer for row in rows]
    with pytest.raises(RunError, match="trained with other settings: model was"):
        pipeline(house, "model.layer_drop=0.5", run="other").run()


def test_a_run_stays_done_when_its_parts_gain_settings(house):
    pipeline(house).run()
    model = house / "runs/tones/model.safetensors"
    before, stages = model.read_bytes(), house / "runs/tones/stages.json"
    noted = json.loads(stages.read_text())
    for stage in ("train", "training"):
        del noted[stage]["inputs"]["model"]["layer_drop"]
        del noted[stage]["inputs"]["augment"][0]["views"]
        del noted[stage]["inputs"]["features"]["low_hertz"]
    stages.write_text(json.dumps(noted))
    rows = pipeline(house).run()
    assert model.read_bytes() == before
    assert rows
    for change in ("model.layer_drop=0.5", "features.low_hertz=50.0"):
        with pytest.raises(RunError, match="finished training of another recipe"):
            pipeline(house, change).run()


def test_weights_of_another_shape_are_told(house):
    pipeline(house).run()
    for more in ((), ('text.alphabet="bac"',)):
        with pytest.raises(RunError, match=r"do not fit the model: .* in the file") as caught:
            pipeline(house, "model.start_from=runs/tones", "model.dim=16", *more, run="other").run()
        assert caught.value.hint.endswith("the file was made with model.dim = 32")


@pytest.mark.parametrize("alphabet", ["bacd", "ba", "dab"])
def test_training_starts_from_weights_of_other_labels(house, alphabet):
    """Of more, of fewer and of as many: those that both have keep their weights."""
    pipeline(house).run()
    letters = [f'text.alphabet="{alphabet}"', f'text.replace={{c="{alphabet[0]}"}}']
    given = [*letters, "train.learning_rate=1e-9", "train.epochs=1"]
    told(house, *given, run="new")
    said = told(house, *given, "model.start_from=runs/tones", run="tuned")
    before, new, tuned = (weights(house, run) for run in ("tones", "new", "tuned"))
    ours, theirs = ["", *alphabet, " "], ["", *"abc", " "]
    for name, tensor in tuned.items():
        if not name.startswith("model.head."):
            assert tensor.allclose(before[name], atol=1e-4), name
            continue
        assert len(tensor) == len(ours)
        for row, label in enumerate(ours):
            is_shared = label in theirs
            expected = before[name][theirs.index(label)] if is_shared else new[name][row]
            assert tensor[row].allclose(expected, atol=1e-4), (name, label)
    both = " ".join(letter for letter in alphabet if letter in theirs)
    assert f"of 4 labels; of this recipe's {len(ours) - 1} it has" in said
    assert f"({both} ␣): the others begin anew" in said


def test_counting_labels_draws_no_random_numbers(house):
    pipeline(house, "train.epochs=1").run()
    plugins = load_plugins()
    trained = load_recogniser(house / "runs/tones", plugins)
    text = trained.blueprint.text.model_copy(update={"alphabet": "ab "})
    other = Recogniser(replace(trained.blueprint, text=text))
    state = torch.get_rng_state()
    assert start_from(other, house / "runs/tones/model.safetensors", plugins)
    assert torch.get_rng_state().equal(state)


def change(house: Path, part: str, row: int, audio: str | None = None, text: str | None = None):
    file = house / f"{part}.csv"
    kept = file.read_text().splitlines()
    cells = kept[row + 1].split(",")
    kept[row + 1] = ",".join([cells[0], audio or cells[1], cells[2] if text is None else text, "s"])
    file.write_text("\n".join(kept) + "\n")


def bad_audio(house: Path) -> None:
    (house / "broken.wav").write_bytes(b"RIFF no audio")
    change(house, "train", 3, audio="broken.wav")


def no_samples(house: Path) -> None:
    soundfile.write(house / "empty.wav", np.zeros(0), 16_000)
    change(house, "train", 3, audio="empty.wav")


def not_numbers(house: Path) -> None:
    soundfile.write(house / "nan.wav", np.full(999, np.nan), 16_000, subtype="FLOAT")
    change(house, "test", 3, audio="nan.wav")


def missing_audio(house: Path) -> None:
    change(house, "train", 3, audio="none.wav")


def missing_file(house: Path) -> None:
    (house / "dev.csv").unlink()


def missing_column(house: Path) -> None:
    (house / "dev.csv").write_text("id,audio\na,dev0.wav\n")


def empty_split(house: Path) -> None:
    (house / "dev.csv").write_text("id,audio,text\n")


def foreign_text(house: Path) -> None:
    for row in range(24):
        change(house, "train", row, text="щука")


@pytest.mark.parametrize(
    ("mistake", "error", "message"),
    [
        (bad_audio, DataError, r"train-3 .*broken.wav\): cannot be read as audio"),
        (no_samples, DataError, r"train-3 .*empty.wav\): holds no samples"),
        (not_numbers, DataError, r"test-3 .*nan.wav\): 999 of 999 samples are not numbers"),
        (missing_audio, DataError, r"train.csv: row 4: no file .*none.wav"),
        (missing_file, DataError, "dev.csv"),
        (missing_column, DataError, "dev.csv: no column is known to hold the transcripts"),
        (empty_split, DataError, "dev.csv"),
        (foreign_text, DataError, "no utterance is left to learn from, of 24"),
    ],
)
def test_bad_input_is_named(house, mistake, error, message):
    mistake(house)
    with pytest.raises(error, match=message):
        pipeline(house, "train.epochs=1").run()


def test_bad_utterances_can_be_left_out(house):
    bad_audio(house)
    assert len(pipeline(house, "train.epochs=1", 'data.bad_utterances="skip"').run()) == 2


def test_text_outside_the_alphabet_is_told(house):
    change(house, "train", 2, text="ab щ c")
    console = Console(record=True, file=io.StringIO(), width=200)
    pipeline(house, "train.epochs=1", console=console).run()
    assert "train: characters outside the alphabet were taken out: 'щ' 1 times" in (
        console.export_text()
    )


def test_a_gpu_that_is_not_there(house):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    with pytest.raises(DeviceError, match="and there is none"):
        pipeline(house, "train.device=cuda").run()


def test_waveform_augmentation_of_ready_features_is_refused(house):
    rows = {"id": "a", "mfcc": [0.0] * 60, "text": "a"}
    for part in ("train", "dev", "test"):
        (house / f"{part}.jsonl").write_text(json.dumps(rows) + "\n")
    text = RECIPE.replace(".csv", '.jsonl"\nfeatures_column = "mfcc"\nfeature_dim = 20 #')
    (house / "tones.toml").write_text(text.replace(MASKS, 'use = "speed"'))
    with pytest.raises(RecipeError, match="speed changes waveforms"):
        pipeline(house).run()
    (house / "tones.toml").write_text(text.replace("feature_dim = 20", "feature_dim = 10"))
    with pytest.raises(DataError, match=r"gives 10 features every 0.01 s, \[features\] log_mel"):
        pipeline(house).run()


def test_a_full_disk_is_told(house, monkeypatch):
    import errno

    def full(*given, **named):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("speechkit.training.checkpoint.save_file", full)
    with pytest.raises(RunError, match="the disk is full"):
        pipeline(house).run()
    monkeypatch.undo()
    monkeypatch.setenv("SPEECHKIT_CACHE", str(house / "cache"))
    assert pipeline(house).run()  # and afterwards it goes on


def test_a_damaged_model_file_is_told(house):
    pipeline(house, "train.epochs=1").run()
    file = house / "runs/tones/model.safetensors"
    for content in (b"", b"no model", file.read_bytes()[:-100]):
        (house / "m.safetensors").write_bytes(content)
        with pytest.raises(SpeechkitError, match=r"m\.safetensors: is"):
            load_recogniser(house / "m.safetensors", load_plugins())
    with pytest.raises(RunError, match="does not exist"):
        load_recogniser(house / "none", load_plugins())
    with pytest.raises(RunError, match="holds no trained model"):
        load_recogniser(house, load_plugins())


def with_text(file: Path, **settings: object) -> None:
    """Change what a model file says of its text rules."""
    with safe_open(file, framework="pt") as opened:
        stored = json.loads(opened.metadata()["speechkit"])
        weights = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    stored["text"].update(settings)
    save_file(weights, file, metadata={"speechkit": json.dumps(stored)})


def test_a_model_keeps_text_rules_that_recipes_may_not_have_any_more(house):
    pipeline(house, "train.epochs=1").run()
    file = house / "runs/tones/model.safetensors"
    with_text(file, replace={"\u00c9": "a", "": "b"}, alphabet="ab\t ")
    assert load_recogniser(file, load_plugins()).blueprint.text.alphabet == "ab\t "


def test_settings_of_a_model_that_nobody_has_are_told_in_a_line(house):
    pipeline(house, "train.epochs=1").run()
    file = house / "runs/tones/model.safetensors"
    with_text(file, case="title", alphabet="aab")
    with pytest.raises(PluginError) as told:
        load_recogniser(file, load_plugins())
    assert str(told.value) == (
        f"{file}: was made with other settings than the installed parts have: "
        "alphabet: has 'a' more than once; case: Input should be 'lower', 'upper' or 'keep'"
    )


@pytest.mark.parametrize("use", ["kenlm", "beam"])
def test_another_decoder_decodes_again_and_trains_nothing(house, use):
    (house / "tones.toml").write_text(RECIPE + TUNED)
    pipeline(house).run()
    folder = house / "runs" / "tones"
    stamp = (folder / "model.safetensors").stat().st_mtime_ns
    assert not (folder / "lm").exists()  # greedy uses none
    rows = pipeline(house, f"decoder.use={use}").run()
    assert [(row.test, row.decoder) for row in rows] == [
        ("validation", "greedy"),
        ("unseen", "greedy"),
        ("validation", use),
        ("unseen", use),
    ]
    assert (folder / "model.safetensors").stat().st_mtime_ns == stamp
    assert any((folder / "lm").iterdir())
    tuned = json.loads((folder / "tuning" / f"{use}.json").read_text())
    assert (tuned["decoder"], tuned["part"], tuned["utterances"]) == (use, "validation", 4)
    assert tuned["best"] in tuned["points"]
    assert tuned["best"]["wer"] <= tuned["before"]["wer"] == tuned["points"][0]["wer"]
    assert len(tuned["points"]) <= 12
    assert "<svg" in (folder / "tuning" / f"{use}.svg").read_text()
    decoded = folder / "decoded" / use / "unseen.jsonl"
    before = decoded.stat().st_mtime_ns
    assert pipeline(house, f"decoder.use={use}").run() == rows
    assert decoded.stat().st_mtime_ns == before
    pipeline(house, f"decoder.use={use}", "tune.enabled=false").run()
    assert decoded.stat().st_mtime_ns != before


def test_weights_are_searched_again_by_hand_and_then_used(house):
    (house / "tones.toml").write_text(RECIPE + TUNED)
    overrides = ("train.epochs=1", 'decoder.use="beam"')
    asked = TuneSettings(utterances=6, settings=3)
    with pytest.raises(RunError, match="tones holds no trained model"):
        pipeline(house, *overrides).tune(asked)
    pipeline(house, "train.epochs=1").run()
    folder = house / "runs" / "tones"
    model = (folder / "model.safetensors").stat().st_mtime_ns
    (folder / "emissions" / "validation.safetensors").unlink()  # made again where it is needed
    found = pipeline(house, *overrides).tune(asked)
    place = folder / "tuning" / "beam.json"
    found = json.loads(json.dumps(found))
    assert found == json.loads(place.read_text())
    assert (found["utterances"], len(found["points"])) == (6, 3)
    assert not (folder / "decoded" / "beam").exists()
    assert 'use = "greedy"' in (folder / "recipe.toml").read_text()  # the run's own, untouched
    pipeline(house, *overrides).run()
    assert json.loads(place.read_text()) == found
    decoded = folder / "decoded" / "beam" / "unseen.jsonl"
    stamp = decoded.stat().st_mtime_ns
    pipeline(house, *overrides).run()
    assert (decoded.stat().st_mtime_ns, (folder / "model.safetensors").stat().st_mtime_ns) == (
        stamp,
        model,
    )
    damaged = {**found, "best": {**found["best"], "settings": {"lm_weight": 0.5}}}
    place.write_text(json.dumps(damaged))
    pipeline(house, *overrides).run()  # searches again, as the recipe says
    again = json.loads(place.read_text())
    assert (again["utterances"], len(again["points"])) == (4, 12)


def test_what_cannot_be_tuned_is_told(house):
    (house / "tones.toml").write_text(RECIPE + TUNED)
    pipeline(house, "train.epochs=1").run()
    asked = TuneSettings()
    with pytest.raises(RecipeError, match="the decoder greedy has no weights") as error:
        pipeline(house, "train.epochs=1").tune(asked)
    assert "--decoder beam" in error.value.hint
    with pytest.raises(RecipeError, match="no run would use what is found"):
        pipeline(house, "train.epochs=1", "tune.enabled=false").tune(asked)
    with pytest.raises(RunError, match=r"another recipe.*:\n  train.epochs: 1, now 2"):
        pipeline(house, "train.epochs=2", "decoder.use=beam").tune(asked)
    text = (RECIPE + TUNED).replace('[corpus.validation]\nuse = "files"\npath = "dev.csv"\n', "")
    (house / "tones.toml").write_text(text)
    with pytest.raises(RecipeError, match="the validation part, and there is none"):
        pipeline(house, "train.epochs=1").tune(asked)


@pytest.mark.parametrize("name", ["train", "Validation"])
def test_a_test_cannot_take_the_name_of_another_part(house, name):
    (house / "tones.toml").write_text(RECIPE.replace("test.unseen", f"test.{name}"))
    with pytest.raises(RecipeError, match=rf"tones\.toml:13: a test cannot be called `{name}`"):
        pipeline(house)


def test_a_model_without_a_record_is_not_thrown_away(house):
    pipeline(house, "train.epochs=1").run()
    before = weights(house)
    for damage in ("", '{"tr'):
        (house / "runs/tones/stages.json").write_text(damage)
        with pytest.raises(RunError, match="no record of what it was made from"):
            pipeline(house, "train.epochs=1").run()
    after = weights(house)
    assert all(before[name].equal(after[name]) for name in before)


def test_a_run_cannot_start_from_itself(house):
    pipeline(house, "train.epochs=1").run()
    with pytest.raises(RunError, match=r"model\.start_from is .*tones, this very run"):
        pipeline(house, "train.epochs=1", "model.start_from=runs/tones", force=["train"]).run()
    assert weights(house)


def test_without_training_weights_are_not_used_for_other_letters(house):
    pipeline(house, "train.epochs=1").run()
    text = RECIPE.replace('"abc"', '"bca"')
    text = text.replace('[corpus.train]\nuse = "files"\npath = "train.csv"\n', "")
    (house / "tones.toml").write_text(text)
    with pytest.raises(RunError, match=r'trained with other settings: text was .*"abc ".*"bca "'):
        pipeline(house, "model.start_from=runs/tones", run="other").run()


@pytest.mark.parametrize("name", ["values.bin", "rows.parquet", "meta.json"])
@pytest.mark.parametrize("keep", [0, 50, None])
def test_a_damaged_store_is_made_again(house, name, keep):
    rows = pipeline(house, "train.epochs=1").run()
    for file in (house / "cache" / "prepared").glob(f"*/{name}"):
        if keep is None:
            file.unlink()
        else:
            file.write_bytes(file.read_bytes()[:keep])
    again = pipeline(house, "train.epochs=1", run="again").run()
    assert [row.wer for row in again] == [row.wer for row in rows]


@pytest.mark.parametrize("file", ["decoded/greedy/unseen.jsonl", "emissions/unseen.safetensors"])
def test_damaged_results_are_made_again(house, file):
    rows = pipeline(house, "train.epochs=1").run()
    place = house / "runs/tones" / file
    whole = place.read_bytes()
    place.write_bytes(whole[: len(whole) // 2])
    again = pipeline(house, "train.epochs=1").run()
    assert [(row.wer, row.words) for row in again] == [(row.wer, row.words) for row in rows]
    assert file.startswith("decoded") or place.read_bytes() == whole


def test_rows_of_a_test_that_is_gone_do_not_stay(house):
    pipeline(house, "train.epochs=1").run()
    (house / "tones.toml").write_text(RECIPE.replace("test.unseen", "test.renamed"))
    rows = pipeline(house, "train.epochs=1").run()
    assert [row.test for row in rows] == ["validation", "renamed"]
    assert "[corpus.test.renamed]" in (house / "runs/tones/recipe.toml").read_text()


def test_rows_of_another_decoder_go_with_the_lm_text_they_are_of(house):
    (house / "lm.txt").write_text("a b\n" * 20)
    (house / "tones.toml").write_text(RECIPE + TUNED.replace("2\n", '2\ntext = ["lm.txt"]\n', 1))
    one = ("train.epochs=1", "tune.enabled=false")
    pipeline(house, *one, "decoder.use=beam").run()
    decoders = {row.decoder for row in pipeline(house, *one, "decoder.use=greedy").run()}
    assert decoders == {"greedy", "beam"}
    (house / "lm.txt").write_text("b a a\n" * 20)
    decoders = {row.decoder for row in pipeline(house, *one, "decoder.use=greedy").run()}
    assert decoders == {"greedy"}
    assert "beam" in {row.decoder for row in pipeline(house, *one, "decoder.use=beam").run()}
    (house / "lm.txt").unlink()  # what is not there has not changed, as far as anybody knows
    decoders = {row.decoder for row in pipeline(house, *one, "decoder.use=greedy").run()}
    assert decoders == {"greedy", "beam"}


def test_a_decoder_must_answer_for_every_utterance(house):
    from speechkit.decoding.decode import decode
    from speechkit.decoding.emissions import load_emissions

    pipeline(house, "train.epochs=1").run()
    stored = load_emissions(house / "runs/tones/emissions/unseen.safetensors")
    with pytest.raises(RunError, match="gives 0 lists of hypotheses for 6 utterances"):
        decode(
            stored,
            lambda _: [],
            [""] * 6,
            house / "x.jsonl",
            speakers=[""] * 6,
            seconds=[1.0] * 6,
            advance=lambda *_: None,
        )
    assert not (house / "x.jsonl").exists()
