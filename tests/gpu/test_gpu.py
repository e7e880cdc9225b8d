"""The engine on a GPU: it computes there what it computes on the CPU."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from accelerate.state import AcceleratorState
from rich.console import Console

from speechkit import Augmentation, Config, MMILoss
from speechkit.data.batches import make_batch
from speechkit.data.store import Meta, Store
from speechkit.discovery import load_plugins
from speechkit.inference.transcriber import Transcriber, read_and_transcribe
from speechkit.pipeline import Pipeline
from speechkit.recipe import read_recipe
from speechkit.recogniser import Blueprint, Recogniser, load_recogniser, load_weights
from speechkit.reporter import Reporter
from speechkit.settings import TextSettings, TrainSettings
from speechkit.tracking import Tracking
from speechkit.training.augment import Chain
from speechkit.training.loop import Examples, Training
from speechkit_augment.spec_augment import SpecAugment, SpecAugmentConfig
from speechkit_augment.speed import Speed, SpeedConfig
from speechkit_features.log_mel import LogMel, LogMelConfig
from speechkit_greedy.greedy import Greedy, GreedyConfig
from speechkit_n2.transformer import N2, N2Config
from speechkit_units.characters import Characters, CharactersConfig

CPU, GPU = torch.device("cpu"), torch.device("cuda")
RATE = 16_000
TONES = {"a": 400, "b": 900, "c": 2000}  # hertz: a letter is a tone of its own
QUIET = Reporter(Console(quiet=True))

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]


@pytest.fixture(autouse=True)
def one_device_after_another(monkeypatch):
    """accelerate keeps the first device it was made for; cuDNN rounds fp32 to ten bits unasked."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)
    torch.set_flush_denormal(False)  # a run sets it for its process


@dataclass(frozen=True)
class Part:
    """A component with its settings, as a recipe would choose it."""

    make: Callable[..., Any]
    config: Config

    def build(self, **given: object) -> Any:
        return self.make(self.config, **given)

    def described(self) -> dict[str, Any]:
        return {"use": self.make.__name__, **self.config.model_dump(mode="json")}


def speak(text: str) -> np.ndarray:
    spoken = [np.zeros(RATE // 10)]
    for letter in text:
        seconds = np.arange(int(0.15 * RATE)) / RATE
        spoken += [0.3 * np.sin(2 * np.pi * TONES.get(letter, 0) * seconds), np.zeros(RATE // 20)]
    return np.concatenate([*spoken, np.zeros(RATE // 10)])


def texts(count: int, seed: int) -> list[str]:
    """Two to eight letters each."""
    random = np.random.default_rng(seed)
    return ["".join(random.choice(list(TONES), random.integers(2, 9))) for _ in range(count)]


def examples(count: int, seed: int) -> Examples:
    """A prepared corpus of tones that lies in no folder."""
    said = texts(count, seed)
    rows = [(speak(text) * 32767).astype(np.int16) for text in said]
    lengths = np.array([len(row) for row in rows])
    store = Store(
        Path(),
        Meta("audio", "int16", RATE, 1, 0.0, "tones"),
        [f"{seed}-{number}" for number in range(count)],
        said,
        [""] * count,
        lengths,
        np.concatenate([[0], np.cumsum(lengths)]),
        np.concatenate(rows),
    )
    labels = [recogniser().units.encode(text) for text in said]
    return Examples(store, said, labels, np.arange(count))


def recogniser(normalization: str = "utterance", **model: Any) -> Recogniser:
    """Made on the CPU, the same every time."""
    torch.manual_seed(17)
    sizes = {"dim": 32, "layers": 2, "heads": 2, "convolution": 5, "subsampling_channels": 4}
    return Recogniser(
        Blueprint(
            Part(LogMel, LogMelConfig(bins=20)),
            Part(Characters, CharactersConfig()),
            Part(N2, N2Config(**sizes | {"dropout": 0.0} | model)),
            TextSettings(alphabet="abc"),
            normalization,
            20,
            "en",
        )
    )


LEARNS = {"epochs": 40, "learning_rate": 1e-2, "schedule": "cosine"}  # to read tones


def training(
    made: Recogniser,
    device: torch.device,
    folder: Path,
    *augmentations: Augmentation,
    **settings: Any,
) -> Training:
    """A training of `made` on tones: ten steps an epoch, validated after the last."""
    AcceleratorState._reset_state(reset_partial_state=True)
    folder.mkdir(exist_ok=True)
    given = {"epochs": 2, "schedule": "constant", "warmup": 0.0, "precision": "fp32"}
    sizes = {"batch_seconds": 4.0, "average": 0.9, "validate_every": 40}
    return Training(
        made,
        examples(24, seed=1),
        examples(6, seed=2),
        Chain(augmentations, seed=17),
        greedy(made),
        TrainSettings(**sizes | given | settings),
        17,
        folder,
        device,
        QUIET,
        Tracking((), QUIET),
    )


def greedy(made: Recogniser) -> Greedy:
    return Greedy(GreedyConfig(), vocabulary=made.units.vocabulary)


def logged(folder: Path, kind: str) -> list[float]:
    """The losses in a run's metrics."""
    lines = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    return [line["loss"] for line in lines if line["kind"] == kind]


@pytest.mark.parametrize("normalization", ["utterance", "global"])
def test_fp32_training_takes_the_steps_it_takes_on_the_cpu(tmp_path, normalization):
    masks = SpecAugmentConfig(frequency_mask_width=3, time_mask_width=8)
    changes = Speed(SpeedConfig()), SpecAugment(masks, dim=20)
    for name, device in (("here", CPU), ("there", GPU)):
        made = recogniser(normalization, intermediate=(1,))
        training(made, device, tmp_path / name, *changes).run()
        assert {each.device.type for each in made.state_dict().values()} == {device.type}
    for kind in ("train", "validation"):
        here, there = (logged(tmp_path / name, kind) for name in ("here", "there"))
        assert len(here) == len(there) >= 1
        assert np.allclose(here, there, rtol=1e-3)


def test_mmi_is_what_it_is_on_the_cpu():
    torch.manual_seed(0)
    scores, frames = torch.randn(3, 40, 5).log_softmax(-1), torch.tensor([40, 31, 12])
    labels, counts = torch.tensor([[1, 2, 2], [3, 4, 0], [2, 0, 0]]), torch.tensor([3, 2, 1])
    criterion = MMILoss(5)
    criterion.expect([[1, 2, 2], [3, 4], [2, 1]])
    losses, gradients = [], []
    for device in (CPU, GPU):
        given = scores.to(device).detach().requires_grad_()
        loss = criterion(given, *(each.to(device) for each in (frames, labels, counts)))
        loss.sum().backward()
        losses.append(loss.detach().cpu())
        gradients.append(given.grad.cpu())
    assert torch.allclose(*losses, atol=1e-4)
    assert torch.allclose(*gradients, atol=1e-5)


def test_what_a_gpu_learns_is_heard_alike_on_both(tmp_path):
    there = recogniser()
    training(there, GPU, tmp_path, **LEARNS).run()
    here = recogniser()
    load_weights(here, tmp_path / "model.safetensors")
    spoken = examples(12, seed=3)
    batch = make_batch(spoken.store, range(12), spoken.labels)
    found = []
    for made, device in ((here, CPU), (there, GPU)):
        moved = batch.to(device)
        emissions = made.eval().emissions(moved.values, moved.lengths)
        assert emissions.log_probs.device.type == device.type
        found.append((emissions.cpu(), [each[0].text for each in greedy(made)(emissions)]))
    (emissions, heard), (gpu_emissions, gpu_heard) = found
    assert torch.equal(emissions.lengths, gpu_emissions.lengths)
    for row, length in enumerate(emissions.lengths.tolist()):
        ours, theirs = (each.log_probs[row, :length] for each in (emissions, gpu_emissions))
        assert torch.allclose(ours, theirs, atol=1e-3)
    assert gpu_heard == heard
    right = sum(text == said for text, said in zip(heard, spoken.texts, strict=True))
    assert right >= 8  # it has learnt: texts are equal not for being empty


def test_bf16_training_lowers_the_loss(tmp_path):
    made = recogniser(dropout=0.1, layer_drop=0.1, intermediate=(1,))
    training(made, GPU, tmp_path, **LEARNS | {"epochs": 10, "precision": "bf16"}).run()
    losses = logged(tmp_path, "epoch")
    assert np.isfinite(logged(tmp_path, "train")).all()
    assert losses[-1] < 0.7 * losses[0]


def test_a_stopped_training_goes_on(tmp_path):
    for name, epochs in (("whole", (3,)), ("stopped", (2, 3))):
        for last in epochs:  # the second time from the checkpoint of the first
            training(recogniser(), GPU, tmp_path / name, epochs=last).run()
    whole, stopped = (logged(tmp_path / name, "train") for name in ("whole", "stopped"))
    assert len(whole) == len(stopped)
    assert np.allclose(whole, stopped, rtol=1e-3)


RECIPE = """
recipe.name = "tones"
corpus.train = { use = "files", path = "train.csv" }
corpus.validation = { use = "files", path = "test.csv" }
corpus.test.same = { use = "files", path = "test.csv" }
text.alphabet = "abc"
features = { use = "log_mel", bins = 20 }
[model]
use = "n2"
dim = 32
layers = 2
heads = 2
convolution = 5
subsampling_channels = 4
dropout = 0.0
[train]
epochs = 40
batch_seconds = 4
learning_rate = 1e-2
average = 0.9
validate_every = 40
device = "cuda"
precision = "fp32"
"""


def test_a_recipe_runs_on_a_gpu_and_its_model_anywhere(tmp_path, monkeypatch):
    monkeypatch.setenv("SPEECHKIT_CACHE", str(tmp_path / "cache"))
    for part, count in (("train", 24), ("test", 6)):
        lines = ["id,audio,text"]
        for number, text in enumerate(texts(count, seed=count)):
            soundfile.write(tmp_path / f"{part}{number}.wav", speak(text), RATE)
            lines.append(f"{part}-{number},{part}{number}.wav,{text}")
        (tmp_path / f"{part}.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "tones.toml").write_text(RECIPE)
    plugins = load_plugins()
    recipe = read_recipe(tmp_path / "tones.toml", plugins)
    AcceleratorState._reset_state(reset_partial_state=True)
    folder = tmp_path / "runs" / "tones"
    validation, test = Pipeline(recipe, plugins, folder, QUIET).run()
    assert test.cer == validation.cer < 0.5
    made = json.loads((folder / "environment.json").read_text())["device"]
    assert made == torch.cuda.get_device_name()

    lines = (folder / "decoded" / "greedy" / "same.jsonl").read_text().splitlines()
    decoded = [json.loads(line)["hypothesis"] for line in lines]
    for device in (CPU, GPU):
        model = load_recogniser(folder, plugins).to(device)
        transcriber = Transcriber(model, greedy(model))
        for number, text in enumerate(decoded):
            found, _ = read_and_transcribe(transcriber, str(tmp_path / f"test{number}.wav"))
            assert found.text == text
