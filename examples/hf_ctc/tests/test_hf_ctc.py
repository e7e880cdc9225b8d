"""Checkpoints as parts: they hold what speechkit asks, and say what transformers says."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tiny import ENGLISH, RUSSIAN, write

import speechkit_hf_ctc
from speechkit import DataError, PluginError
from speechkit.testing import checks_of
from speechkit.testing.subject import Subject
from speechkit_hf_ctc.checkpoint import load_weights, read_checkpoint

pytest.importorskip("transformers", reason="transformers, whose checkpoints these are, is needed")

[FEATURES] = speechkit_hf_ctc.speechkit_features()
[UNITS] = speechkit_hf_ctc.speechkit_units()
[MODEL] = speechkit_hf_ctc.speechkit_models()
ALPHABET = "abcdefghijklmnopqrstuvwxyz' "


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """What each kind of part is checked with: labels and sizes as the checks give them."""
    home = tmp_path_factory.mktemp("checkpoints")
    return {
        "features": write(home / "layer"),
        "group": write(home / "group", norm="group"),
        "units": write(home / "both", letters=ENGLISH + RUSSIAN),
        "model": write(home / "few", letters="ABCD"),
        "hubert": write(home / "hubert", kind="hubert", letters="ABCD"),
        "wavlm": write(home / "wavlm", kind="wavlm", norm="group", letters="ABCD"),
    }


PARTS = {
    "features": (FEATURES, "features"),
    "group": (FEATURES, "features"),
    "units": (UNITS, "units"),
    "model": (MODEL, "model"),
    "hubert": (MODEL, "model"),
    "wavlm": (MODEL, "model"),
}
CHECKS = [
    pytest.param(name, check, id=f"{name}-{check.name}")
    for name, (_, kind) in PARTS.items()
    for check in checks_of(kind)
    if name in {"features", "units", "model"} or check.name != "nothing_happens_at_import"
]


@pytest.mark.parametrize(("name", "check"), CHECKS)
def test_contract(name, check, folders):
    component, kind = PARTS[name]
    result = check(Subject(component, kind, {"checkpoint": str(folders[name])}))
    if result.outcome == "skipped":
        pytest.skip(result.saw)
    assert result.outcome == "passed", f"{result.saw}; usually {result.cause}"


def parts(folder):
    units = UNITS.build(UNITS.config(checkpoint=folder), alphabet=ALPHABET)
    features = FEATURES.build(FEATURES.config(checkpoint=folder)).eval()
    model = MODEL.build(
        MODEL.config(checkpoint=folder),
        num_features=features.dim,
        num_labels=len(units.vocabulary),
    ).eval()
    return units, features, model


@pytest.mark.parametrize("norm", ["layer", "group"])
@torch.no_grad()
def test_it_says_what_transformers_says(norm, tmp_path):
    """transformers' own preprocessing and model, one recording at a time, and our three parts."""
    from transformers import Wav2Vec2FeatureExtractor, Wav2Vec2ForCTC

    folder = write(tmp_path / "it", norm=norm, blank_last=True)
    units, features, model = parts(folder)
    theirs = Wav2Vec2ForCTC.from_pretrained(folder).eval()
    preprocess = Wav2Vec2FeatureExtractor.from_pretrained(folder)
    waves = [0.1 * torch.randn(5000) + 0.02, 0.3 * torch.randn(3100)]
    batch = torch.nn.utils.rnn.pad_sequence(waves, batch_first=True)
    log_probs, frames = model(*features(batch, torch.tensor([5000, 3100])))
    columns = read_checkpoint(folder).columns
    assert len(units.vocabulary) == len(columns) == len(ENGLISH) + 2
    for row, wave in enumerate(waves):
        given = preprocess(wave.numpy(), sampling_rate=16_000, return_tensors="pt").input_values
        expected = theirs(given).logits[0][:, list(columns)].log_softmax(-1)
        assert len(expected) == frames[row]
        torch.testing.assert_close(log_probs[row, : frames[row]], expected, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_a_recipe_decodes_and_scores_it_without_training(folders, tmp_path):
    changes = (
        "decoder.use=greedy",
        "corpus.validation.utterances=3",
        "corpus.test.unseen.utterances=4",
    )
    package = Path(speechkit_hf_ctc.__file__)
    recipe = package.parents[1] / "recipes" / "hf_ctc.toml"
    command = [sys.executable, "-m", "speechkit", "--plugin", str(package), "run", str(recipe)]
    done = subprocess.run(
        [*command, *(each for change in changes for each in ("--set", change))],
        cwd=tmp_path,
        env=os.environ
        | {
            "CHECKPOINT": str(folders["features"]),
            "LM_TEXT": "unread",
            "SPEECHKIT_CACHE": str(tmp_path / "cache"),
            "PYTHONPATH": os.pathsep.join([str(package.parents[1]), *filter(None, sys.path)]),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    scores = json.loads((tmp_path / "runs" / "hf_ctc" / "scores.json").read_text())
    assert [(row["test"], row["utterances"]) for row in scores] == [
        ("validation", 3),
        ("unseen", 4),
    ]


def test_labels_are_written_as_the_alphabet_has_them(folders):
    units = UNITS.build(UNITS.config(checkpoint=folders["features"]), alphabet=ALPHABET)
    assert units.vocabulary.labels[:3] == ("", " ", "e")
    assert not {"<s>", "<unk>", "|"} & set(units.vocabulary.labels)
    upper = UNITS.build(UNITS.config(checkpoint=folders["features"]), alphabet=ALPHABET.upper())
    assert upper.vocabulary.labels[2] == "E"


def test_letters_that_it_cannot_write_are_told(folders):
    with pytest.raises(DataError, match=r"has no label for 'ß', 'ä' of the alphabet"):
        UNITS.build(UNITS.config(checkpoint=folders["features"]), alphabet=ALPHABET + "äß")


def test_another_vocabulary_needs_a_new_head(folders):
    config = MODEL.config(checkpoint=folders["features"])
    with pytest.raises(PluginError, match="has 29 labels, and the units have 40") as told:
        MODEL.build(config, num_features=16, num_labels=40)
    assert 'head = "new"' in told.value.hint
    new = MODEL.config(checkpoint=folders["features"], head="new")
    assert MODEL.build(new, num_features=16, num_labels=40).head.out_features == 40
    with pytest.raises(PluginError, match="reads 16 features a frame, and is given 80"):
        MODEL.build(config, num_features=80, num_labels=29)


def test_a_checkpoint_without_a_head_needs_a_new_one(folders, tmp_path):
    from safetensors.torch import load_file, save_file

    folder = shutil.copytree(folders["features"], tmp_path / "headless")
    weights = load_file(folder / "model.safetensors")
    kept = {name: each for name, each in weights.items() if not name.startswith("lm_head")}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    load_weights(folder, with_head=False)
    with pytest.raises(PluginError, match=r"lacks weights: lm_head") as told:
        load_weights(folder, with_head=True)
    assert 'head = "new"' in told.value.hint


class Bomb:
    def __reduce__(self):
        return exec, ("raise SystemExit('the pickle was run')",)


def test_a_pickle_is_refused_and_never_run(folders, tmp_path):
    folder = shutil.copytree(folders["features"], tmp_path / "pickled")
    (folder / "model.safetensors").unlink()
    torch.save(Bomb(), folder / "pytorch_model.bin")
    for part in (FEATURES, MODEL):
        given = {"num_features": 16, "num_labels": 29} if part is MODEL else {}
        with pytest.raises(PluginError, match="are pickles, which can run any code"):
            part.build(part.config(checkpoint=folder), **given)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model_type": "data2vec-audio"}, "a model of the kind 'data2vec-audio'"),
        ({"model_type": None}, "of the kind None"),
        ({"add_adapter": True}, "add_adapter = True: adapters are not known"),
    ],
)
def test_what_it_cannot_use_is_told(changes, said, folders, tmp_path):
    folder = shutil.copytree(folders["features"], tmp_path / "other")
    config = json.loads((folder / "config.json").read_text()) | changes
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(PluginError, match=said):
        read_checkpoint(folder)


def test_a_folder_that_is_none_or_not_whole_is_told(tmp_path):
    with pytest.raises(PluginError, match="is no folder"):
        read_checkpoint(tmp_path / "facebook" / "wav2vec2-base-960h")
    with pytest.raises(PluginError, match=r"config\.json cannot be read"):
        read_checkpoint(tmp_path)
