"""A run to a model for others, and back to text."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tone_model import LICENCE, quiet
from typer.testing import CliRunner

from speechkit import cli
from speechkit.discovery import load_plugins
from speechkit.errors import ModelError, RunError
from speechkit.inference.transcriber import Transcriber, read_and_transcribe
from speechkit.pipeline import Pipeline
from speechkit.pretrained.card import card
from speechkit.pretrained.loading import load_pretrained
from speechkit.pretrained.making import make
from speechkit.recipe import read_recipe
from speechkit.recogniser import load_recogniser
from speechkit.report.markdown import to_markdown
from speechkit.scoring.edits import character_edits
from speechkit.scoring.scores import read_decoded, read_scores
from speechkit.trained import find_model, installed_models, read_facts, verified


def call(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(cli.app, [*map(str, arguments)])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def files(folder: Path) -> dict[str, bytes]:
    every = (each for each in folder.rglob("*") if each.is_file())
    return {str(each.relative_to(folder)): each.read_bytes() for each in every}


def change(folder: Path, **values: object) -> None:
    place = folder / "model.json"
    place.write_text(json.dumps({**json.loads(place.read_text()), **values}))


# What is made


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        ("runs/tones", "tones: files {home}/train.csv, {hours:.2f} h"),
        ("models/tone-hearer", "tones: files {home}/train.csv, {hours:.2f} h"),
        ("alone/weights.safetensors", "weights.safetensors"),
    ],
)
def test_the_card_says_what_training_started_from(
    home, tmp_path, monkeypatch, start: str, expected: str
):
    monkeypatch.setenv("SPEECHKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("speechkit.report.plots.svg", lambda draw: "")
    shutil.copytree(home, tmp_path / "home")
    alone = tmp_path / "home" / "alone"
    alone.mkdir()
    shutil.copy(home / "runs" / "tones" / "model.safetensors", alone / "weights.safetensors")
    plugins, run = load_plugins(), tmp_path / "home" / "runs" / "second"
    read = read_recipe(
        tmp_path / "home" / "tones.toml",
        plugins,
        overrides=[
            "train.epochs=1",
            f'model.start_from="{tmp_path / "home" / start}"',
            'corpus.train={one={use="files",path="train.csv"},two={use="files",path="dev.csv"}}',
        ],
    )
    Pipeline(read, plugins, run, quiet()).run()
    facts = make(run, tmp_path / "made", plugins, quiet(), precision="float16", licence=LICENCE)
    hours = read_facts(home / "models" / "tone-hearer").learnt.hours
    assert facts.learnt.corpora["started from"] == expected.format(home=home.name, hours=hours)
    trained_on = " + ".join(f"files home/{part}.csv" for part in ("train", "dev"))
    assert facts.learnt.corpora["training"] == trained_on
    assert str(tmp_path) not in (tmp_path / "made" / "README.md").read_text()


def test_a_model_holds_no_program_and_no_place_of_this_machine(home, model):
    kept = files(model)
    assert kept.keys() == {
        "model.json",
        "README.md",
        "recipe.toml",
        "model.safetensors",
        "lm/lm.safetensors",
    }
    assert str(home).encode() not in b"".join(kept.values())
    assert verified(model).bytes == sum(
        len(each) for name, each in kept.items() if name not in {"model.json", "README.md"}
    )


def test_the_scores_are_those_of_the_files_in_the_folder(home, model):
    """Decoding files with the model, as its users would, gives the card's number of errors."""
    recogniser, decoder = load_pretrained(model, load_plugins())
    transcriber = Transcriber(recogniser, decoder)
    references = [line.split(",")[2] for line in (home / "test.csv").read_text().splitlines()[1:]]
    texts = [
        read_and_transcribe(transcriber, str(home / f"test{place}.wav"))[0].text
        for place in range(len(references))
    ]
    pairs = list(zip(references, texts, strict=True))
    facts = read_facts(model)
    (row,) = [each for each in facts.best() if each.test == "unseen"]
    assert facts.decoder == "kenlm"
    assert (row.utterances, row.speakers) == (6, 3)
    assert row.cer == pytest.approx(character_edits(pairs).rate)
    assert 0 < row.cer < 0.9
    changed = {(each.test, each.decoder): each.changed for each in facts.results}
    assert changed.keys() == {
        (test, decoder) for test in ("validation", "unseen") for decoder in ("greedy", "kenlm")
    }
    assert changed["unseen", "kenlm"] is None
    assert changed["unseen", "greedy"] is not None


def test_what_rounding_changes_is_counted(home, model, tmp_path):
    """The run's texts are changed by hand: so many more are counted."""
    run = Path(shutil.copytree(home / "runs" / "tones", tmp_path / "runs" / "tones"))
    place = run / "decoded" / "greedy" / "unseen.jsonl"
    rows = [dict(each) for each in read_decoded(place)]
    for each in rows[:2]:
        each["hypothesis"] += " b"
    place.write_text("".join(json.dumps(each) + "\n" for each in rows))
    made = make(
        run,
        tmp_path / "two",
        load_plugins(),
        quiet(),
        precision="float32",
        licence=LICENCE,
        overrides=['decoder.use="greedy"'],
    )
    assert "lm" not in {name.split("/")[0] for name in made.files}
    results = {(each.test, each.decoder): each for each in made.results}
    assert results["unseen", "greedy"].changed == 2
    assert results["validation", "greedy"].changed == 0
    before = {(each.test, each.decoder): each for each in read_scores(run / "scores.json")}
    for key, each in results.items():
        assert each.run_wer == before[key].wer
    assert results["validation", "greedy"].wer == before["validation", "greedy"].wer


def test_weights_are_float32_when_they_compute(home, model):
    whole = load_recogniser(home / "runs" / "tones", load_plugins())
    small = load_recogniser(model, load_plugins())
    assert {each.dtype for each in small.parameters()} == {torch.float32}
    for (name, one), other in zip(
        whole.state_dict().items(), small.state_dict().values(), strict=True
    ):
        assert torch.allclose(one, other, atol=float(one.abs().max()) / 100), name
    sizes = [(each / "model.safetensors").stat().st_size for each in (home / "runs/tones", model)]
    assert sizes[1] < 0.6 * sizes[0]


def test_whole_numbers_without_their_scale_are_told(model):
    file = model / "model.safetensors"
    with safe_open(file, framework="pt") as opened:
        metadata = opened.metadata()
    tensors = load_file(file)
    lost = next(name for name in tensors if name.endswith(":scale"))
    save_file({name: each for name, each in tensors.items() if name != lost}, file, metadata)
    with pytest.raises(RunError, match=f"is damaged: it has no '{lost}'"):
        load_recogniser(file, load_plugins())


def test_the_card_says_what_must_be_known(model):
    text = (model / "README.md").read_text()
    facts = read_facts(model)
    row = facts.best()[0]
    for said in (
        "# tone-hearer",
        r"Hears \<tones> \| and no words",
        r"It is for \*tests\*.",
        LICENCE,
        f"{row.wer:.4f}",
        "speechkit models make tones tone-hearer --precision int8",
        facts.files["model.safetensors"].sha256,
        "25 epochs",
        "24 utterances, 3 speakers",
        "files ",
    ):
        assert said in text, said


def test_the_card_says_the_letters_that_are_written(home, tmp_path, monkeypatch):
    monkeypatch.setenv("SPEECHKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("speechkit.report.plots.svg", lambda draw: "")
    shutil.copytree(home, tmp_path / "home")
    plugins, run = load_plugins(), tmp_path / "home" / "runs" / "replaced"
    read = read_recipe(
        tmp_path / "home" / "tones.toml",
        plugins,
        overrides=[
            "train.epochs=1",
            'decoder.use="greedy"',
            'text.alphabet="abcd"',
            'text.replace={d="a"}',
        ],
    )
    Pipeline(read, plugins, run, quiet()).run()
    facts = make(run, tmp_path / "made", plugins, quiet(), precision="float32", licence=LICENCE)
    assert facts.alphabet == "abc "


def test_the_card_says_how_many_processes_learnt(model):
    assert read_facts(model).learnt.processes == 1
    assert "processes" not in (model / "README.md").read_text()
    facts = read_facts(model)
    several = replace(facts, learnt=replace(facts.learnt, processes=2, threads=1))
    assert "cpu, 2 processes, threads: 1" in to_markdown(card(several))


def test_the_card_has_intervals_and_says_of_how_few_the_tests_are(model):
    facts = read_facts(model)
    row = replace(facts.best()[0], wer_low=0.1234, wer_high=0.5, speakers=2, test="two")
    text = to_markdown(card(replace(facts, results=[row])))
    assert "0.123–0.500" in text
    assert "The test two has 2 speakers" in text
    many = to_markdown(card(replace(facts, results=[replace(row, speakers=200)])))
    assert "The test two" not in many


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"overrides": ["model.dim=16"]}, "training depended on it"),
        ({"place": "models/tone-hearer"}, "tone-hearer exists"),
        ({"run": "nothing"}, "no run"),
    ],
)
def test_what_cannot_be_made_is_told(home, tmp_path, given, told):
    run = home / given.pop("run", "runs/tones")
    place = home / given.pop("place") if "place" in given else tmp_path / "new"
    with pytest.raises((ModelError, RunError), match=told):
        make(run, place, load_plugins(), quiet(), precision="int8", licence=LICENCE, **given)
    assert not (tmp_path / "new").exists()


def test_a_training_that_has_not_ended_is_told(home, tmp_path):
    run = Path(shutil.copytree(home / "runs" / "tones", tmp_path / "runs" / "tones"))
    stages = json.loads((run / "stages.json").read_text())
    del stages["train"]
    (run / "stages.json").write_text(json.dumps(stages))
    with pytest.raises(ModelError, match="no finished training"):
        make(run, tmp_path / "new", load_plugins(), quiet(), precision="int8", licence=LICENCE)


# What is loaded


def test_a_model_is_transcribed_with_by_its_folder_and_by_its_name(home, model, ship):
    package = ship("their-models", tone_hearer=model)
    before = files(package)
    sound = home / "test0.wav"
    by_folder = call("transcribe", sound, "--model", model)
    assert by_folder[0] == 0
    assert by_folder[1].strip()
    assert call("transcribe", sound, "--model", "tone-hearer") == by_folder
    assert call("transcribe", sound, "--model", "Their_Models:tone-hearer") == by_folder
    assert files(package) == before  # kenlm's form of the language model is elsewhere
    greedy = call("transcribe", sound, "--model", "tone-hearer", "--decoder", "greedy")
    line = read_decoded(home / "runs/tones/decoded/greedy/unseen.jsonl")[0]
    assert greedy[:2] == (0, f"{line['hypothesis']}\n")


def test_runs_are_found_by_folder_and_name(home, monkeypatch):
    monkeypatch.chdir(home)
    runs = home / "runs"
    assert find_model("runs/tones", runs) == Path("runs/tones")
    assert find_model("tones", runs) == runs / "tones"
    with pytest.raises(ModelError, match="--model tonse: no folder or file") as caught:
        find_model("tonse", runs)
    assert "speechkit models" in caught.value.hint


def test_unknown_names_are_told_with_near_ones(model, ship):
    ship("their-models", tone_hearer=model)
    code, _, error = call("transcribe", "a.wav", "--model", "tone-heaver")
    assert code == 2
    assert error.startswith("error: --model tone-heaver: no folder or file")
    assert "did you mean `tone-hearer`?" in error
    assert "known: " in call("models", "show", "x")[2]


def test_a_folder_here_and_a_model_of_one_name_must_be_told_apart(home, model, ship, monkeypatch):
    ship("their-models", here=model)
    monkeypatch.chdir(home / "runs")
    (home / "runs" / "here").symlink_to("tones")
    try:
        told = "here: a file or folder here is called so, and a model of their-models"
        with pytest.raises(ModelError, match=told) as caught:
            find_model("here", home / "runs")
        assert "--model ./here or --model their-models:here" in caught.value.hint
        assert find_model("./here", home / "runs") == Path("here")
        assert find_model("their-models:here", home / "runs").name == "here"
    finally:
        (home / "runs" / "here").unlink()


def test_a_run_and_a_model_of_one_name_must_be_told_apart(home, model, ship, tmp_path):
    ship("their-models", tones=model)
    runs = home / "runs"
    with pytest.raises(
        ModelError, match="tones: a run is called so, and a model of their-mod"
    ) as told:
        find_model("tones", runs)
    assert told.value.hint == f"say which: --model {runs / 'tones'} or --model their-models:tones"
    assert find_model("their-models:tones", runs).parent.name == "their_models_files"
    assert find_model(str(runs / "tones"), runs) == runs / "tones"


def test_models_of_one_name_must_be_told_apart(model, ship):
    ship("a-models", tone_hearer=model)
    ship("b-models", tone_hearer=model)
    with pytest.raises(ModelError, match="shipped by a-models and by b-models") as caught:
        find_model("tone-hearer", Path("runs"))
    assert "--model a-models:tone-hearer or --model b-models:tone-hearer" in caught.value.hint
    assert find_model("b-models:tone-hearer", Path("runs")).parent.name == "b_models_files"


def test_models_are_listed_with_their_owners_and_what_is_wrong(model, ship, monkeypatch):
    ship("their-models", tone_hearer=model, worn=model)
    change(ship("old-models", other=model) / "other", version=2)
    found = {each.name: each for each in installed_models() if each.distribution != "speechkit"}
    assert found["tone-hearer"].distribution == "their-models"
    assert found["tone-hearer"].error == ""
    assert "has version 2 of the format, this speechkit reads up to 1" in found["other"].error
    code, out, _ = call("models")
    assert (code, out) == call("models", "list")[:2]
    for said in (
        "tone-hearer of their-models 1.0; licence: " + LICENCE,
        "unseen",
        "0.1 MB",
        "cannot be used",
    ):
        assert said in out, said
    rows = {each["name"]: each for each in json.loads(call("models", "list", "--json")[1])}
    assert rows["tone-hearer"]["wer"].keys() == {"validation", "unseen"}
    assert rows["other"]["error"]


def test_listing_imports_neither_torch_nor_the_packages(model, ship):
    site = ship("their-models", tone_hearer=model).parent
    code = (
        "import sys; sys.argv = ['speechkit', 'models']\n"
        "from speechkit.cli import main\n"
        "try: main()\n"
        "finally: print([name for name in ('torch', 'matplotlib', 'datasets', 'their_models_files')"
        " if name in sys.modules], file=sys.stderr)"
    )
    paths = os.pathsep.join([str(site), *filter(None, sys.path)])
    ended = subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": paths},
    )
    assert "tone-hearer" in ended.stdout
    assert ended.stderr == "[]\n"


def test_an_entry_point_to_nothing_is_a_row(tmp_path, ship, monkeypatch):
    shutil.rmtree(ship("gone-models"))
    (row,) = [each for each in installed_models() if each.distribution == "gone-models"]
    assert row.error.endswith("names a package that is not there")
    assert row.error in " ".join(call("models")[1].split())


def test_a_card_is_shown(model):
    code, out, _ = call("models", "show", model)
    assert code == 0
    assert "tone-hearer" in out
    assert LICENCE in out
    assert json.loads(call("models", "show", model, "--json")[1])["language"] == "en"
    assert "is no pretrained model" in call("models", "show", model.parent)[2]


@pytest.mark.parametrize("name", ["model.safetensors", "recipe.toml", "lm/lm.safetensors"])
def test_a_file_that_was_changed_is_told(model, name):
    place = model / name
    whole = place.read_bytes()
    place.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(ModelError, match="its checksum differs"):
        load_pretrained(model, load_plugins())
    place.write_bytes(whole[:-1])
    with pytest.raises(ModelError, match="bytes of"):
        load_pretrained(model, load_plugins())
    place.unlink()
    with pytest.raises(ModelError, match="is missing"):
        load_pretrained(model, load_plugins())


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"version": 2, "results": None}, "upgrade"),
        ({"format": "another"}, "is no speechkit pretrained model"),
        ({"results": [{"wer": "low"}]}, "is damaged: results"),
        ({"files": {"../weights.pkl": {"bytes": 1, "sha256": "0" * 64}}}, "which no model has"),
        ({"files": {"lm/a.pkl": {"bytes": 1, "sha256": "0" * 64}}}, "which no model has"),
        ({"files": {}}, "is damaged: it lists no"),
    ],
)
def test_a_model_file_that_is_wrong_is_told(model, values, told):
    change(model, **values)
    with pytest.raises(ModelError) as caught:
        load_pretrained(model, load_plugins())
    assert told in f"{caught.value} {caught.value.hint}"


def test_a_model_file_that_is_no_json_is_told(model):
    for text in ("{", "[]", "\xff"):
        (model / "model.json").write_text(text, encoding="latin-1")
        with pytest.raises(ModelError):
            read_facts(model)
    with pytest.raises(ModelError, match="cannot be read"):
        read_facts(model / "none")


def test_a_run_is_used_with_the_decoder_weights_and_language_model_it_has(home, monkeypatch):
    monkeypatch.chdir(home)
    decoded = read_decoded(home / "runs" / "tones" / "decoded" / "kenlm" / "unseen.jsonl")
    texts = []
    for place in range(len(decoded)):
        code, out, _ = call(
            "transcribe", f"test{place}.wav", "--model", "tones", "--decoder", "kenlm"
        )
        assert code == 0
        texts.append(out.strip())
    assert texts == [each["hypothesis"] for each in decoded]
    greedy = [
        call("transcribe", f"test{place}.wav", "--model", "tones")[1].strip()
        for place in range(len(decoded))
    ]
    assert greedy != texts
    named = [
        call("transcribe", f"test{place}.wav", "--model", "tones", "--decoder", "speechkit:kenlm")
        for place in range(len(decoded))
    ]
    assert [each[1].strip() for each in named] == texts


def test_damaged_weights_of_a_run_are_told(home, tmp_path):
    shutil.copytree(home / "runs" / "tones", tmp_path / "tones")
    (tmp_path / "tones" / "tuning" / "kenlm.json").write_text("{")
    code, _, err = call(
        "transcribe", home / "test0.wav", "--model", tmp_path / "tones", "--decoder", "kenlm"
    )
    assert code == 2
    assert "kenlm.json: is damaged" in err
    assert "speechkit tune" in err


def test_a_run_without_the_language_model_its_decoder_uses_is_told(home, tmp_path):
    shutil.copytree(home / "runs" / "tones", tmp_path / "tones")
    shutil.rmtree(tmp_path / "tones" / "lm")
    code, _, err = call(
        "transcribe", home / "test0.wav", "--model", tmp_path / "tones", "--decoder", "kenlm"
    )
    assert code == 2
    assert "has no language model yet, which the decoder kenlm uses" in err
    assert "speechkit run RECIPE --run tones --set decoder.use=kenlm" in err
