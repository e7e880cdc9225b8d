"""A run to a bundle, and what verifying says of it."""

import json
import os
import random
import shutil
import zipfile
from pathlib import Path

import pytest
from bundle_changes import files_of, pack, signed
from rich.console import Console
from typer.testing import CliRunner

from speechkit import cli
from speechkit.bundle import verify, write_bundle
from speechkit.bundle.archive import MANIFEST, WEIGHTS
from speechkit.cli.bundle_pages import pages
from speechkit.cli.page import to_terminal
from speechkit.errors import BundleError, RunError, SpeechkitError
from speechkit.report import write_report
from speechkit.scoring.scores import measured, read_scores
from speechkit.scoring.systems import read_system
from speechkit_n2.protocol import N2Protocol, N2ProtocolConfig

DECODED = "decoded/beam/lj.jsonl"


def told(found, width=120) -> str:
    console = Console(width=width, highlight=False)
    with console.capture() as captured:
        to_terminal(pages(found), console)
    return captured.get()


def test_the_same_run_gives_the_same_bytes(run, bundle, tmp_path):
    copy = tmp_path / "elsewhere" / run.name
    shutil.copytree(run, copy)
    for file in copy.rglob("*"):
        os.utime(file, (1, 1))
    file = copy / "recipe.toml"
    file.chmod(0o600)
    again = write_bundle(copy, tmp_path / "two.zip", weights=True)
    assert (tmp_path / "two.zip").read_bytes() == bundle.read_bytes()
    assert again.contents.sum == verify(bundle).contents.sum


def test_a_bundle_holds_and_says_what_it_is_of(bundle):
    found = verify(bundle)
    assert found.holds
    assert [each.stored.decoder for each in found.rows] == ["greedy", "beam", "greedy"]
    page = told(found)
    assert "Equal: 3 rows of scores" in page
    assert "1,234 parameters" in page
    assert found.contents.sum in page


def test_weights_are_in_it_when_they_are_asked_for(run, tmp_path, bundle):
    write_bundle(run, tmp_path / "small.zip")
    assert WEIGHTS not in files_of(tmp_path / "small.zip")
    assert files_of(bundle)[WEIGHTS] == (run / WEIGHTS).read_bytes()


def test_unpacked_it_is_a_run_again(run, bundle, tmp_path):
    with zipfile.ZipFile(bundle) as archive:
        archive.extractall(tmp_path / "runs2")
    folder = tmp_path / "runs2" / run.name
    assert read_scores(folder / "scores.json") == read_scores(run / "scores.json")
    assert read_system(f"{run.name}:beam", tmp_path / "runs2").decoded.keys() == {"lj"}
    write_bundle(folder, tmp_path / "again.zip", weights=True)
    assert (tmp_path / "again.zip").read_bytes() == bundle.read_bytes()


@pytest.mark.usefixtures("undrawn")
def test_unpacked_it_can_be_reported(run, bundle, tmp_path):
    with zipfile.ZipFile(bundle) as archive:
        archive.extractall(tmp_path / "runs2")
    assert write_report(tmp_path / "runs2" / run.name).is_file()


def test_a_change_to_any_file_is_seen(bundle, tmp_path, run):
    files = files_of(bundle)
    assert len(files) == 10
    for name, content in files.items():
        other = content[:-1] + b"!" if name == WEIGHTS else content + b"\n"
        found = verify(pack(tmp_path / "other.zip", {**files, name: other}, folder=run.name))
        assert list(found.contents.changed) == [name]
        assert not found.holds
        assert "NOT EQUAL: 1 file not what it was" in told(found)


def test_a_file_more_or_less_is_seen(bundle, tmp_path, run):
    files = files_of(bundle)
    less = {name: files[name] for name in files if name != "metrics.jsonl"}
    changed = verify(pack(tmp_path / "less.zip", less, folder=run.name)).contents.changed
    assert changed == {"metrics.jsonl": "is missing"}
    more = {**files, "tuning/beam.json": b"{}"}
    changed = verify(pack(tmp_path / "more.zip", more, folder=run.name)).contents.changed
    assert changed == {"tuning/beam.json": "is not in the manifest"}
    changed = verify(pack(tmp_path / "named.zip", files, folder="best")).contents.changed
    assert list(changed) == [MANIFEST]


def test_no_byte_of_the_archive_can_be_another_unseen(bundle):
    whole, files = bundle.read_bytes(), files_of(bundle)
    draw = random.Random(0)
    places = draw.sample(range(len(whole)), 60) + list(range(len(whole) - 30, len(whole)))
    outcomes = set()
    for place in places:
        other = bytearray(whole)
        other[place] ^= 1 << draw.randrange(8)
        bundle.write_bytes(other)
        try:
            holds = verify(bundle).holds
        except BundleError:
            outcomes.add("refused")
        else:
            outcomes.add(holds)
            # Versions of the format that an entry says it needs change nothing of what it holds.
            assert not holds or files_of(bundle) == files
    assert "refused" in outcomes


def test_scores_that_do_not_follow_are_seen_though_all_sums_are_made_again(bundle, tmp_path):
    files = files_of(bundle)
    lines = files[DECODED].decode().splitlines()
    first = json.loads(lines[0])
    better = [json.dumps({**first, "hypothesis": "xx xx xx"}), *lines[1:]]
    forged = signed({**files, DECODED: "\n".join(better).encode()})
    found = verify(pack(tmp_path / "texts.zip", forged))
    assert not found.contents.changed
    (other,) = [each for each in found.rows if each.other]
    assert (other.stored.test, other.stored.decoder) == ("lj", "beam")
    assert {"wer", "cer", "substitutions"} <= set(other.other)
    assert "NOT EQUAL: 1 of 3 rows" in told(found)

    for key, value in (("wer", 0.01), ("wer_low", 0.0), ("words", 9), ("ser", None)):
        rows = json.loads(files["scores.json"])
        rows[0][key] = value
        forged = signed({**files, "scores.json": json.dumps(rows).encode()})
        found = verify(pack(tmp_path / "numbers.zip", forged))
        assert [list(each.other) for each in found.rows] == [[key], [], []]
        assert not found.holds


def test_numbers_of_another_machine_may_differ_in_their_last_digits(bundle, tmp_path):
    files = files_of(bundle)
    rows = json.loads(files["scores.json"])
    rows[0]["wer_low"] *= 1 + 1e-13
    same = signed({**files, "scores.json": json.dumps(rows).encode()})
    assert verify(pack(tmp_path / "same.zip", same)).holds


def test_n2s_numbers_are_counted_again(bundle, tmp_path):
    files = files_of(bundle)
    rows = json.loads(files["scores.json"])
    rows[0] |= {"n2_wer": 0.5, "n2_cer": 0.5}
    forged = signed({**files, "scores.json": json.dumps(rows).encode()})
    forged["recipe.toml"] += b'[score]\nprotocol = "n2"\n'
    forged = signed(forged)

    def measures(settings, lines):
        assert settings == {"protocol": "n2"}
        return measured("n2", N2Protocol(N2ProtocolConfig()), lines)

    assert not verify(pack(tmp_path / "n2.zip", forged)).holds  # nothing counts them here
    (first, *_) = verify(pack(tmp_path / "n2.zip", forged), measures).rows
    assert first.other == ["n2_wer", "n2_cer"]
    honest = signed({**forged, "scores.json": json.dumps([first.again.row(), *rows[1:]]).encode()})
    assert verify(pack(tmp_path / "n2.zip", honest), measures).holds
    assert CliRunner().invoke(cli.app, ["verify", str(tmp_path / "n2.zip")]).exit_code == 0


def test_rows_of_an_earlier_version_hold_by_what_they_have(run, tmp_path):
    rows = json.loads((run / "scores.json").read_text())
    for row in rows:
        del row["sclite_wer"], row["ser"]
    (run / "scores.json").write_text(json.dumps(rows))
    assert write_bundle(run, tmp_path / "old.zip").holds


def test_files_must_be_those_that_the_run_noted(run, tmp_path):
    stages = json.loads((run / "stages.json").read_text())
    stages["decode beam lj"] = {"inputs": {}, "sha256": "0" * 64}
    (run / "stages.json").write_text(json.dumps(stages))
    with pytest.raises(RunError, match=r"decoded/beam/lj\.jsonl is not what the run's stages"):
        write_bundle(run, tmp_path / "one.zip")


def test_a_run_that_does_not_hold_is_not_bundled(run, tmp_path):
    rows = json.loads((run / "scores.json").read_text())
    rows[1]["wer"] /= 2
    (run / "scores.json").write_text(json.dumps(rows))
    with pytest.raises(RunError, match=r"do not follow.*: lj, beam: wer$"):
        write_bundle(run, tmp_path / "bundles" / "one.zip")
    assert list((tmp_path / "bundles").iterdir()) == []


def test_what_a_run_lacks_is_told(run, tmp_path):
    (run / DECODED).unlink()
    with pytest.raises(RunError, match=r"beam/lj\.jsonl is missing"):
        write_bundle(run, tmp_path / "one.zip")
    (run / "scores.json").unlink()
    with pytest.raises(RunError, match="has no scores to bundle"):
        write_bundle(run, tmp_path / "one.zip")


KEYS = ["parts", "train", "findings", "verdict", "packages", "measured", "inputs", "lj", "seconds"]
KEYS += ["emit lj", "decode greedy lj", "decoder", "lm", "text", "parameters", "data", "severity"]


def anything(draw, depth=4):
    """A JSON value, with the names that are read as keys."""
    if not depth or draw.random() < 0.2:
        plain = [None, True, 7, -(10**400), 1e300, float("nan"), "", "\x1b[2J\u202e", "error"]
        return draw.choice(plain)
    if draw.random() < 0.3:
        return [anything(draw, depth - 1) for _ in range(draw.randrange(3))]
    return {key: anything(draw, depth - 1) for key in draw.sample(KEYS, draw.randrange(9))}


def test_whatever_its_tables_hold_they_are_told(bundle):
    draw = random.Random(0)
    names = ("audit.json", "environment.json", "stages.json")
    recipe = b'[recipe]\ndescription = 1979-05-27\n[corpus]\ntrain = "\\u001b[2J"\ntest.lj = []\n'
    for _ in range(60):
        tables = {name: {key: anything(draw) for key in KEYS} for name in names}
        files = {name: json.dumps(each).encode() for name, each in tables.items()}
        files = signed({**files_of(bundle), **files, "recipe.toml": recipe})
        page = told(verify(pack(bundle.with_name("odd.zip"), files)), width=60)
        assert "\x1b" not in page
        assert "\u202e" not in page


def test_a_decoder_is_told_with_its_language_model(bundle):
    texts = [7, [], [None], ["novels.txt.gz", 100, 1]]
    made_from = {"decoder": {"use": "beam", "revision": 1, "beam": 16, "lm_weight": 0.5}}
    made_from |= {
        "weights": {"lm_weight": 0.8},
        "lm": {"lm": {"order": 3, "x": None}, "text": texts, "train": "a1"},
    }
    huge = {"measured": {"parameters": 10**400}}
    stages = json.dumps({"decode beam lj": {"inputs": made_from}, "emit lj": huge}).encode()
    files = signed({**files_of(bundle), "stages.json": stages})
    page = " ".join(told(verify(pack(bundle.with_name("odd.zip"), files))).split())
    assert "beam beam 16; lm_weight 0.8 order 3 novels.txt.gz, transcripts of train" in page


def test_each_of_several_corpora_is_told(bundle):
    recipe = b"""[corpus.train]
one = { use = "files", path = "one.csv" }
two = { use = "hub", path = "them/two" }
three = "\\u001b[2J"
"""
    files = signed({**files_of(bundle), "recipe.toml": recipe})
    page = " ".join(told(verify(pack(bundle.with_name("odd.zip"), files))).split())
    assert "train files one.csv + hub them/two +" in page


def call(*arguments) -> object:
    return CliRunner().invoke(cli.app, [str(each) for each in arguments])


def test_the_commands(run, tmp_path, monkeypatch):
    monkeypatch.chdir(run.parents[1])
    made = call("bundle", run.name)
    assert made.exit_code == 0
    assert made.stdout == f"{run.name}.bundle.zip\n"
    assert "its scores, counted again, are equal" in made.stderr
    place = Path(f"{run.name}.bundle.zip")
    assert "Equal: 3 rows" in call("verify", place).stdout
    assert json.loads(call("verify", place, "--json").stdout)["equal"] is True

    pack(place, signed({**files_of(place), "audit.json": b"{}"}))
    assert call("verify", place).exit_code == 0
    pack(place, {**files_of(place), "audit.json": b'{"verdict": "No leak found."}'})
    other = call("verify", place, "--json")
    assert other.exit_code == 1
    assert list(json.loads(other.stdout)["changed"]) == ["audit.json"]
    place.write_bytes(b"")
    refused = call("verify", place)
    assert refused.exit_code == 2
    assert "this is no bundle" in refused.stderr
    assert call("bundle", run.name, "--output", tmp_path).exit_code == 2
    assert call("bundle", "other").exit_code == 2


def test_errors_are_ones_that_the_command_line_tells():
    assert issubclass(BundleError, SpeechkitError)
