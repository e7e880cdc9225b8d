"""The script that repeats results: what it runs, reads and writes."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest
import torch
from report_runs import leave_two
from typer.testing import CliRunner

from speechkit import cli
from speechkit.discovery import load_plugins
from speechkit.recipe import find_recipe, read_recipe
from speechkit.report.read import read_run
from speechkit.scoring.scores import read_scores

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
TINY = (
    "corpus.train.utterances=30",
    "corpus.validation.utterances=12",
    "corpus.test.unseen.utterances=12",
    "model.dim=16",
    "model.layers=1",
    "train.epochs=2",
    "train.validate_every=1",
    "train.learning_rate=1e-2",
    "train.threads=1",
    "tune.enabled=false",
    "decoder.kenlm={beam=2, processes=1, token_threshold=-2.0}",
    'score.protocol="n2"',
)


@pytest.fixture(scope="module")
def results():
    spec = importlib.util.spec_from_file_location("results", BENCHMARKS / "results.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["results"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["results"]


@pytest.fixture
def given(results, tmp_path, monkeypatch):
    """A table of one small system; commands are given in this process, and noted."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("speechkit.report.plots.svg", lambda draw: "")
    (tmp_path / "table.toml").write_text(
        f'[[system]]\nname = "tiny"\nrecipe = "quickstart"\nset = {json.dumps(TINY)}\n'
        'decoders = ["greedy", "kenlm"]\n'
    )
    commands = []

    def speechkit(arguments):
        commands.append(arguments)
        return CliRunner().invoke(cli.app, arguments).exit_code

    monkeypatch.setattr(results, "speechkit", speechkit)
    yield commands
    torch.set_flush_denormal(False)


def test_a_system_is_carried_out_told_and_repeated(results, given, tmp_path, capsys):
    page = tmp_path / "results.md"
    page.write_text(
        f"# Results\n\nBefore.\n\n{results.BEGIN}\nstale words\n{results.END}\n\nAfter.\n"
    )
    table = ["--table", "table.toml", "--output", str(page)]
    assert results.main(table) == 0
    assert [each[each.index("--run") + 1] for each in given] == ["tiny", "tiny"]
    text = page.read_text()
    assert text.startswith("# Results\n\nBefore.\n")
    assert text.endswith("\nAfter.\n")
    assert "stale words" not in text
    scores = read_scores(tmp_path / "runs/tiny/scores.json")
    assert len(scores) == 4
    rows = [line for line in text.splitlines() if "| tiny |" in line]
    assert len(rows) == 6  # system, four error rates, curve
    for score in scores:
        (row,) = [each for each in rows if f"| {score.decoder} | {score.test} |" in each]
        for said in (
            f"{score.wer:.4f}",
            f"{score.cer:.4f}",
            f"{score.measures['n2_wer']:.4f}",
            f"decoder.use={score.decoder}",
            "speechkit run quickstart --run tiny",
        ):
            assert said in row
    trained = (tmp_path / "runs/tiny/model.safetensors").read_bytes()
    parameters = json.loads((tmp_path / "runs/tiny/stages.json").read_text())
    assert f"{parameters['emit unseen']['measured']['parameters']:,.0f}" in rows[0]
    assert " | 2 | " in rows[0]
    assert rows[0].endswith(" | 17 |")

    assert results.main([*table, "--seed", "18"]) in {0, 1}
    assert (tmp_path / "runs/tiny/model.safetensors").read_bytes() == trained
    assert (tmp_path / "runs/tiny-seed-18/model.safetensors").read_bytes() != trained
    assert "recipe.seed=18" in given[-1]
    assert "with seed 18: " in capsys.readouterr().err
    text = page.read_text()
    assert "## Seeds" in text
    assert " | 18 |" in text
    assert text.count("| tiny | quickstart") == 1  # what is there stays

    (tmp_path / "runs").rename(tmp_path / "other machine")
    assert results.main([*table, "--read"]) == 0
    assert page.read_text() == text
    (tmp_path / "runs").mkdir()
    (tmp_path / "other machine/tiny-seed-18").rename(tmp_path / "runs/tiny-seed-18")
    assert results.main([*table, "--read", "--seed", "18"]) in {0, 1}
    assert page.read_text() == text
    (tmp_path / "other machine/tiny").rename(tmp_path / "runs/tiny")

    calls = len(given)
    assert results.main(["--table", "table.toml", "--read"]) == 0
    assert len(given) == calls
    assert "recipe.seed" not in capsys.readouterr().out


def test_each_row_is_of_its_decoder(results, tmp_path, monkeypatch):
    monkeypatch.setattr("speechkit.scoring.uncertainty.RESAMPLES", 99)
    run = read_run(leave_two(tmp_path))
    system = results.System("two", "r", decoders=("beam", "greedy", "kenlm"))
    left = results.Left(system, None, run)
    found = [(decoder, score.test, score.wer) for decoder, score in left.rows()]
    rates = {(row.decoder, row.test): row.wer for row in run.scores}
    assert rates["beam", "lj"] < rates["greedy", "lj"]
    assert found == [
        (*key, rates[key]) for key in (("beam", "lj"), ("greedy", "lj"), ("greedy", "тест"))
    ]
    tables = [
        each
        for each in results.page([left], results.Earlier({}, []))
        if isinstance(each, results.Table)
    ]
    assert [row[4] for row in tables[1].rows] == [f"{wer:.4f}" for *_, wer in found]
    assert tables[2].rows == [["мой run", "", "", "0.5000", "0.5000", "0.5000"]]


def test_a_system_starts_from_one_above_it_with_the_same_seed(results, tmp_path):
    table = tmp_path / "table.toml"
    first = '[[system]]\nname = "first"\nrecipe = "quickstart"\n'
    second = '[[system]]\nname = "second"\nrecipe = "quickstart"\nstart_from = "first"\n'
    table.write_text(first + second)
    system = results.systems_in(table)[1]
    assert "model.start_from=first" in system.command("greedy", None)
    assert "model.start_from=first-seed-5" in system.command("greedy", 5)
    table.write_text(second + first)
    with pytest.raises(SystemExit, match="second starts from first, which is no system above it"):
        results.systems_in(table)


def test_what_fails_is_told(results, given, tmp_path, capsys):
    file = tmp_path / "table.toml"
    file.write_text('[[system]]\nname = "none"\nrecipe = "no_recipe"\n')
    assert results.main(["--table", str(file)]) == 1
    said = capsys.readouterr().err
    assert "failed: speechkit run no_recipe --run none --set decoder.use=greedy" in said
    assert "left out: runs/none holds no run" in said
    file.write_text('[[system]]\nname = "none"\nrecipee = "no_recipe"\n')
    with pytest.raises(SystemExit, match="recipee"):
        results.main(["--table", str(file)])
    file.write_text('[[system]]\nname = "a"\nrecipe = "b"\n')
    with pytest.raises(SystemExit, match="has a"):
        results.main(["--table", str(file), "--only", "b"])
    (tmp_path / "page.md").write_text("no marks")
    with pytest.raises(SystemExit, match="has no lines"):
        results.main(["--table", str(file), "--read", "--output", "page.md"])


@pytest.mark.parametrize(
    ("was", "now", "verdict"),
    [
        ((0.5, 0.4, 0.6), (0.55, 0.45, 0.65), "within"),
        ((0.5, 0.4, 0.6), (0.65, 0.55, 0.75), "overlap"),
        ((0.5, 0.4, 0.6), (0.39, 0.3, 0.45), "overlap"),
        ((0.5, 0.4, 0.6), (0.75, 0.65, 0.85), "apart"),
        ((0.5, 0.4, 0.6), (0.3, 0.2, 0.39), "apart"),
        ((0.5, 0.4, 0.6), (0.75, None, None), "apart"),
        ((0.5, None, None), (0.5, 0.4, 0.6), "no interval"),
    ],
)
def test_verdicts(results, was, now, verdict):
    assert results.verdict(results.Rate(*was), results.Rate(*now)) == verdict


def test_the_table_names_recipes_that_are_right(results, monkeypatch):
    monkeypatch.setenv("SPEECHKIT_DATA", "/data")
    plugins = load_plugins()
    for system in results.systems_in(BENCHMARKS / "results.toml"):
        for decoder in system.decoders:
            read_recipe(
                find_recipe(system.recipe),
                plugins,
                profile=system.profile,
                overrides=[*system.set, f"decoder.use={decoder}"],
            )


def test_the_weights_that_a_system_starts_from_fit_it(results, monkeypatch):
    monkeypatch.setenv("SPEECHKIT_DATA", "/data")
    plugins = load_plugins()
    shapes, chains = {}, 0
    for system in results.systems_in(BENCHMARKS / "results.toml"):
        recipe = read_recipe(
            find_recipe(system.recipe), plugins, profile=system.profile, overrides=system.set
        )
        # Letters differ from language to language, and begin anew: any number of them serves.
        model = recipe.model.build(num_features=recipe.features.build().dim, num_labels=9)
        shapes[system.name] = {name: each.shape for name, each in model.state_dict().items()}
        if system.start_from:
            assert shapes[system.name] == shapes[system.start_from], system.name
            chains += 1
    assert chains


def test_of_a_page_stay_rows_of_other_decoders_and_what_is_told_of_them(results, tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        f"{results.BEGIN}\n## Error rates\n\n| system | decoder | test | CER | words |\n"
        "| --- | --- | --- | ---: | ---: |\n| a\\_b | greedy | lj | 0.2 | 3,351 |\n"
        "| a\\_b | beam | lj | 0.1 | 3,351 |\n\nlj, 3,351 words: two\n\nlj, 99 words: gone\n"
        f"{results.END}\n"
    )
    before = results.earlier(page)
    headings = ["system", "decoder", "test", "CER", "words"]
    new = ["a_b", "greedy", "lj", "0.3", "3,351"]
    table = before.table(results.RATES, headings, [new])
    assert table.rows == [["a_b", "beam", "lj", "0.1", "3,351"], new]
    told = [each.text for each in results.page([], before) if isinstance(each, results.Paragraph)]
    assert told[:-1] == ["lj, 3,351 words: two"]
