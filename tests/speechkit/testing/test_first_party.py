"""Every part of speechkit's own plugins holds what the contract kit asks, in a small size."""

import json
import pkgutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile

from speechkit.discovery import load_plugins
from speechkit.testing import check, checks_of
from speechkit.testing.imports import effects

UNCHECKED = {"download"}  # kinds that have no checks
FOLDER = "FOLDER"  # becomes a folder of the corpus of that name
N2 = {"dim": 16, "layers": 2, "heads": 2, "convolution": 5, "subsampling_channels": 4}
NGRAM = {"processes": 1, "beam": 12}
CASES = {
    "model:n2": [
        N2,
        N2 | {"attention": False, "halved": [2, 2], "layers": 3, "intermediate": [1]},
        N2 | {"subsampling": 2},
        N2 | {"mmi": 0.5, "consistency": 0.2},
    ],
    "model:n2_blstm": [{"units": 16, "layers": 2, "channels": [2, 2, 4], "dropout": 0.1}],
    "model:bilstm": [
        {"units": 24},
        {"units": 24, "stack": 3, "dropout": 0.1},
        {"units": 24, "stack": 2, "window": 8, "context": 4},
        {"units": 24, "mmi": 0.5},
    ],
    "features:log_mel": [{"bins": 40}],
    "features:mfcc": [{}],
    "features:spectrogram": [{}],
    "features:sphinx_mfcc": [{}, {"remove_silence": False, "input_rate": 8000}],
    "augmentation:gain": [{"gain_db": [-6.0, 6.0], "probability": 0.7}],
    "augmentation:n2": [{"probability": 0.5}],
    "augmentation:noise": [{"probability": 0.8}],
    "augmentation:room": [{"probability": 0.8, "rooms": 4}],
    "augmentation:spec_augment": [{}, {"probability": 0.5}],
    "augmentation:speed": [{}, {"factors": [0.75, 1.25], "probability": 0.7}],
    "augmentation:tempo": [{}, {"factors": [0.75, 1.25], "probability": 0.7}],
    "augmentation:vtlp": [{}, {"probability": 0.6}],
    "units:characters": [{}, {"edges": True}],
    "decoder:greedy": [{}],
    "decoder:beam": [{"threads": 1}, {"threads": 1, "scores": "summed", "look_ahead": 0.0}],
    "decoder:kenlm": [NGRAM],
    "decoder:flashlight": [{"beam": 12}],
    "language_model:ngram": [{"order": 3}, {"order": 1}, {"order": 2, "cutoffs": [0, 1]}],
    "score_protocol:n2": [{}],
    "corpus:files": [{"path": FOLDER}],
    "corpus:hub": [{"path": FOLDER}],
    "corpus:librispeech": [{"path": FOLDER}],
    "corpus:ljspeech": [{"path": FOLDER}],
    "corpus:voxforge": [{"path": FOLDER}],
    "corpus:synthetic": [{"utterances": 8}],
}
PAIRS = [(part, settings) for part, cases in CASES.items() for settings in cases]
PACKAGES = (
    "augment",
    "beam",
    "bilstm",
    "corpora",
    "features",
    "greedy",
    "lm",
    "n2",
    "ngram",
    "units",
)


def test_none_is_left_out():
    plugins = load_plugins()
    offered = {
        f"{each.kind}:{each.component.name}"
        for each in plugins.all_offers
        if each.kind not in UNCHECKED and each.distribution == "speechkit"
    }
    assert offered == set(CASES)


@pytest.mark.parametrize(("part", "settings"), PAIRS, ids=lambda each: str(each)[:40])
def test_it_holds_what_its_interface_promises(part, settings, tmp_path, monkeypatch):
    kind, name = part.split(":")
    if kind == "corpus":
        monkeypatch.setenv("SPEECHKIT_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "datasets"))
    if settings.get("path") == FOLDER:
        settings = {"path": str(TREES[name](tmp_path / name))}
    if part == "decoder:flashlight":
        pytest.importorskip("flashlight.lib.text")
    component = load_plugins().find(kind, name).component
    results = check(component, kind, settings=settings, skip=["nothing_happens_at_import"])
    assert [(each.check, each.saw) for each in results if each.outcome == "failed"] == []
    assert len(results) == len(checks_of(kind)) - 1


def test_importing_them_does_nothing(tmp_path):
    names = []
    for package in PACKAGES:
        module = __import__(f"speechkit_{package}")
        found = pkgutil.walk_packages(module.__path__, f"{module.__name__}.")
        names += [module.__name__, *(each.name for each in found)]
    # One is a program of its own, another needs a package that not everyone has.
    names = [each for each in names if not each.endswith(("espeak_process", "flashlight_decoder"))]
    file = tmp_path / "all_of_them.py"
    file.write_text("".join(f"import {each}\n" for each in names))
    assert effects(str(file)) == ()


def wave(seed):
    return 0.1 * np.random.default_rng(seed).standard_normal(1600)


def librispeech(folder):
    chapter = folder / "LibriSpeech" / "dev-clean" / "84" / "121550"
    chapter.mkdir(parents=True)
    lines = []
    for number in range(4):
        name = f"84-121550-{number:04}"
        soundfile.write(chapter / f"{name}.flac", wave(number), 16_000)
        lines.append(f"{name} BUT WITH FULL RAVISHMENT {number}\n")
    (chapter / "84-121550.trans.txt").write_text("".join(lines))
    return folder


def ljspeech(folder):
    (folder / "LJSpeech-1.1" / "wavs").mkdir(parents=True)
    lines = []
    for number in range(4):
        soundfile.write(folder / f"LJSpeech-1.1/wavs/LJ001-000{number}.wav", wave(number), 22_050)
        lines.append(f"LJ001-000{number}|Printing {number}|Printing\n")
    (folder / "LJSpeech-1.1" / "metadata.csv").write_text("".join(lines))
    return folder


def voxforge(folder):
    session = folder / "Anna-20110507-jum"
    (session / "etc").mkdir(parents=True)
    (session / "wav").mkdir()
    lines = []
    for number in range(4):
        soundfile.write(session / "wav" / f"ru_000{number}.wav", wave(number), 16_000)
        lines.append(f"{session.name}/mfc/ru_000{number} НАД ЭТОЙ МАШИНОЙ\n")
    (session / "etc" / "PROMPTS").write_text("".join(lines), encoding="utf-8")
    return folder


def table(folder):
    folder.mkdir()
    lines = []
    for number in range(4):
        soundfile.write(folder / f"{number}.wav", wave(number), 16_000)
        row = {"file_name": f"{number}.wav", "text": f"number {number}", "id": f"n{number}"}
        lines.append(json.dumps(row) + "\n")
    (folder / "metadata.jsonl").write_text("".join(lines))
    return folder


def parquet(folder):
    table(folder)
    rows = [
        {"id": f"n{each}", "text": f"number {each}", "audio": (folder / f"{each}.wav").read_bytes()}
        for each in range(4)
    ]
    (folder / "data").mkdir()
    listed = [row | {"audio": {"bytes": row["audio"], "path": None}} for row in rows]
    pq.write_table(pa.Table.from_pylist(listed), folder / "data" / "train-0.parquet")
    for file in (*folder.glob("*.wav"), folder / "metadata.jsonl"):
        file.unlink()
    return folder


TREES = {
    "files": table,
    "hub": parquet,
    "librispeech": librispeech,
    "ljspeech": ljspeech,
    "voxforge": voxforge,
}
