"""Checks the tables of a recipe, and makes the record of it."""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from speechkit.component import Config
from speechkit.discovery import ENGINE_SETTINGS, Offer, Plugins
from speechkit.errors import PluginError
from speechkit.locate import KeyPath
from speechkit.near import near, near_names
from speechkit.recipe.layers import Node, names_component
from speechkit.recipe.problems import (
    Problem,
    dotted,
    is_misspelt,
    not_a_table,
    strangers,
    validated,
)
from speechkit.recipe.record import Choice, Corpus, Recipe, Several
from speechkit.settings import (
    STANDARD,
    DataSettings,
    FeaturesSettings,
    LanguageModelSettings,
    ModelSettings,
    RecipeSettings,
    ScoreSettings,
    TextSettings,
    TrainSettings,
    TuneSettings,
)

C = TypeVar("C", bound=Config)

TABLES = (
    "recipe",
    "corpus",
    "data",
    "text",
    "features",
    "augment",
    "units",
    "model",
    "train",
    "lm",
    "tune",
    "decoder",
    "score",
)
CORPORA = ("train", "validation", "test")
KINDS_OF_TABLES = {
    "features": "features",
    "units": "units",
    "model": "model",
    "lm": "language_model",
}
DEFAULT_UNITS = "characters"
DEFAULT_DECODER = "greedy"

_PLAIN = re.compile(r"[^A-Za-z0-9_.-]+")
_CORPUS_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


def engine_keys(path: KeyPath) -> frozenset[str] | None:
    """The keys of a table that are not its component's; None for a table that names none."""
    match path:
        case ("features" | "units" | "model" | "lm" as table,):
            settings = ENGINE_SETTINGS.get(KINDS_OF_TABLES[table])
            return frozenset(settings.model_fields) if settings else frozenset()
        case ("corpus", "train" | "validation") | ("corpus", _, _) | ("augment", int()):
            return frozenset()
    return None


@dataclass(frozen=True)
class Checking:
    """One check of a recipe's tables; `tell` is given each problem."""

    plugins: Plugins
    folder: Path
    tell: Callable[[Problem], None]

    def recipe(self, root: Node) -> Recipe | None:
        """The record of the recipe in `root`; None where something is wrong with it."""
        told: list[Problem] = []
        inner = replace(self, tell=told.append)
        parts = inner._parts(root)
        for problem in told:
            self.tell(problem)
        return None if told or parts is None else parts

    def _parts(self, root: Node) -> Recipe | None:
        # What is of profiles has been taken out where it belongs.
        misplaced = {
            "profiles": "a profile is given in the recipe's file, not in a profile or with --set",
            "inherits": "only a profile inherits, in the recipe's file: [profiles.NAME]",
        }
        keys = [key for key in root.table if key not in misplaced]
        for problem in strangers(root, (), TABLES, keys, also_near=misplaced):
            self.tell(problem)
        for key in root.table.keys() & misplaced:
            self.tell(Problem(root.table[key].place, misplaced[key]))
        settings = self._settings(RecipeSettings, "recipe", root, is_required=True)
        data = self._settings(DataSettings, "data", root)
        text, text_rules = self._text(root)
        train = self._settings(TrainSettings, "train", root)
        tune = self._settings(TuneSettings, "tune", root)
        score, score_protocol = self._score(root)
        train_corpus, validation_corpus, test_corpora = self._corpora(root)
        features, features_settings = self._part("features", root, FeaturesSettings)
        augment = self._augment(root)
        units, _ = self._part("units", root, None, default=DEFAULT_UNITS)
        model, model_settings = self._part("model", root, ModelSettings)
        has_lm = "lm" in root.table
        lm, lm_settings = (
            self._part("lm", root, LanguageModelSettings)
            if has_lm
            else (None, LanguageModelSettings())
        )
        decoder, decoders = self._decoders(root)
        validation_decoder = None
        if train and (train_corpus or "decoder" in train.model_fields_set):
            validation_decoder = self._validation_decoder(root, train.decoder, decoders)
        if train and train.streaming:
            self._stream(root, train_corpus, model)
            if lm and lm_settings and decoder:
                self._lm_of_a_stream(root, lm_settings, decoder)
        self._purpose(root, is_trained=model is not None and model.config.is_trained)
        if not (settings and data and text and train and features and features_settings and units):
            return None
        if not (units and model and model_settings and lm_settings and decoder and tune and score):
            return None
        return Recipe(
            settings=settings,
            data=data,
            text=text,
            text_rules=text_rules,
            train_corpus=train_corpus,
            validation_corpus=validation_corpus,
            test_corpora=test_corpora,
            features=features,
            features_settings=features_settings,
            augment=augment,
            units=units,
            model=model,
            model_settings=model_settings,
            train=train,
            tune=tune,
            score=score,
            score_protocol=score_protocol,
            lm=lm,
            lm_settings=lm_settings,
            decoder=decoder,
            decoders=decoders,
            validation_decoder=validation_decoder,
        )

    def _purpose(self, root: Node, *, is_trained: bool) -> None:
        """A recipe trains, or has a trained model to score."""
        corpus = root.table.get("corpus", Node({}, root.place))
        known = set(CORPORA)
        if "train" in corpus.table or is_misspelt("train", corpus, known):
            return
        model = root.table.get("model", Node({}, root.place))
        engine = ENGINE_SETTINGS["model"].model_fields
        starts = "start_from" in model.table or is_misspelt("start_from", model, engine)
        if not (starts or is_trained):
            message = "neither a [corpus.train] to train on nor a trained model"
            hint = "add [corpus.train], or start_from = RUN to [model]"
            self.tell(Problem(corpus.place, message, hint, is_gap=True))
        elif not corpus.table.get("test", corpus).table:
            message = "nothing to do: neither a [corpus.train] to train on nor a [corpus.test.NAME]"
            self.tell(Problem(corpus.place, message, is_gap=True))

    def _lm_of_a_stream(self, root: Node, settings: LanguageModelSettings, decoder: Choice) -> None:
        """Transcripts for a language model would have to be read beforehand, all of them."""
        if settings.train_text and "language_model" in decoder.component.uses:
            node, _ = root.at(("lm", "train_text"))
            message = (
                "lm.train_text = true needs all transcripts, and train.streaming prepares none"
            )
            hint = "write train_text = false in [lm], and give text files: text = [...]"
            self.tell(Problem(node.place, message, hint))

    def _stream(self, root: Node, train: Corpus | None, model: Choice | None) -> None:
        """A stream is of one corpus, of which nobody knows beforehand what is said in it."""
        if isinstance(train, Several):
            node, _ = root.at(("corpus", "train"))
            message = f"train.streaming = true is of one corpus, and there are {len(train.parts)}"
            hint = "leave the others out, or take streaming out of [train]"
            self.tell(Problem(node.place, message, hint))
        if model and getattr(model.config, "mmi", None):
            from speechkit.ctc_model import CTCConfig  # noqa: PLC0415 - it imports torch

            if isinstance(model.config, CTCConfig):
                node, _ = root.at(("model", "mmi"))
                message = "model.mmi needs all transcripts, and train.streaming prepares none"
                hint = "take mmi out of [model], or streaming out of [train]"
                self.tell(Problem(node.place, message, hint))

    def _settings(
        self, config: type[C], name: str, root: Node, *, is_required: bool = False
    ) -> C | None:
        """The settings in a table of the engine's own."""
        node = self._given(name, root, is_required=is_required)
        return None if node is None else self._validated(config, node, (name,))

    def _given(self, name: str, root: Node, *, is_required: bool) -> Node | None:
        """The table `name`, an empty one where it is left out and may be."""
        if name in root.table:
            return self._table(root.table[name], (name,))
        if not is_required:
            return Node({}, root.place)
        if not is_misspelt(name, root, TABLES):
            self.tell(Problem(root.place, f"there is no table [{name}]", is_gap=True))
        return None

    def _part(
        self, name: str, root: Node, engine: type[C] | None, *, default: str = ""
    ) -> tuple[Choice | None, C | None]:
        """The component a table names, and the engine's settings in that table."""
        node = self._given(name, root, is_required=not default)
        if node is None:
            return None, None
        keys = engine_keys((name,)) or frozenset()
        own = Node({key: each for key, each in node.table.items() if key in keys}, node.place)
        settings = self._validated(engine, own, (name,)) if engine else None
        return self._choice(KINDS_OF_TABLES[name], node, (name,), default=default), settings

    def _text(self, root: Node) -> tuple[TextSettings | None, tuple[Choice, ...]]:
        """The settings in [text], and the rules of plugins that it names."""
        node = self._given("text", root, is_required=True)
        if node is None:
            return None, ()
        own = {key: each for key, each in node.table.items() if key != "rules"}
        settings = self._validated(
            TextSettings, replace(node, value=own), ("text",), also_known={"rules"}
        )
        named = node.table.get("rules", Node([], node.place))
        if not isinstance(named.value, list):
            message = f"text.rules: should be a list, not {named.shown()}"
            self.tell(Problem(named.place, message, 'write rules = ["NAME"]'))
            return settings, ()
        choices = []
        for place, each in enumerate(named.value):
            is_name = isinstance(each.value, str)
            table = Node({"use": each}, each.place) if is_name else each
            choices.append(self._choice("text_rule", table, ("text", "rules", place)))
        return settings, tuple(each for each in choices if each)

    def _score(self, root: Node) -> tuple[ScoreSettings | None, Choice | None]:
        """The settings in [score], and the protocol it names where that is a plugin's."""
        node = self._given("score", root, is_required=False)
        if node is None:
            return None, None
        named = node.table.get("protocol", Node(STANDARD, node.place))
        if named.value == STANDARD or not isinstance(named.value, str):
            return self._validated(ScoreSettings, node, ("score",)), None
        try:
            offer = self.plugins.find("score_protocol", named.value)
        except PluginError as error:
            known = [each.component.name for each in self.plugins.offers("score_protocol")]
            hint = near(named.value, [STANDARD, *known])
            if not named.is_unset:
                self.tell(Problem(named.place, f"score.protocol: {error}", hint))
            return None, None
        own = {key: each for key, each in node.table.items() if key != "protocol"}
        chosen = self._chosen(
            offer, named.value, replace(node, value=own), ("score",), also_known={"protocol"}
        )
        return (ScoreSettings(protocol=named.value) if chosen else None), chosen

    def _corpora(self, root: Node) -> tuple[Corpus | None, Corpus | None, dict[str, Choice]]:
        corpus = self._given("corpus", root, is_required=False)
        if corpus is None:
            return None, None, {}
        for problem in strangers(corpus, ("corpus",), CORPORA):
            self.tell(problem)
        train, validation = (
            self._corpus(corpus.table[name], ("corpus", name)) if name in corpus.table else None
            for name in ("train", "validation")
        )
        tests: dict[str, Choice] = {}
        node = corpus.table.get("test")
        if node and self._table(node, ("corpus", "test"), hint="write [corpus.test.NAME]"):
            for name in node.table:
                if name.lower() not in {"train", "validation"}:
                    continue
                message = f"a test cannot be called `{name}`, as another part of a recipe is"
                self.tell(Problem(node.table[name].place, message, "give it a name of its own"))
            tests = self._named_corpora(node, ("corpus", "test"), what="test")
        return train, validation, tests

    def _corpus(self, node: Node, path: KeyPath) -> Corpus | None:
        """One corpus, or several in tables of their own: [corpus.train.NAME]."""
        hint = f"give each a name: [{dotted(path)}.NAME]"
        if isinstance(node.value, list):
            self._table(node, path, hint=hint)
            return None
        tables = {name: each for name, each in node.table.items() if _is_table(each)}
        if tables and len(tables) == len(node.table):
            parts = self._named_corpora(node, path, what="corpus")
            if len(parts) < len(tables):
                return None
            return Several(parts) if len(parts) > 1 else next(iter(parts.values()))
        named = [name for name, each in tables.items() if names_component(each)]
        if not named:
            return self._choice("corpus", node, path)
        if any(_means_use(key, node, {"use"}) for key in node.table):
            message = f"[{dotted(path)}] is a corpus itself, and `{named[0]}` in it another"
            self.tell(Problem(tables[named[0]].place, message, hint))
            return None
        for key in node.table.keys() - tables.keys():
            message = f"[{dotted(path)}] is several corpora, and `{key}` is in none of them"
            hint = f"say in which: {dotted((*path, named[0], key))}"
            self.tell(Problem(node.table[key].place, message, hint))
        return None

    def _named_corpora(self, node: Node, path: KeyPath, *, what: str) -> dict[str, Choice]:
        """The corpora in tables of their own, by name."""
        found = {}
        others: dict[str, str] = {}
        for name, each in node.table.items():
            other = others.setdefault(name.lower(), name)
            if other != name:
                message = f"`{other}` and `{name}` differ in capitals alone"
                hint = "many disks keep their files in one place: give them names of their own"
                self.tell(Problem(each.place, message, hint))
                continue
            if what == "corpus" and name == "use":
                self.tell(Problem(each.place, "a corpus cannot be called `use`"))
                continue
            if not _CORPUS_NAME.fullmatch(name):
                message = f"a {what}'s name is letters, digits, `_`, `.` and `-`, not `{name}`"
                hint = f"for example [{dotted(path)}.{_PLAIN.sub('_', name).strip('_') or 'one'}]"
                self.tell(Problem(each.place, message, hint))
                continue
            hint = f"every {what} has a name: [{dotted(path)}.NAME]"
            if self._table(each, (*path, name), hint=hint) and (
                choice := self._choice("corpus", each, (*path, name))
            ):
                found[name] = choice
        return found

    def _augment(self, root: Node) -> tuple[Choice, ...]:
        node = root.table.get("augment")
        if node is None:
            return ()
        if not isinstance(node.value, list):
            message = f"`augment` is {node.shown()}, not a list of tables"
            self.tell(Problem(node.place, message, "every augmentation is written [[augment]]"))
            return ()
        choices = [
            self._choice("augmentation", each, ("augment", place))
            for place, each in enumerate(node.value)
        ]
        return tuple(each for each in choices if each)

    def _choice(self, kind: str, node: Node, path: KeyPath, *, default: str = "") -> Choice | None:
        """The component the table `node` names with `use`, and its settings."""
        if self._table(node, path) is None:
            return None
        known = {"use", *(engine_keys(path) or ())}
        use, offer = self._use(kind, node, path, known, default)
        if offer is None:
            return None
        # What was taken for `use` though it is not spelt so stays: it is told as a stranger.
        own = {key: each for key, each in node.table.items() if key not in known}
        return self._chosen(offer, use, replace(node, value=own), path, also_known=known)

    def _use(
        self, kind: str, node: Node, path: KeyPath, known: Collection[str], default: str
    ) -> tuple[str, Offer | None]:
        """What the table `node` says to use, and the offer of it if there is one."""
        key = next((key for key in ("use", *node.table) if _means_use(key, node, known)), None)
        if key is None and not default:
            names = [each.component.name for each in self.plugins.offers(kind)]
            message = f"[{dotted(path)}] does not say which {_words(kind)}: `use`"
            self.tell(Problem(node.place, message, near("", names), is_gap=True))
            return "", None
        named = node.table[key] if key else Node(default, node.place)
        if not isinstance(named.value, str):
            message = f"{dotted((*path, 'use'))}: should be a text, not {named.shown()}"
            self.tell(Problem(named.place, message))
            return "", None
        try:
            return named.value, self.plugins.find(kind, named.value)
        except PluginError as error:
            if key not in {"use", None}:
                for problem in strangers(node, path, known, [str(key)]):
                    self.tell(problem)
            elif not named.is_unset:
                told = f"[{dotted(path)}] {error}"  # of a default another layer may say which
                self.tell(Problem(named.place, told, error.hint, is_gap=key is None))
            return named.value, None

    def _chosen(
        self, offer: Offer, use: str, node: Node, path: KeyPath, *, also_known: Collection[str] = ()
    ) -> Choice | None:
        component = offer.component
        who = f"`{component.name}`"
        config = self._validated(component.config, node, path, who=who, also_known=also_known)
        if config is None:
            return None
        return Choice(offer.kind, use, component, config, offer.distribution, offer.version)

    def _decoders(self, root: Node) -> tuple[Choice | None, dict[str, Choice]]:
        """The decoder used, and all whose settings are given; `apart` has put each in its table."""
        node = self._given("decoder", root, is_required=False)
        if node is None:
            return None, {}
        path: KeyPath = ("decoder",)
        use, used = self._use("decoder", node, path, {"use"}, DEFAULT_DECODER)
        chosen: dict[str, Choice | None] = {}
        for name, settings in node.table.items():
            if (name == use and used is None) or name == "use":
                continue  # told already
            if not isinstance(settings.value, dict):
                known = {"use", *self._decoder_names()}
                for problem in strangers(node, path, known, [name]):
                    self.tell(problem)
                continue
            try:
                offer = self.plugins.find("decoder", name)
            except PluginError as error:
                hint = near(name, {"use", *self._decoder_names(), *_settings_of(used)})
                self.tell(Problem(settings.place, f"[decoder.{name}] {error}", hint))
            else:
                chosen[name] = self._chosen(
                    offer, name, settings, (*path, name), also_known={"use"}
                )
        if used and use not in chosen:
            chosen[use] = self._chosen(used, use, Node({}, node.place), (*path, use))
        return chosen.get(use), {name: each for name, each in chosen.items() if each}

    def _validation_decoder(
        self, root: Node, use: str, decoders: Mapping[str, Choice]
    ) -> Choice | None:
        """What [train] decodes its validations with: its settings are those in [decoder.NAME]."""
        if use in decoders:
            return decoders[use]
        node, found = root.at(("train", "decoder"))
        try:
            offer = self.plugins.find("decoder", use)
        except PluginError as error:
            hint = error.hint.replace("`use = ", "`train.decoder = ")
            is_gap = found != ("train", "decoder")  # another layer may say which
            self.tell(Problem(node.place, f"train.decoder: {error}", hint, is_gap=is_gap))
            return None
        if use in root.table.get("decoder", Node({}, root.place)).table:
            return None  # its settings are wrong, and that is told
        return self._chosen(offer, use, Node({}, node.place), ("decoder", use))

    def apart(self, layer: Node, used: str) -> Node:
        """A layer with every setting beside [decoder]'s `use` moved into its decoder's own table.

        used  the decoder where the layer does not name one: that of the layers below
        """
        node = layer.table.get("decoder", Node({}, layer.place))
        names = self._decoder_names()
        key = next((key for key in ("use", *node.table) if _means_use(key, node, {"use"})), None)
        used = str(node.table[key].value) if key else used
        try:
            fields = _settings_of(self.plugins.find("decoder", used))
        except PluginError:
            fields = frozenset()
        table: dict[str, Node] = {}
        loose: dict[str, Node] = {}
        for name, each in node.table.items():
            is_setting = not isinstance(each.value, dict) or (name in fields and name not in names)
            (loose if is_setting and name != key else table)[name] = each
        plain = used.rpartition(":")[2]
        if plain != used and plain in table:  # [decoder.NAME] means the one used, whoever offers it
            table[used] = table.pop(plain)
        if loose:
            own = table.get(used, Node({}, node.place))
            for name in sorted(loose.keys() & own.table.keys()):
                message = f"`{name}` is given twice: in [decoder] and in [decoder.{used}]"
                self.tell(Problem(loose[name].place, message))
            table[used] = replace(own, value={**loose, **own.table})
        if not node.table:
            return layer
        return replace(layer, value={**layer.table, "decoder": replace(node, value=table)})

    def used_decoder(self, root: Node) -> str:
        """The decoder a recipe's tables use."""
        node = root.table.get("decoder", root).table.get("use")
        return str(node.value) if node else DEFAULT_DECODER

    def _decoder_names(self) -> set[str]:
        return {each.component.name for each in self.plugins.offers("decoder")}

    def _validated(
        self,
        config: type[C],
        node: Node,
        path: KeyPath,
        *,
        who: str = "",
        also_known: Collection[str] = (),
    ) -> C | None:
        result = validated(config, node, path, folder=self.folder, who=who, also_known=also_known)
        if isinstance(result, config):
            return result
        assert isinstance(result, list)
        for problem in result:
            self.tell(problem)
        return None

    def _table(self, node: Node, path: KeyPath, *, hint: str = "") -> Node | None:
        """`node`, if it is a table."""
        if isinstance(node.value, dict):
            return node
        self.tell(not_a_table(node, path, hint))
        return None


def _is_table(node: Node) -> bool:
    """Whether it is a table, or by its brackets was meant to be one."""
    items = node.value if isinstance(node.value, list) else [node]
    return bool(items) and all(isinstance(each.value, dict) for each in items)


def _means_use(key: str, node: Node, known: Collection[str]) -> bool:
    """Whether `key` of the table `node` says which component, though it may be misspelt."""
    if key == "use" or key not in node.table:
        return key in node.table
    return (
        key not in known
        and near_names(key, {"use"}) != []
        and isinstance(node.table[key].value, str)
    )


def _settings_of(offer: Offer | None) -> frozenset[str]:
    return frozenset(offer.component.config.model_fields) if offer else frozenset()


def _words(kind: str) -> str:
    return kind.replace("_", " ")
