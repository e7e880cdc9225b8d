"""Every shipped recipe runs to its scores, on a little of its speech, and transcribes a file."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

RECIPES = Path(__file__).parents[2] / "recipes"
LITTLE = ("train.epochs=1", "train.threads=1", "lm.text=[]")
NOISY = 'augment=[{use="noise"}, {use="room", rooms=3}, {use="n2", probability=0.5}, {use="speed"}]'
SMALL_N2 = ("model.dim=32", "model.layers=2", "model.intermediate=[]", "model.heads=2")
needs_data = pytest.mark.skipif(
    "SPEECHKIT_DATA" not in os.environ, reason="SPEECHKIT_DATA names no folder of real speech"
)


def speechkit(*arguments: str) -> str:
    command = [sys.executable, "-m", "speechkit", *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def limited(*tests: str) -> list[str]:
    return [
        f"corpus.{part}.limit=12"
        for part in ("train", "validation", *(f"test.{test}" for test in tests))
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("recipe", "profile", "settings", "tests"),
    [
        pytest.param(
            "n2",
            "local",
            [
                *limited("librispeech", "ljspeech"),
                *SMALL_N2,
                NOISY,
            ],
            {"validation", "librispeech", "ljspeech"},
            marks=needs_data,
        ),
        pytest.param(
            "n2_published",
            "local",
            [
                *limited("librispeech", "ljspeech"),
                "model.units=16",
                "model.layers=1",
            ],
            {"validation", "librispeech", "ljspeech"},
            marks=needs_data,
        ),
        pytest.param(
            "mini_librispeech",
            None,
            limited("librispeech", "ljspeech"),
            {"validation", "librispeech", "ljspeech"},
            marks=needs_data,
        ),
        pytest.param(
            "en_synthetic",
            None,
            ["corpus.train.utterances=12", "corpus.validation.limit=12"],
            {"validation"},
            marks=needs_data,
        ),
        pytest.param(
            "ru_bilstm",
            "local",
            [*limited("voxforge", "known_sentences"), "train.curriculum=[]"],
            {"validation", "voxforge", "known_sentences"},
            marks=needs_data,
        ),
        pytest.param(
            "ru_n2",
            "local",
            limited("voxforge", "known_sentences"),
            {"validation", "voxforge", "known_sentences"},
            marks=needs_data,
        ),
        pytest.param(
            "ru_synthetic",
            "bilstm",
            ["corpus.train.utterances=12", "corpus.validation.limit=12"],
            {"validation"},
            marks=needs_data,
        ),
        (
            "uk",
            "synthetic",
            [
                "corpus.train.utterances=24",
                "corpus.validation.utterances=6",
                "corpus.test.unseen.utterances=6",
                "model.dim=32",
                "model.layers=2",
            ],
            {"validation", "unseen"},
        ),
    ],
)
def test_a_recipe_runs_to_its_scores(recipe, profile, settings, tests, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SPEECHKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "datasets"))
    file = str(RECIPES / f"{recipe}.toml")
    overrides = [f"--set={each}" for each in (*LITTLE, *settings)]
    profiles = ["--profile", profile] if profile else []
    speechkit("run", file, *profiles, "--run=small", *overrides)
    rows = json.loads((tmp_path / "runs/small/scores.json").read_text())
    assert {each["test"] for each in rows} == tests
    assert all(each["utterances"] and each["words"] for each in rows)
    seconds = np.arange(16_000) / 8000  # bursts of a tone: what removes silence leaves some
    sound = 0.3 * np.sin(2 * np.pi * 700 * seconds) * (seconds * 2 % 1 < 0.5)
    soundfile.write(tmp_path / "sound.wav", sound, 8000)
    told = speechkit("transcribe", "sound.wav", "--model=runs/small", "--json")
    assert isinstance(json.loads(told)["text"], str)
