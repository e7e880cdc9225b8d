"""`speechkit audit`: what it prints, its exit codes, and what it leaves behind: nothing."""

import gzip
import json
import os
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile
from typer.testing import CliRunner

from speechkit import cli

DATA = Path(os.environ.get("SPEECHKIT_DATA", ""))
needs_data = pytest.mark.skipif(
    "SPEECHKIT_DATA" not in os.environ, reason="SPEECHKIT_DATA names no folder of real speech"
)

RECIPE = """\
[recipe]
name = "small"
[corpus.train]
use = "files"
path = "train.csv"
[corpus.test.unseen]
use = "files"
path = "test.csv"
[text]
alphabet = "abcdefghijklmnopqrstuvwxyz"
[features]
use = "log_mel"
[model]
use = "n2"
dim = 16
layers = 1
[lm]
use = "ngram"
text = ["lm.txt"]
"""

TRAIN = ("a first sentence to learn from", "and one more of them")
TEST = ("what is said in the test", "nothing of it was in training")


def write(house: Path, name: str, texts, speakers) -> None:
    lines = ["id,audio,text,speaker"]
    for place, (text, speaker) in enumerate(zip(texts, speakers, strict=True)):
        noise = np.random.default_rng([len(name), place]).uniform(-0.1, 0.1, 32_000)
        soundfile.write(house / f"{name}{place}.wav", noise, 16_000)
        lines.append(f"{name}-{place},{name}{place}.wav,{text},{speaker}")
    (house / f"{name}.csv").write_text("\n".join(lines) + "\n")


@pytest.fixture
def house(tmp_path, monkeypatch):
    monkeypatch.setenv("SPEECHKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.toml").write_text(RECIPE)
    (tmp_path / "lm.txt").write_text("some lines\nof another text\n")
    write(tmp_path, "train", TRAIN, ("anna", "ivan"))
    write(tmp_path, "test", TEST, ("maria", "olga"))
    return tmp_path


def call(*arguments: str, width: int = 80) -> tuple[int, str, str]:
    result = CliRunner().invoke(cli.app, ["audit", *arguments], env={"COLUMNS": str(width)})
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def found(*arguments: str) -> dict:
    code, out, _ = call(*arguments, "--json")
    assert code == 0
    return json.loads(out)


def test_data_without_fault(house):
    before = {each.name for each in house.iterdir()}
    code, out, error = call("small.toml", "--strict")
    assert (code, error) == (0, "")
    assert out.splitlines()[-1] == (
        "Verdict: No leak found: what is scored is not in train or the LM text. Nothing else to "
        "tell."
    )
    assert {each.name for each in house.iterdir()} - before == {"cache"}


def test_leaks_are_errors_if_asked(house):
    write(house, "test", (TEST[0], TRAIN[0]), ("maria", "anna"))
    (house / "lm.txt").write_text(f"some lines\n{TEST[0]}\n")
    assert call("small.toml")[0] == 0
    code, out, _ = call("small.toml", "--strict")
    assert code == 1
    lines = [line.strip() for line in out.splitlines()]
    rows = [line.split("  ")[0] for line in lines if line.startswith("error ")]
    assert len(rows) == 5
    assert "train → unseen: 1 of 2 speakers: in train, too; they speak 1 of 2 utterances" in lines
    assert "anna  1 utterances here, 1 in train" in lines
    assert "test-0  line 2 in LM text lm.txt  what is said in the test" in lines
    assert "look better than they are: their speakers are in train" in out.replace("\n", " ")
    kinds = ["shared-speakers", "shared-texts", "shared-sequences"]
    ignored = [word for kind in kinds for word in ("--ignore", kind)]
    assert call("small.toml", "--strict", *ignored)[0] == 0
    assert call("small.toml", "--strict", *ignored[2:])[0] == 1


def test_json_is_what_is_known(house):
    write(house, "test", (TEST[0], "Café 7"), ("", ""))
    given = found("small.toml")
    assert (given["recipe"], given["profile"]) == ("small", None)
    assert given["lm_text"] == [str(house / "lm.txt")]
    assert given["parts"]["unseen"] == {"utterances": 2, "seconds": 4.0, "speakers": 0}
    kinds = {each["kind"]: each for each in given["findings"]}
    assert kinds.keys() == {"lost-characters", "unknown-speakers"}
    assert kinds["lost-characters"]["parts"] == ["unseen"]
    assert kinds["lost-characters"]["examples"][0] == {
        "id": "test-1",
        "text": "Café 7",
        "note": "7 (U+0037)",
    }
    assert "No speakers are named in unseen" in given["verdict"]


def test_it_is_computed_again_only_where_something_has_changed(house, monkeypatch):
    from speechkit.audit import auditing

    computed = []
    for name in ("leaks", "odd"):
        real = getattr(auditing, name)
        monkeypatch.setattr(
            auditing, name, lambda *args, real=real, name=name: computed.append(name) or real(*args)
        )

    def again(*arguments: str) -> list[str]:
        computed.clear()
        found("small.toml", *arguments)
        return list(dict.fromkeys(computed))

    assert again() == ["leaks", "odd"]
    assert again() == []
    assert again("--set", "model.layers=2") == ["odd"]
    (house / "lm.txt").write_text("other lines\n")
    assert again() == ["leaks"]
    assert again("--set", 'text.punctuation="remove"') == ["leaks", "odd"]
    write(house, "test", (TEST[1], TEST[0]), ("maria", "olga"))
    assert again() == ["leaks", "odd"]


def test_mistakes_are_told(house):
    code, out, error = call("small.toml", "--ignore", "shared-speaker")
    assert (code, out) == (2, "")
    assert "--ignore shared-speaker: no such kind of finding" in error
    assert "did you mean `shared-speakers`" in error
    (house / "lm.txt").unlink()
    code, out, error = call("small.toml")
    assert (code, out) == (2, "")
    assert "lm.txt: no such text file" in error


def test_what_texts_hold_cannot_harm_the_terminal(house):
    write(house, "train", ("[bold red]x[/] \x1b[2J\u202ewords café", "b"), ("a[/]", "b"))
    code, out, _ = call("small.toml")
    assert code == 0
    assert "[bold red]x[/] \ufffd[2J\ufffdwords café" in out
    assert "\x1b" not in out


def parts_of_dev(first: str, second: str) -> str:
    tables = ""
    for name, path in (("corpus.train", first), ("corpus.test.unseen", second)):
        tables += f'[{name}]\nuse = "files"\n{path}\n'
    return RECIPE.replace(RECIPE[RECIPE.index("[corpus.train]") : RECIPE.index("[text]")], tables)


@needs_data
def test_a_random_split_of_real_speech_shows_its_speakers(house):
    dev = f'path = "{DATA}/mini_librispeech/dev.parquet"\nshare_by = "utterance"\nshare = '
    (house / "small.toml").write_text(parts_of_dev(dev + "[0.0, 0.6]", dev + "[0.6, 1.0]"))
    code, out, _ = call("small.toml", "--strict", width=120)
    assert code == 1
    assert "train → unseen: 2 of 2 speakers: in train, too" in out
    assert "Verdict: Error rates of unseen will look better than they are: their speakers" in out


@needs_data
def test_the_splits_of_real_speech_share_nothing(house):
    parts = [f'path = "{DATA}/mini_librispeech/{name}.parquet"' for name in ("dev", "test")]
    (house / "small.toml").write_text(parts_of_dev(*parts))
    assert not [each for each in found("small.toml")["findings"] if len(each["parts"]) == 2]
    with gzip.open(DATA / "text" / "en.txt.gz", "rt") as text:
        lines = [next(text) for _ in range(20_000)]
    spoken = pq.read_table(DATA / "mini_librispeech" / "test.parquet")["text"].to_pylist()
    lines[5000:5000] = [f"{each}\n" for each in spoken[:5]]
    (house / "lm.txt").write_text("".join(lines))
    leaks = {each["kind"]: each for each in found("small.toml")["findings"] if "LM" in each["what"]}
    assert leaks.keys() == {"shared-texts", "shared-sequences"}
    assert {each["severity"] for each in leaks.values()} == {"error"}
    assert leaks["shared-texts"]["count"] == 5
    assert "5 of 98 utterances are found there whole" in leaks["shared-sequences"]["what"]
