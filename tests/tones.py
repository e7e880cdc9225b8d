"""A corpus of tones, each a letter, and a recipe that learns them in seconds."""

import json
from pathlib import Path

import numpy as np
import soundfile
from safetensors.torch import load_file

TONES = {"a": 400, "b": 900, "c": 2000}  # a letter is a tone of its own

RECIPE = """
[recipe]
name = "tones"

[corpus.train]
use = "files"
path = "train.csv"

[corpus.validation]
use = "files"
path = "dev.csv"

[corpus.test.unseen]
use = "files"
path = "test.csv"

[text]
alphabet = "abc"

[features]
use = "log_mel"
bins = 20

[[augment]]
use = "spec_augment"
frequency_mask_width = 3
time_mask_width = 8

[model]
use = "n2"
dim = 32
layers = 2
heads = 2
convolution = 5
subsampling_channels = 4
dropout = 0.1

[train]
epochs = 3
batch_seconds = 4
learning_rate = 3e-3
average = 0.9
threads = 1
device = "cpu"
precision = "fp32"
"""


def speak(text: str, rate: int = 16_000) -> np.ndarray:
    spoken = [np.zeros(rate // 10)]
    for letter in text:
        at = np.arange(int(0.15 * rate)) / rate
        sound = 0.3 * np.sin(2 * np.pi * TONES[letter] * at) if letter != " " else 0 * at
        spoken += [sound, np.zeros(rate // 20)]
    return np.concatenate([*spoken, np.zeros(rate // 10)])


def furnish(tmp_path: Path) -> None:
    """Put the recipe and three parts of the corpus into a folder."""
    random = np.random.default_rng(0)
    for part, count in (("train", 24), ("dev", 6), ("test", 6)):
        lines = ["id,audio,text,speaker"]
        for number in range(count):
            text = "".join(random.choice(list("abc "), 5)).strip() or "a"
            soundfile.write(tmp_path / f"{part}{number}.wav", speak(text), 16_000)
            lines.append(f"{part}-{number},{part}{number}.wav,{text},s{number % 3}")
        (tmp_path / f"{part}.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "tones.toml").write_text(RECIPE)


def lines(file: Path) -> list[dict]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def weights(house: Path, run: str = "tones") -> dict:
    return load_file(house / "runs" / run / "model.safetensors")
