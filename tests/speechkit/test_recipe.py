"""Reading recipes: what they say, how layers are laid, and how every mistake is told."""

import json
import re
import time
import tomllib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from speechkit import Component, Config, PluginError, RecipeError
from speechkit.discovery import Plugins, load_plugins
from speechkit.recipe import Recipe, find_recipe, read_recipe
from speechkit.recipe.record import Choice
from speechkit.recipe.toml_text import toml_key, toml_value

SHIPPED = sorted((Path(__file__).parents[2] / "recipes").glob("*.toml"))

FULL = """\
[recipe]
name = "full"  # the run
language = "en"

[corpus.train]
use = "tone"
path = "train.parquet"
cache = "./cache/../kept"
splits = [
  "clean",
  "other",
]

[corpus.validation]
use = "tone"
path = "/data/validation.parquet"

[corpus.test.near]
use = "tone"
path = "~/test.parquet"

[text]
alphabet = "abc'"
replace = { "ё" = "e" }

[features]
use = "spectrogram"
normalization = "global"
window = 200

[[augment]]
use = "noise"
snr_db = [3, 20]

[[augment]]
use = "noise"
probability = 0.5

[units]
use = "characters"

[model]
use = "linear"
dropout = 0.2
optimizer = { name = "sgd", momentum = 0.5 }

[train]
epochs = 2

[lm]
use = "ngram"
order = 4
text = ["lm.txt.gz"]

[decoder]
use = "greedy"

[decoder.beam]
beam = 10

[decoder.kenlm]
beam = 20

[profiles.local]
corpus.train = { use = "tone", path = "${TONES}/train.parquet", limit = 4 }
train.epochs = 1
model = { rnn_units = 8 }

[profiles.other]
decoder.use = "kenlm"
"""

SMALL = """\
[recipe]
name = "small"
[corpus.train]
use = "tone"
path = "train.parquet"
[text]
alphabet = "abc"
[features]
use = "plain"
[model]
use = "linear"
"""


@pytest.fixture
def write(tmp_path):
    def write(text: str) -> Path:
        file = tmp_path / "recipe.toml"
        file.write_text(text, encoding="utf-8")
        return file

    return write


def problems_of(file: Path, plugins: Plugins, **options) -> str:
    with pytest.raises(RecipeError) as caught:
        read_recipe(file, plugins, **options)
    return str(caught.value)


def blocks_of(file: Path, plugins: Plugins, **options) -> list[str]:
    """The problems, each a block of lines, without the folder."""
    _, *blocks = problems_of(file, plugins, **options).split("\n\n")
    return [block.replace(f"{file.parent}/", "") for block in blocks]


# What a recipe says


def test_full_recipe(write, toys, monkeypatch):
    monkeypatch.delenv("TONES", raising=False)  # of a profile not asked for
    file = write(FULL)
    recipe = read_recipe(file, toys)
    assert recipe.settings.name == "full"
    assert recipe.train_corpus.config.path == file.parent / "train.parquet"
    assert recipe.train_corpus.config.splits == ["clean", "other"]
    assert recipe.train_corpus.config.cache == file.parent / "kept"
    assert recipe.validation_corpus.config.path == Path("/data/validation.parquet")
    assert recipe.test_corpora["near"].config.path == Path.home() / "test.parquet"
    assert recipe.text.replace == {"ё": "e"}
    assert (recipe.features.use, recipe.features.config.window) == ("spectrogram", 200)
    assert recipe.features_settings.normalization == "global"
    assert [each.config.probability for each in recipe.augment] == [0.3, 0.5]
    assert recipe.augment[0].config.snr_db == (3.0, 20.0)
    assert recipe.model.config.optimizer.momentum == 0.5
    assert recipe.model_settings.start_from is None
    assert recipe.lm_settings.text == [file.parent / "lm.txt.gz"]
    assert recipe.decoder.use == "greedy"
    assert {use: getattr(each.config, "beam", None) for use, each in recipe.decoders.items()} == {
        "beam": 10,
        "kenlm": 20,
        "greedy": None,
    }
    assert (recipe.file, recipe.profile, recipe.profiles) == (file, None, ("local", "other"))


def test_small_recipe_has_defaults(write, toys):
    recipe = read_recipe(write(SMALL), toys)
    assert (recipe.units.use, recipe.decoder.use) == ("characters", "greedy")
    assert (recipe.lm, recipe.augment, recipe.test_corpora) == (None, (), {})
    assert recipe.train.epochs == 30
    assert recipe.data.bad_utterances == "error"
    assert recipe.validation_decoder == recipe.decoder


def test_a_choice_builds_its_part_and_describes_it(write, toys):
    model = read_recipe(write(SMALL), toys).model
    part = model.build(num_features=3)
    assert (part.config, part.given) == (model.config, {"num_features": 3})
    described = model.described()
    assert described["use"] == "linear"
    assert described["revision"] == 3
    assert described["rnn_units"] == 768
    assert described["optimizer"] == {"name": "adam", "momentum": 0.9}
    json.dumps(described)


def test_validation_decoder_has_the_settings_the_recipe_gives_it(write, toys):
    text = SMALL + '[train]\ndecoder = "beam"\n'
    assert read_recipe(write(text), toys).validation_decoder.config.beam == 100
    given = read_recipe(write(text + "[decoder.beam]\nbeam = 7\n"), toys)
    assert given.validation_decoder.config.beam == 7
    assert given.decoder.use == "greedy"


def test_a_recipe_without_training_starts_from_a_model(write, toys, tmp_path):
    text = SMALL.replace("[corpus.train]", "[corpus.test.one]")
    (block,) = blocks_of(write(text), toys)
    assert block.startswith("recipe.toml:3: neither a [corpus.train] to train on nor a trained")
    recipe = read_recipe(write(text + 'start_from = "runs/one"\n'), toys)
    assert recipe.train_corpus is None
    assert recipe.validation_decoder is None
    assert recipe.model_settings.start_from == str(tmp_path / "runs/one")
    recipe = read_recipe(write(text + 'start_from = "one"\n'), toys)
    assert recipe.model_settings.start_from == "one"  # a run's or an installed model's name


def test_a_model_that_comes_trained_needs_no_training(write, toys):
    text = SMALL.replace("[corpus.train]", "[corpus.test.one]").replace('"linear"', '"other"')
    assert len(blocks_of(write(text), toys)) == 1
    recipe = read_recipe(write(text + "size = 7\n"), toys)
    assert recipe.train_corpus is None
    assert recipe.model_settings.start_from is None


def test_a_recipe_has_something_to_do(write, toys):
    text = re.sub(r"\[corpus.train\](.*\n){2}", "", SMALL) + 'start_from = "runs/one"\n'
    (block,) = blocks_of(write(text.replace("path =", "#")), toys)
    assert "nothing to do" in block


# to_toml


def test_to_toml_reads_back_as_an_equal_recipe(write, toys, tmp_path, monkeypatch):
    monkeypatch.setenv("TONES", "/tones")
    for profile in (None, "local", "other"):
        recipe = read_recipe(write(FULL), toys, profile=profile)
        other = tmp_path / "elsewhere" / "recipe.toml"
        other.parent.mkdir(exist_ok=True)
        other.write_text(recipe.to_toml(), encoding="utf-8")
        again = read_recipe(other, toys)
        assert again == recipe
        assert again.to_toml() == recipe.to_toml()
        assert tomllib.loads(recipe.to_toml())["model"]["rnn_layers"] == 5


TEXTS = st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(
    ["${HOME}", "$${HOME}", "$$${X}", "${", "\x7f\x00\\", 'a"b', "'''"]
)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None
)
@given(note=TEXTS, key=TEXTS, number=st.floats(allow_nan=False, allow_infinity=False))
def test_any_text_survives_to_toml(write, toys, note, key, number):
    safe = note.replace("${", "$ {")
    table = {"note": safe, "optimizer": {"momentum": number}}
    recipe = read_recipe(
        write(f"{SMALL}note = {toml_value(safe)}\noptimizer.momentum = {number!r}\n"), toys
    )
    assert recipe.model.config.model_dump(include=set(table)) == {
        "note": safe,
        "optimizer": {"name": "adam", "momentum": number},
    }
    given = recipe.model.config.model_copy(update={"note": note})
    changed = recipe.__class__(**{**vars(recipe), "model": model_with(recipe, given)})
    assert read_recipe(write(changed.to_toml()), toys) == changed
    assert tomllib.loads(f"{toml_key(key)} = 1") == {key: 1}


def model_with(recipe: Recipe, config):
    return recipe.model.__class__(**{**vars(recipe.model), "config": config})


SEVERAL = SMALL.replace(
    '[corpus.train]\nuse = "tone"\npath = "train.parquet"\n',
    '[corpus.train.one]\nuse = "tone"\npath = "one.parquet"\n'
    '[corpus.train.two]\nuse = "tone"\npath = "two.parquet"\nlimit = 5\n',
)


def several_of(text: str) -> str:
    """The tables of its corpora."""
    return text[text.index("[corpus") : text.index("[text]")]


def paths_of(recipe: Recipe) -> dict[str, str]:
    """Of the corpora to train on, by name."""
    return {name: each.config.path.name for name, each in recipe.train_corpus.parts.items()}


def test_several_corpora_are_read_back_as_they_were(write, toys):
    recipe = read_recipe(write(SEVERAL), toys)
    assert paths_of(recipe) == {"one": "one.parquet", "two": "two.parquet"}
    assert recipe.train_corpus.use == "tone + tone"
    assert [each.use for each in recipe.choices][:3] == ["tone", "tone", "plain"]
    assert read_recipe(write(recipe.to_toml()), toys) == recipe
    both = SEVERAL + several_of(SEVERAL).replace("corpus.train", "corpus.validation")
    recipe = read_recipe(write(both), toys)
    assert list(recipe.validation_corpus.parts) == ["one", "two"]
    assert [each.use for each in recipe.choices].count("tone") == 4
    assert read_recipe(write(recipe.to_toml()), toys) == recipe


# Layers


def test_one_corpus_and_several_replace_each_other(write, toys):
    one = 'corpus.train = { use = "tone", path = "other.parquet" }'
    recipe = read_recipe(write(f"{SEVERAL}[profiles.one]\n{one}\n"), toys, profile="one")
    assert recipe.train_corpus.config.path.name == "other.parquet"
    text = SMALL + several_of(SEVERAL).replace("[corpus", "[profiles.several.corpus")
    recipe = read_recipe(write(text), toys, profile="several")
    assert paths_of(recipe) == {"one": "one.parquet", "two": "two.parquet"}


def test_a_layer_changes_one_of_several_and_adds_one(write, toys):
    changes = ["corpus.train.two.limit=7", 'corpus.train.more={use="tone",path="more.parquet"}']
    recipe = read_recipe(write(SEVERAL), toys, overrides=changes)
    named = {"one": "one.parquet", "two": "two.parquet", "more": "more.parquet"}
    assert paths_of(recipe) == named
    assert recipe.train_corpus.parts["two"].config.limit == 7


def test_a_profile_replaces_a_table_with_use_and_merges_others(write, toys, monkeypatch):
    monkeypatch.setenv("TONES", "/tones")
    recipe = read_recipe(write(FULL), toys, profile="local")
    assert recipe.train_corpus.config.path == Path("/tones/train.parquet")
    assert recipe.train_corpus.config.splits == ["all"]  # not those of the table replaced
    assert recipe.train.epochs == 1
    assert (recipe.model.config.rnn_units, recipe.model.config.dropout) == (8, 0.2)
    assert recipe.profile == "local"


def test_a_profile_swaps_the_decoder_and_keeps_all_settings(write, toys):
    recipe = read_recipe(write(FULL), toys, profile="other")
    assert (recipe.decoder.use, recipe.decoder.config.beam) == ("kenlm", 20)
    assert recipe.decoders["beam"].config.beam == 10


def test_a_profile_is_laid_over_what_it_inherits(write, toys, monkeypatch):
    monkeypatch.setenv("TONES", "/tones")
    text = FULL + '[profiles.long]\ntrain.epochs = 90\ninherits = "wide"\n'
    text += '[profiles.wide]\ninherits = "local"\nmodel.rnn_units = 99\ntrain.epochs = 9\n'
    recipe = read_recipe(write(text), toys, profile="long")
    assert recipe.train_corpus.config.path == Path("/tones/train.parquet")
    assert (recipe.model.config.rnn_units, recipe.model.config.dropout) == (99, 0.2)
    assert recipe.train.epochs == 90
    assert (recipe.profile, recipe.profiles) == ("long", ("local", "other", "long", "wide"))
    assert read_recipe(write(text), toys, profile="wide").train.epochs == 9
    assert read_recipe(write(text), toys, profile="local").train.epochs == 1


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            '[profiles.one]\ninherits = "tow"\n[profiles.two]\n',
            [
                'recipe.toml:13: [profiles.one] inherits "tow", which is no profile',
                "did you mean `two`?",
            ],
        ),
        (
            "[profiles.one]\ninherits = 3\n",
            [
                "recipe.toml:13: [profiles.one] inherits 3, which is no profile",
                "there is no other profile",
            ],
        ),
        (
            '[profiles.one]\ninherits = "one"\n',
            [
                "recipe.toml:13: [profiles.one] inherits one: a circle",
                "let one of them inherit nothing",
            ],
        ),
        (
            'inherits = "one"\n[profiles.one]\n',
            ["recipe.toml:12: [model] has no `inherits`"],
        ),
        (
            '[profiles.one]\nmodel.inherits = "two"\n[profiles.two]\n',
            ["recipe.toml:13: [model] has no `inherits`"],
        ),
    ],
)
def test_what_a_profile_cannot_inherit(write, toys, given, told):
    (block,) = blocks_of(write(SMALL + given), toys)
    for each in told:
        assert each in block


def test_only_a_profile_inherits(write, toys):
    (block,) = blocks_of(write('inherits = "one"\n' + SMALL + "[profiles.one]\n"), toys)
    assert block.startswith("recipe.toml:1: only a profile inherits, in the recipe's file")
    (block,) = blocks_of(write(SMALL), toys, overrides=["inherits=one"])
    assert block.startswith("--set inherits=one: only a profile inherits")


def test_a_circle_of_profiles_is_told_of_each_in_it(write, toys):
    text = SMALL + '[profiles.one]\ninherits = "two"\n[profiles.two]\ninherits = "three"\n'
    text += '[profiles.three]\ninherits = "two"\n'
    two, three = blocks_of(write(text), toys, profile="one")
    assert "[profiles.two] inherits three, which inherits two: a circle" in two
    assert "[profiles.three] inherits two, which inherits three: a circle" in three


def test_a_mistake_in_an_inherited_profile_is_told_once(write, toys):
    text = SMALL + '[profiles.one]\ntrain.epoch = 3\n[profiles.two]\ninherits = "one"\n'
    for profile in (None, "one", "two"):
        (block,) = blocks_of(write(text), toys, profile=profile)
        assert block.startswith("recipe.toml:13: [train] has no `epoch`")


def test_set_lies_over_the_profile(write, toys, monkeypatch):
    monkeypatch.setenv("TONES", "/tones")
    overrides = [
        "train.epochs=7",
        "decoder.use=beam",
        "recipe.description=a bare text",
        "corpus.train.limit = 9",
        "augment.1.probability=1.0",
        'corpus.test.far={use="tone", path="far"}',
        "model.note=2020-01-01",
    ]
    recipe = read_recipe(write(FULL), toys, profile="local", overrides=overrides)
    assert recipe.train.epochs == 7
    assert (recipe.decoder.use, recipe.decoder.config.beam) == ("beam", 10)
    assert recipe.settings.description == "a bare text"
    assert recipe.train_corpus.config.limit == 9
    assert [each.config.probability for each in recipe.augment] == [0.3, 1.0]
    assert set(recipe.test_corpora) == {"near", "far"}
    assert recipe.model.config.note == "2020-01-01"


@pytest.mark.parametrize("order", [1, -1])
def test_the_order_of_set_does_not_matter(write, toys, order):
    overrides = ["model.use=other", "model.size=9"][::order]
    recipe = read_recipe(write(FULL), toys, overrides=overrides)
    assert (recipe.model.use, recipe.model.config.size) == ("other", 9)


def test_another_component_keeps_the_engines_keys(write, toys):
    recipe = read_recipe(write(FULL), toys, overrides=["features.use=plain"])
    assert recipe.features.use == "plain"
    assert recipe.features_settings.normalization == "global"


def test_settings_beside_use_are_of_the_decoder_used_there(write, toys):
    text = SMALL + '[decoder]\nuse = "kenlm"\nbeam = 5\nhotwords = { beam = 2 }\n'
    recipe = read_recipe(write(text), toys)
    assert (recipe.decoder.use, recipe.decoder.config.beam) == ("kenlm", 5)
    assert recipe.decoder.config.hotwords == {"beam": 2}
    other = read_recipe(write(text), toys, overrides=["decoder.use=beam", "decoder.lm_weight=0"])
    assert (other.decoder.config.beam, other.decoder.config.lm_weight) == (100, 0)
    assert other.decoders["kenlm"].config.beam == 5
    twice = text + "[decoder.kenlm]\nbeam = 6\n"
    (block,) = blocks_of(write(twice), toys)
    assert block.startswith("recipe.toml:14: `beam` is given twice")


# Variables


def test_variables_are_expanded_in_any_text(write, toys, monkeypatch):
    monkeypatch.setenv("TONE_NAME", "small 1")
    text = SMALL + 'note = "${TONE_NAME}/$${TONE_NAME} ${"\n'
    recipe = read_recipe(write(text), toys)
    assert recipe.model.config.note == "small 1/${TONE_NAME} ${"


def test_an_unset_variable_is_told_with_its_line(write, toys, monkeypatch):
    monkeypatch.delenv("TONES", raising=False)
    (block,) = blocks_of(write(FULL), toys, profile="local")
    assert block.split("\n")[:2] == [
        "recipe.toml:65: the environment variable `TONES` is not set",
        '   65 | corpus.train = { use = "tone", path = "${TONES}/train.parquet", limit = 4 }',
    ]


def test_a_table_that_is_replaced_needs_no_variable(write, toys, monkeypatch):
    monkeypatch.setenv("TONES", "/tones")
    monkeypatch.delenv("NOT_HERE", raising=False)
    text = FULL.replace('"train.parquet"', '"${NOT_HERE}/train.parquet"')
    assert read_recipe(write(text), toys, profile="local").train_corpus.config.limit == 4
    assert "`NOT_HERE` is not set" in problems_of(write(text), toys)


def test_of_a_profile_not_asked_for_the_shape_is_checked(write, toys, monkeypatch):
    monkeypatch.delenv("TONES", raising=False)
    text = FULL.replace("limit = 4", 'limit = "${TONES}", limt = 4')
    (block,) = blocks_of(write(text), toys)
    assert "[corpus.train] has no `limt`" in block
    assert "did you mean `limit`?" in block
    assert block.startswith("recipe.toml:65:")


# Mistakes


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("[corpus.train.two]\nlimit = 2\n", "[corpus.train.two] does not say which corpus"),
        ('[corpus.train."a b"]\nuse = "tone"\n', "for example [corpus.train.a_b]"),
        ('[corpus.train."?"]\nuse = "tone"\n', "for example [corpus.train.one]"),
        ('[corpus.train.use]\nuse = "tone"\n', "a corpus cannot be called `use`"),
        ('[corpus.train.One]\nuse = "tone"\n', "`one` and `One` differ in capitals alone"),
        ('[[corpus.train.two]]\nuse = "tone"\n', "every corpus has a name: [corpus.train.NAME]"),
        ('[corpus.train.two]\nuse = "tone"\npth = "x"\n', "[corpus.train.two] has no `pth`"),
        ("[corpus.train.two]\nus = 'tone'\npath = 'x'\n", "did you mean `use`?"),
    ],
)
def test_each_of_several_corpora_is_checked(write, toys, given, told):
    text = SMALL.replace("[corpus.train]", "[corpus.train.one]").replace("[text]", f"{given}[text]")
    assert told in problems_of(write(text), toys)


def test_what_is_of_none_of_several_corpora_is_told_where_it_stands(write, toys):
    (block,) = blocks_of(write(SEVERAL), toys, overrides=["corpus.train.limit=3"])
    assert block.startswith("--set corpus.train.limit=3: [corpus.train] is several corpora, and `l")
    assert "say in which: corpus.train.one.limit" in block
    (block,) = blocks_of(write(SEVERAL), toys, overrides=["corpus.train.one=3"])
    assert block.startswith("--set corpus.train.one=3: [corpus.train] is several corpora, and `one")


def test_a_layer_of_several_is_checked_though_one_is_misspelt(write, toys):
    text = SMALL + several_of(SEVERAL).replace("[corpus", "[profiles.several.corpus")
    text = text.replace('two]\nuse = "tone"', 'two]\nus = "tone"')
    (block,) = blocks_of(write(text), toys, profile="several")
    assert "[corpus.train.two] has no `us`" in block


def test_no_corpus_called_use_takes_the_place_of_others(write, toys):
    for text in (SMALL, SEVERAL):
        changes = ["corpus.train.use.use=tone", "corpus.train.use.path=x"]
        assert "`use`" in problems_of(write(text), toys, overrides=changes)


def test_one_named_corpus_is_one(write, toys):
    named = SMALL.replace("[corpus.train]", "[corpus.train.mine]")
    assert read_recipe(write(named), toys) == read_recipe(write(SMALL), toys)
    more = 'corpus.train.more={use="tone",path="more.parquet"}'
    assert list(paths_of(read_recipe(write(named), toys, overrides=[more]))) == ["mine", "more"]


def test_one_corpus_and_another_in_it_are_told_apart(write, toys):
    text = SMALL.replace("[text]", '[corpus.train.two]\nuse = "tone"\npath = "x"\n[text]')
    (block,) = blocks_of(write(text), toys)
    assert "[corpus.train] is a corpus itself, and `two` in it another" in block
    assert "give each a name: [corpus.train.NAME]" in block
    (block,) = blocks_of(write(SMALL.replace("[corpus.train]", "[[corpus.train]]")), toys)
    assert "not a table" in block
    assert "give each a name: [corpus.train.NAME]" in block


MISTAKES = """\
[recipe]
name = "a/b"
[corpus]
train.use = "tone"
train.splits = ["a", 3]
[corpus.test]
use = "tone"
[textt]
alphabet = "abc"
[features]
use = "spectogram"
normalization = "globl"
[[augment]]
probability = 0.5
[[augment]]
use = "noise"
snr_db = [3]
probability = 1.5
[model]
use = "linear"
rnn_layer = 5
rnn_units = "768"
dropout = inf
activation = "relo"
optimizer = { nam = "adam" }
width = "x"
normalisation = "none"
[train]
epochs = true
batch_second = 3
min_seconds = 1979-05-27
[decoder]
use = "bean"
[decoder.kenln]
[decoder.beam]
beam = 0.5
[profiles.p]
features = { window = 3 }
modle.dropout = 0
[profiles.q]
features = { use = "spectrogram", window = 3, band_hertz = [5, 4] }
lm = 3
"""


def test_every_mistake_is_told_at_its_line(write, toys):
    blocks = blocks_of(write(MISTAKES), toys)
    told = [(block.split("\n")[0], block.partition(" hint | ")[2]) for block in blocks]
    expected = [
        ("2: recipe.name: should match pattern", ""),
        ("4: [corpus.train] lacks `path`, which `tone` needs", "path: where it is"),
        ("5: corpus.train.splits[1]: should be a valid string, not 3", ""),
        ('7: `corpus.test.use` is "tone", not a table', "every test has a name"),
        ("8: a recipe has no `textt`", "did you mean `text`?"),
        (
            "11: [features] no plugin offers the features `spectogram`",
            "did you mean `spectrogram`?",
        ),
        (
            "12: features.normalization: should be 'utterance', 'global' or 'none', not \"globl\"",
            "did you mean `global`?",
        ),
        ("13: [augment[0]] does not say which augmentation: `use`", "known: noise"),
        ("17: augment[1].snr_db: has too few items: [3]", ""),
        ("18: augment[1].probability: should be less than or equal to 1, not 1.5", ""),
        ("21: [model] has no `rnn_layer`", "did you mean `rnn_layers`?"),
        ('22: model.rnn_units: should be a valid integer, not "768"', ""),
        ("23: model.dropout: should be a finite number, not inf", ""),
        (
            "24: model.activation: should be 'relu' or 'swish', not \"relo\"",
            "did you mean `relu`?",
        ),
        ("25: [model.optimizer] has no `nam`", "did you mean `name`?"),
        (
            '26: model.width: should be a valid integer or should be a list, not "x"',
            "",
        ),
        ("27: [model] has no `normalisation`", "did you mean `activation`?"),
        ("29: train.epochs: should be a valid integer, not true", ""),
        ("30: [train] has no `batch_second`", "did you mean `batch_seconds`?"),
        ("31: 1979-05-27 is a date or a time", "write it in quotes"),
        ("33: [decoder] no plugin offers the decoder `bean`", "did you mean `beam`?"),
        (
            "34: [decoder.kenln] no plugin offers the decoder `kenln`",
            "did you mean `kenlm`?",
        ),
        ("36: decoder.beam.beam: should be a valid integer, not 0.5", ""),
        ("39: a recipe has no `modle`", "did you mean `model`?"),
        ("41: features.window: must be even, not 3; take 4", ""),
        ("42: `lm` is 3, not a table", "write [lm]"),
    ]
    for (first, hint), (line, near) in zip(told, expected, strict=True):
        assert first.startswith(f"recipe.toml:{line}")
        assert hint.startswith(near)
        assert bool(near) == bool(hint)
    source = MISTAKES.split("\n")
    for block in blocks:
        number = int(block.split(":")[1])
        assert block.split("\n")[1] == f"{number:5} | {source[number - 1]}"


def test_a_check_of_several_settings_is_told_at_the_table(write, toys):
    text = SMALL.replace('"plain"', '"spectrogram"\nband_hertz = [5, 4]')
    (block,) = blocks_of(write(text), toys)
    assert block.startswith("recipe.toml:8: features: band_hertz ends before it begins\n")


@pytest.mark.parametrize("table", ["recipe", "text", "features", "model"])
def test_missing_table(write, toys, table):
    text = re.sub(rf"\[{table}\]\n(\w.*\n)+", "", SMALL)
    (block,) = blocks_of(write(text), toys)
    assert block.startswith(f"recipe.toml:1: there is no table [{table}]\n")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a = \n", "recipe.toml:1: not TOML: Invalid value"),
        ('[recipe]\nname = "x\n', "recipe.toml:2: not TOML: "),
        ("[recipe]\na = 1\na = 2\n", "recipe.toml:3: not TOML: "),
        ("[recipe]\na = [1,\n", "recipe.toml:3: not TOML: "),
        ("use = greedy", "text stands in quotes"),
    ],
)
def test_what_is_not_toml_is_told_with_its_line(write, toys, text, told):
    assert told in problems_of(write(text), toys)


def test_what_is_no_readable_file_is_told(tmp_path, toys):
    assert "no such file" in problems_of(tmp_path / "none.toml", toys)
    assert "cannot be read: Is a directory" in problems_of(tmp_path, toys)
    file = tmp_path / "latin.toml"
    file.write_bytes('[recipe]\nname = "é"\n'.encode("latin-1"))
    assert f"{file}:2: not UTF-8: byte 0xe9" in problems_of(file, toys)


def test_windows_line_ends_and_byte_order_mark(tmp_path, toys):
    file = tmp_path / "recipe.toml"
    file.write_bytes(b"\xef\xbb\xbf" + SMALL.replace("\n", "\r\n").encode())
    assert read_recipe(file, toys).settings.name == "small"
    file.write_bytes(SMALL.replace("use", "usee").replace("\n", "\r\n").encode())
    assert "recipe.toml:4: [corpus.train] has no `usee`\n    4 | usee" in problems_of(file, toys)


@pytest.mark.parametrize(
    ("override", "message", "hint"),
    [
        ("decoder.usee=kenlm", "[decoder] has no `usee`", "did you mean `use`?"),
        ("decoder.use=kenln", "no plugin offers the decoder `kenln`", "did you mean `kenlm`?"),
        ("decoder.kenlm.bean=3", "[decoder.kenlm] has no `bean`", "did you mean `beam`?"),
        ("decoder.bean=3", "[decoder.greedy] has no `bean`", ""),
        ("train.epoch=3", "[train] has no `epoch`", "did you mean `epochs`?"),
        ("train.epochs=many", 'train.epochs: should be a valid integer, not "many"', ""),
        ("modl.use=other", "a recipe has no `modl`", "did you mean `model`?"),
        ("train.epochs", "is not KEY=VALUE", "write --set train.epochs=10"),
        ("train epochs=3", "`train epochs` is not a key", ""),
        ("=3", "`` is not a key", ""),
        ("recipe.name=${NOT_HERE}", "the environment variable `NOT_HERE` is not set", ""),
        ("profiles.local.x=3", "a profile is given in the recipe's file", ""),
        ("augment.7.probability=1", "`augment` is {", ""),
    ],
)
def test_a_mistake_in_set_is_told_as_such(write, toys, override, message, hint):
    block = next(each for each in blocks_of(write(FULL), toys, overrides=[override]))
    first, _, said = block.partition("\n hint | ")
    assert first.startswith(f"--set {override}: ")
    assert message in first
    assert hint in said


def test_an_unknown_profile_has_near_names(write, toys):
    (block,) = blocks_of(write(FULL), toys, profile="locl")
    assert block == "--profile locl: there is no profile `locl`\n hint | did you mean `local`?"
    (block,) = blocks_of(write(SMALL), toys, profile="locl")
    assert "the recipe has no profiles" in block


def test_a_part_left_out_for_a_profile_to_give_is_missing_only_without_it(write, toys):
    text = SMALL.replace('path = "train.parquet"', "")
    text += '[profiles.here]\ncorpus.train.path = "x"\n[profiles.there]\ntrain.epochs = 3\n'
    (block,) = blocks_of(write(text), toys)
    assert block.startswith("recipe.toml:3: [corpus.train] lacks `path`, which `tone` needs\n")
    (other,) = blocks_of(write(text), toys, profile="here")
    assert other == block.replace("needs", "needs (with profile `there`)")
    assert read_recipe(write(text), toys, overrides=["corpus.train.path=x"]).train_corpus


def test_a_mistake_in_what_a_profile_replaces_is_told_all_the_same(write, toys, monkeypatch):
    monkeypatch.setenv("TONES", "/tones")
    text = FULL.replace("splits = [", "split = [").partition("[profiles.other]")[0]
    (block,) = blocks_of(write(text), toys, profile="local")
    assert block.startswith("recipe.toml:9: [corpus.train] has no `split`")


def test_what_a_profile_leaves_out_of_a_table_it_replaces_is_told_there(write, toys):
    text = SMALL + '[profiles.here]\ncorpus.train = { use = "tone" }\n'
    (block,) = blocks_of(write(text), toys)
    assert block.startswith("recipe.toml:13: [corpus.train] lacks `path`, which `tone` needs\n")


def test_a_required_key_that_is_misspelt_is_told_once(write, toys):
    (block,) = blocks_of(write(SMALL.replace("path", "pth")), toys)
    assert block.startswith("recipe.toml:5: [corpus.train] has no `pth`")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[augment]\nuse = 'noise'\n", "every augmentation is written [[augment]]"),
        ("[[units]]\n", "`units` is [{}], not a table"),
        ("profiles = 3\n", "`profiles` is 3, not a table"),
        ("[profiles]\ntrain = 3\n", "a profile has a name: [profiles.NAME]"),
        ("[profiles.a.profiles.b]\n", "not in a profile or with --set"),
        ("[decoder]\nuse = 3\n", "decoder.use: should be a text, not 3"),
        ("[corpus.test.'a/b']\nuse = 'tone'\npath = 'x'\n", "a test's name is letters"),
        ("[train]\ndecoder = 'bean'\n", "train.decoder: no plugin offers the decoder `bean`"),
    ],
)
def test_tables_of_the_wrong_kind(write, toys, text, told):
    text = text + SMALL if text.startswith("profiles") else SMALL + text
    (block,) = blocks_of(write(text), toys)
    assert told in block


def test_a_plugin_that_did_not_load_is_mentioned(write, no_entry_points, tmp_path):
    toy = Path(__file__).parent / "toy_plugin.py"
    broken = tmp_path / "broken.py"
    broken.write_text("import not_installed\n")
    plugins = load_plugins([toy, broken], lenient=True)
    (block,) = blocks_of(write(SMALL.replace("linear", "conformer")), plugins)
    assert "no plugin offers the model `conformer`; the plugin `broken`" in block
    assert "No module named 'not_installed'" in block


def test_a_default_that_a_file_offers_too_can_be_told_apart(tmp_path):
    file = tmp_path / "own.py"
    file.write_text(
        "from speechkit import Component, Config, hookimpl\n"
        "@hookimpl\n"
        "def speechkit_decoders(): return [Component('greedy', Config, object)]\n"
    )
    plugins = load_plugins([file])
    recipe = Path(__file__).parents[2] / "recipes" / "quickstart.toml"
    told = problems_of(recipe, plugins)
    assert "[decoder] the decoder `greedy` is offered by" in told
    assert '`train.decoder = "speechkit:greedy"`' in told
    chosen = ["decoder.use=speechkit:greedy", f"train.decoder={file}:greedy"]
    read = read_recipe(recipe, plugins, overrides=chosen)
    assert read.decoder.distribution == "speechkit"
    assert read.validation_decoder.distribution == str(file)


def test_a_component_two_plugins_offer_needs_its_owner(write, no_entry_points, tmp_path):
    toy = Path(__file__).parent / "toy_plugin.py"
    twin = tmp_path / "twin.py"
    twin.write_text(toy.read_text())
    one, two = tmp_path / "one.py", toy
    one.write_text(
        "from speechkit import Component, Config, hookimpl\n"
        "@hookimpl\n"
        "def speechkit_models(): return [Component('linear', Config, object)]\n"
        "@hookimpl\n"
        "def speechkit_decoders(): return [Component('beam', Config, object)]\n"
    )
    plugins = load_plugins([one, two])
    (block,) = blocks_of(write(SMALL), plugins)
    assert "the model `linear` is offered by" in block
    assert f'`use = "{two}:linear"`' in block
    text = SMALL.replace('"linear"', '"toy_plugin:linear"')
    text += '[decoder]\nuse = "toy_plugin:beam"\n[decoder.beam]\nbeam = 3\n'
    recipe = read_recipe(write(text), plugins)
    assert recipe.model.config.rnn_layers == 5
    assert recipe.decoder.config.beam == 3
    assert read_recipe(write(recipe.to_toml()), plugins) == recipe


def test_a_plugin_whose_check_raises_is_told(write, no_entry_points, tmp_path):
    bad = tmp_path / "bad.py"
    bad.write_text(
        "from pydantic import field_validator\n"
        "from speechkit import Component, Config, hookimpl\n"
        "class C(Config):\n"
        "    x: int = 1\n"
        "    @field_validator('x')\n"
        "    @classmethod\n"
        "    def check(cls, x): raise KeyError('oops')\n"
        "@hookimpl\n"
        "def speechkit_units(): return [Component('pieces', C, object)]\n"
    )
    plugins = load_plugins([Path(__file__).parent / "toy_plugin.py", bad])
    (block,) = blocks_of(write(SMALL + "[units]\nuse = 'pieces'\nx = 2\n"), plugins)
    assert "[units] could not be checked: KeyError: 'oops'" in block


def test_thirty_problems_in_three_hundred_lines_take_no_time(write, toys):
    text = FULL + "".join(
        f'[corpus.test.t{number}]\nuse = "tone"\n\n# a comment\npath = "x"\nlimt = 1\n\n'
        for number in range(30)
    )
    file = write(text)
    begin = time.process_time()
    blocks = blocks_of(file, toys)
    taken = time.process_time() - begin
    assert len(blocks) == 30
    assert text.count("\n") > 270
    assert taken < 0.5, taken


# Every key of every recipe, misspelt


def keys_of(text: str) -> list[tuple[int, int, str]]:
    """The keys a recipe spells out that have a right name: (line from 0, column, key)."""
    found: list[tuple[int, int, str]] = []
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.split("\n")):
        bare = re.sub(r'"[^"]*"', lambda quoted: "_" * len(quoted[0]), line).split("#")[0]
        if header := re.match(r"\s*\[+([^\]]+)\]", bare):
            words = list(re.finditer(r"[\w-]+", header[1]))
            table = tuple(word[0] for word in words)
            places = [(header.start(1) + word.start(), word[0]) for word in words]
            paths = [table[:depth] for depth in range(len(table))]
        else:
            dotted = list(re.finditer(r"(?<![\w.-])([\w-]+(?:\s*\.\s*[\w-]+)*)\s*=", bare))
            places, paths, outer = [], [], table
            for index, key in enumerate(dotted):
                words = list(re.finditer(r"[\w-]+", key[1]))
                names = tuple(word[0] for word in words)
                places += [(key.start() + word.start(), word[0]) for word in words]
                paths += [outer + names[:depth] for depth in range(len(names))]
                if index == 0:
                    outer = table + names  # the rest are keys of its inline table
        for (column, key), path in zip(places, paths, strict=True):
            inner = path[2:] if path[:1] == ("profiles",) else path
            is_free = path == ("profiles",) or inner in {("corpus", "test"), ("text", "replace")}
            if not is_free:
                found.append((number, column, key))
    return found


def typos_of(key: str) -> list[str]:
    middle = len(key) // 2
    swapped = key[: middle - 1] + key[middle] + key[middle - 1] + key[middle + 1 :]
    typos = [key + key[-1], key[:middle] + "x" + key[middle + 1 :], swapped]
    typos += [key[:middle] + key[middle + 1 :]] if len(key) > 2 else []
    return [typo for typo in typos if typo != key]


def check_every_typo(file: Path, copy: Path, plugins: Plugins) -> None:
    text = file.read_text(encoding="utf-8")
    lines = text.split("\n")
    copy.write_text(text, encoding="utf-8")
    read_recipe(copy, plugins)  # it is right before anything is wrong with it
    keys = keys_of(text)
    assert len(keys) > 10
    for number, column, key in keys:
        for typo in typos_of(key):
            line = lines[number]
            wrong = line[:column] + typo + line[column + len(key) :]
            copy.write_text("\n".join([*lines[:number], wrong, *lines[number + 1 :]]), "utf-8")
            told = problems_of(copy, plugins)
            where = f"{copy}:{number + 1}: "
            blocks = [block for block in told.split("\n\n") if block.startswith(where)]
            right = [block for block in blocks if f"`{typo}`" in block.split("\n")[0]]
            assert right, f"{wrong!r} is not told:\n{told}"
            assert any(f"`{key}`" in block.partition(" hint | ")[2] for block in right), right


def test_every_misspelt_key_is_told_with_its_right_name(write, toys, tmp_path, monkeypatch):
    monkeypatch.setenv("TONES", "/tones")
    check_every_typo(write(FULL), tmp_path / "copy.toml", toys)


@pytest.mark.parametrize("file", SHIPPED, ids=[file.stem for file in SHIPPED])
def test_every_misspelt_key_of_a_shipped_recipe_is_told(file, tmp_path, monkeypatch):
    monkeypatch.setenv("SPEECHKIT_DATA", str(tmp_path))
    check_every_typo(file, tmp_path / "copy.toml", load_plugins())


@pytest.mark.parametrize("file", SHIPPED, ids=[file.stem for file in SHIPPED])
def test_shipped_recipes_are_right_in_every_profile(file, monkeypatch):
    monkeypatch.setenv("SPEECHKIT_DATA", "/data")
    plugins = load_plugins()
    for profile in (None, *read_recipe(file, plugins).profiles):
        recipe = read_recipe(file, plugins, profile=profile)
        assert recipe.settings.name


# Finding recipes


def test_find_recipe(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text(SMALL)
    assert find_recipe("mine.toml") == Path("mine.toml")
    for file in SHIPPED:
        assert find_recipe(file.stem).read_bytes() == file.read_bytes()
        with pytest.raises(RecipeError, match="no such file") as caught:
            find_recipe(f"recipes/{file.name}")
        assert f"a recipe `{file.stem}`" in caught.value.hint
        with pytest.raises(RecipeError) as caught:
            find_recipe(f"{file.stem}x")
        assert f"did you mean `{file.stem}`?" in caught.value.hint
    with pytest.raises(RecipeError) as caught:
        find_recipe("mime.toml")
    assert caught.value.hint == "did you mean `mine.toml`?"
    with pytest.raises(RecipeError, match="not a file"):
        find_recipe(str(tmp_path))


@pytest.mark.parametrize("given", [{}, {"num_features": 40}])
def test_a_part_that_does_not_take_what_it_is_given_is_told_with_its_owner(given):
    choice = Choice("model", "odd", Component("odd", Config, lambda: 1), Config(), "odd-dist", "1")
    with pytest.raises(PluginError, match="the model `odd` of odd-dist cannot be built") as told:
        choice.build(**given)
    assert told.value.hint == "a defect of odd-dist: it is given (config" + (
        ", num_features=...)" if given else ")"
    )


def test_a_type_error_within_a_part_is_as_it_was():
    def build(config):
        return len(3)

    choice = Choice("model", "odd", Component("odd", Config, build), Config(), "odd-dist", "1")
    with pytest.raises(TypeError, match="has no len"):
        choice.build()
