"""What a plugin offers beside parts of a recogniser: text rules, score protocols, recipes."""

import json

import pytest
from rich.console import Console
from tones import RECIPE, lines
from typer.testing import CliRunner

from speechkit import PluginError, RecipeError
from speechkit.cli import app
from speechkit.data.look import look
from speechkit.data.text import PluginRule, TextRules
from speechkit.discovery import RECIPE as OF_RECIPE
from speechkit.discovery import load_plugins
from speechkit.pipeline import Pipeline
from speechkit.recipe import find_recipe, read_recipe
from speechkit.recogniser import load_recogniser
from speechkit.reporter import Reporter

pytestmark = pytest.mark.usefixtures("undrawn")

PLUGIN = """
from pathlib import Path
from speechkit import Component, Config, Field, hookimpl

class NumberConfig(Config):
    four: str = Field("a b", description="what 4 becomes")

class Number:
    def __init__(self, config):
        self.config = config
    def __call__(self, text):
        return text.replace("4", self.config.four)

class Upper:
    def __init__(self, config): pass
    def __call__(self, text):
        return None if "c" in text else text.upper()

class CountConfig(Config):
    weight: float = Field(1.0, ge=0)

class Count:
    def __init__(self, config):
        self.config = config
    def __call__(self, pairs):
        if self.config.weight == 0:
            raise ZeroDivisionError("no weight")
        return {"weighted": self.config.weight * len(pairs)}

@hookimpl
def speechkit_text_rules():
    return [Component("number", NumberConfig, Number), Component("upper", Config, Upper)]

@hookimpl
def speechkit_score_protocols():
    return [Component("count", CountConfig, Count)]

@hookimpl
def speechkit_recipes():
    return Path(__file__).parent / "recipes"
"""


@pytest.fixture
def plugins(house):
    """With the plugin `mine`, a file, which brings `tones` and `more/small` along."""
    (house / "mine.py").write_text(PLUGIN)
    (house / "recipes/more").mkdir(parents=True)
    text = RECIPE.replace('path = "', f'path = "{house}/')
    (house / "recipes/tones.toml").write_text(text)
    (house / "recipes/more/small.toml").write_text(text.replace("dim = 32", "dim = 16"))
    return load_plugins([house / "mine.py"])


def read(house, plugins, *overrides: str):
    return read_recipe(house / "tones.toml", plugins, overrides=overrides)


def run(house, plugins, *overrides: str, name: str = "run") -> Pipeline:
    recipe = read(house, plugins, "train.epochs=1", *overrides)
    made = Pipeline(recipe, plugins, house / "runs" / name, Reporter(Console(quiet=True)))
    made.run()
    return made


# text rules


def test_rules_of_plugins_come_first_and_in_their_order(house, plugins):
    recipe = read(house, plugins, 'text.rules=["number", "upper"]')
    rules = TextRules(recipe.text, recipe.own_rules())
    assert rules.normalize("4 A") == "a b a"  # the case of [text] comes after them
    assert not rules.removed
    other = read(house, plugins, 'text.rules=[{use="number", four="b"}]')
    assert TextRules(other.text, other.own_rules()).normalize("4 a") == "b a"
    for each in (recipe, other):
        (house / "again.toml").write_text(each.to_toml())
        assert read_recipe(house / "again.toml", plugins) == each


def test_a_recipe_without_rules_of_plugins_is_described_as_ever(house, plugins):
    recipe = read(house, plugins)
    assert recipe.text_described() == recipe.text.model_dump(mode="json")
    assert "rules =" not in recipe.to_toml()


def test_every_text_of_a_run_is_under_the_rules_and_another_rule_is_another_training(
    house, plugins
):
    for part in ("train", "dev", "test"):  # whose texts have a 4 where a "c" began them
        file = house / f"{part}.csv"
        file.write_text(file.read_text().replace(",c", ",4"))
    (house / "lm.txt").write_text("4 a\n")
    lm = ('lm={use="ngram", order=2, text=["lm.txt"]}', 'decoder.use="kenlm"', "tune.enabled=false")
    rule = 'text.rules=["number"]'
    run(house, plugins, rule, *lm)
    folder = house / "runs/run"
    references = [row["reference"] for row in lines(folder / "decoded/kenlm/unseen.jsonl")]
    texts = [line.split(",")[2] for line in (house / "test.csv").read_text().splitlines()[1:]]
    assert any("4" in text for text in texts)
    assert references == [" ".join(text.replace("4", "a b").split()) for text in texts]
    arpa = next((folder / "lm").glob("*.arpa")).read_text()
    assert "\ta\t" in arpa
    assert "4" not in {line.split("\t")[1] for line in arpa.splitlines() if line.count("\t")}
    blueprint = load_recogniser(folder, plugins).blueprint
    assert [each["use"] for each in blueprint.text_rules] == ["number"]
    with pytest.raises(Exception, match=r"text\.rules") as told:
        run(house, plugins, 'text.rules=[{use="number", four="b"}]', *lm)
    assert "holds a finished training of another recipe" in str(told.value)


def test_a_rule_that_fails_is_named(house, plugins):
    recipe = read(house, plugins, 'text.rules=["upper"]')
    rules = TextRules(recipe.text, recipe.own_rules())
    with pytest.raises(PluginError, match=r"text rule `upper` of .*mine.py made None of 'c b'"):
        rules.normalize("c b")

    def fails(text):
        raise LookupError("no dictionary")

    with pytest.raises(PluginError, match=r"a rule failed on 'a' \(LookupError: no dictionary\)"):
        PluginRule("a rule", fails)("a")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ('text.rules=["nubmer"]', "[text.rules[0]] no plugin offers the text rule `nubmer`"),
        ('text.rules="number"', 'text.rules: should be a list, not "number"'),
        ("text.rules=[3]", "`text.rules[0]` is 3, not a table"),
        ('text.rules=[{use="number", fuor="b"}]', "[text.rules[0]] has no `fuor`"),
        ('text.rulse=["number"]', "[text] has no `rulse`"),
        ('score.protocol="cuont"', "score.protocol: no plugin offers the score protocol `cuont`"),
        ('score={protocol="count", wieght=2.0}', "[score] has no `wieght`"),
        ('score={protocol="count", weight=-1.0}', "score.weight: should be greater than or equal"),
        ("score.weight=2.0", "[score] has no `weight`"),
        ("score.protocol=3", "score.protocol: should be"),
    ],
)
def test_mistakes_in_text_and_score_are_told(house, plugins, override, message):
    with pytest.raises(RecipeError) as told:
        read(house, plugins, override)
    assert message in str(told.value)
    for wrong, right in (("nubmer", "number"), ("cuont", "count"), ("rulse", "rules")):
        if wrong in override:
            assert f"did you mean `{right}`?" in str(told.value)


# score protocols


def test_a_protocol_of_a_plugin_counts_beside_the_usual_numbers(house, plugins):
    run(house, plugins)
    count = 'score={protocol="count", weight=2.5}'
    made = run(house, plugins, count)
    rows = json.loads((house / "runs/run/scores.json").read_text())
    assert [row["count_weighted"] for row in rows] == [2.5 * 6, 2.5 * 6]
    assert all(row["wer"] >= 0 for row in rows)
    (house / "again.toml").write_text(made.recipe.to_toml())
    assert read_recipe(house / "again.toml", plugins) == made.recipe
    assert "count_weighted" in (house / "runs/run/report.html").read_text()
    run(house, plugins, 'score.protocol="n2"')
    rows = json.loads((house / "runs/run/scores.json").read_text())
    assert all("n2_wer" in row and "count_weighted" not in row for row in rows)
    with pytest.raises(PluginError, match=r"`count` of .*mine.py.*: it failed .ZeroDivisionError"):
        run(house, plugins, 'score={protocol="count", weight=0.0}')


# recipes


def test_a_recipe_of_a_plugin_is_found_by_its_name(house, plugins):
    for name in ("tones", "more/small", "tones.toml"):
        found = find_recipe(f"plugin:mine/{name}", plugins)
        assert found == house / "recipes" / f"{name.removesuffix('.toml')}.toml"
    rows = [row for row in plugins.rows() if row.kind == OF_RECIPE]
    assert [row.name for row in rows] == ["plugin:mine/more/small", "plugin:mine/tones"]
    assert all(find_recipe(row.name, plugins).is_file() for row in rows)


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("plugin:mine/../tones", "leads out of the folder", "it has: link, more/small, tones"),
        ("plugin:mine//etc/hosts", "leads out of the folder", ""),
        ("plugin:mine/link", "leads out of the folder", ""),
        ("plugin:mine/tnes", "has no recipe `tnes`", "did you mean `plugin:mine/tones`?"),
        ("plugin:mine/more", "has no recipe `more`", "plugin:mine/more/small"),
        ("plugin:mine", "which of its recipes?", "plugin:mine/tones"),
        ("plugin:mien/tones", "no plugin `mien` brings recipes along", "did you mean `mine`?"),
    ],
)
def test_what_is_no_recipe_of_a_plugin_is_told(house, plugins, name, message, hint):
    (house / "recipes/link.toml").symlink_to(house / "tones.toml")
    with pytest.raises((RecipeError, PluginError)) as told:
        find_recipe(name, plugins)
    assert message in str(told.value)
    assert hint in told.value.hint


def test_a_plugin_that_did_not_load_is_mentioned_where_its_recipe_is_missed(house):
    (house / "mine.py").write_text(PLUGIN.replace('"recipes"', '"recipe"'))
    plugins = load_plugins([house / "mine.py"], lenient=True)
    (row,) = plugins.broken
    assert (row.kind, row.name) == (OF_RECIPE, "mine")
    with pytest.raises(PluginError, match=r"`mine` .*did not load .*recipe, which is no folder"):
        find_recipe("plugin:mine/tones", plugins)


@pytest.mark.parametrize(
    "command",
    [
        ["recipe", "check"],
        ["recipe", "show"],
        ["data", "look"],
        ["audit"],
        ["run", "--set", "train.epochs=1", "--run", "given"],
        ["tune", "--run", "given", "--set", "train.epochs=1"],
        ["lm", "build", "--order=2", "--output", "out", "lm.txt", "--recipe"],
    ],
    ids=lambda each: " ".join(each[:2]),
)
def test_every_command_that_takes_a_recipe_takes_one_of_a_plugin(house, plugins, command):
    (house / "lm.txt").write_text("a b\n")
    mine = ["--plugin", str(house / "mine.py")]
    done = CliRunner().invoke(app, [*mine, *command, "plugin:mine/tones"])
    if command[0] == "tune":  # which there is nothing for yet: but the recipe was read
        assert "runs/given holds no trained model" in done.output
    else:
        assert done.exit_code == 0, done.output
    done = CliRunner().invoke(app, [*mine, *command, "plugin:mine/tunes"])
    assert done.exit_code == 2
    assert "did you mean `plugin:mine/tones`?" in done.output


def test_a_look_at_a_corpus_is_under_the_rules(house, plugins):
    recipe = read(house, plugins, 'text.rules=["number"]')
    made = Pipeline(recipe, plugins, house / "runs/look", Reporter(Console(quiet=True)))
    store = made._corpora.store("validation")
    store.texts[0] = "4 a"
    units = recipe.units.build(alphabet=recipe.text.alphabet)
    given = {"name": "validation", "corpus": "files", "frame_shift_seconds": 0.04}
    with_, without = (
        look(store, recipe.text, units, own_rules=rules, **given)
        for rules in (recipe.own_rules(), ())
    )
    assert with_.words == without.words + 2
