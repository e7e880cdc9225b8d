"""Finds and reads a recipe's file, lays profile and `--set` over it, and has it checked."""

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial, reduce
from pathlib import Path

import speechkit
from speechkit.discovery import Plugins
from speechkit.errors import PluginError, RecipeError
from speechkit.locate import KeyPath, lines_of
from speechkit.near import near, near_names
from speechkit.recipe.check import Checking, engine_keys
from speechkit.recipe.layers import (
    Node,
    Place,
    expand,
    is_date,
    node_of,
    overlay,
    parse_override,
)
from speechkit.recipe.problems import Problem, not_a_table
from speechkit.recipe.record import Recipe

OF_PLUGIN = "plugin:"  # begins the name of a recipe that a plugin brings along

_NO_PLUGINS = Plugins()
_TOML_LINE = re.compile(r" \(at line (\d+), column \d+\)$")


def find_recipe(name_or_path: str, plugins: Plugins = _NO_PLUGINS) -> Path:
    """The file of a recipe: a path, the name of one that speechkit carries, or `plugin:NAME/...`.

    Raises:
        RecipeError: there is neither.
        PluginError: no plugin is called NAME, or two are.

    """
    if name_or_path.startswith(OF_PLUGIN):
        return _of_plugin(name_or_path.removeprefix(OF_PLUGIN), plugins)
    path = Path(name_or_path).expanduser()
    if path.is_file():
        return path
    carried = _carried()
    if name_or_path in carried:
        return carried[name_or_path]
    if path.suffix != ".toml" and path.name == name_or_path and not path.exists():
        hint = near(name_or_path, carried)
        raise RecipeError(f"no recipe is called `{name_or_path}`, and no file is", hint=hint)
    if path.exists():
        raise RecipeError(f"{path}: not a file", hint="a recipe is a TOML file")
    if path.stem in carried:
        hint = f"speechkit carries a recipe `{path.stem}`: leave out the folder and `.toml`"
    else:
        here = [each.name for each in path.parent.glob("*.toml")]
        close = " or ".join(f"`{path.parent / each}`" for each in near_names(path.name, here))
        hint = f"did you mean {close}?" if close else f"ours, by name: {', '.join(carried)}"
    raise RecipeError(f"{path}: no such file", hint=hint)


def _of_plugin(named: str, plugins: Plugins) -> Path:
    """The file of `OWNER/RECIPE`, as a plugin, or its distribution, brings it along."""
    owner, _, name = named.partition("/")
    folders = [each for each in plugins.recipes if each.owned_by(owner)]
    if not folders:
        message = f"no plugin `{owner}` brings recipes along"
        owners = [each.plugin for each in plugins.recipes]
        hint = near(owner, owners) if owners else "none does: `speechkit plugins list`"
        raise PluginError("; ".join([message, *plugins.failed("recipe")]), hint=hint)
    if len(folders) > 1 and len({each.folder for each in folders}) > 1:
        owners = [each.distribution for each in folders]
        if len(set(owners)) < len(owners):
            owners = [each.plugin for each in folders]
        said = " or ".join(f"`{OF_PLUGIN}{each}/{name}`" for each in owners)
        raise PluginError(f"several plugins are called `{owner}`", hint=f"say which: {said}")
    folder = folders[0]
    place = (folder.folder / f"{name.removesuffix('.toml')}.toml").resolve()
    if not place.is_relative_to(folder.folder.resolve()):
        raise RecipeError(
            f"{OF_PLUGIN}{named}: leads out of the folder of {folder.distribution}'s recipes",
            hint=f"it has: {', '.join(folder.names())}",
        )
    if name and place.is_file():
        return place
    there = [f"{OF_PLUGIN}{owner}/{each}" for each in folder.names()]
    raise RecipeError(
        f"{folder.distribution} has no recipe `{name}`" if name else "which of its recipes?",
        hint=near(f"{OF_PLUGIN}{named}", there) if there else f"{folder.folder} has none at all",
    )


def _carried() -> dict[str, Path]:
    """The recipes of the package, by name: in a wheel within it, in a checkout beside it."""
    package = Path(speechkit.__file__).parent
    folder = package / "recipes"
    if not folder.is_dir() and (package.parent / "pyproject.toml").is_file():
        folder = package.parent / "recipes"
    return {file.stem: file for file in sorted(folder.glob("*.toml"))}


def read_recipe(
    file: Path, plugins: Plugins, *, profile: str | None = None, overrides: Sequence[str] = ()
) -> Recipe:
    """Read `file` and choose its components among those `plugins` offer.

    profile    of the recipe, to lay over it
    overrides  `KEY=VALUE`, as `--set` takes them, to lay over that

    Raises:
        RecipeError: it cannot be read, or anything is wrong with it; all problems at once.

    """
    text = _read(file)
    lines = text.split("\n")
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _told(file, [_syntax(file, lines, error)]) from None
    numbers = lines_of(text)

    def place(path: KeyPath) -> Place:
        return _place(file, lines, numbers[path], layer=1 if path[:1] == ("profiles",) else 0)

    problems: list[Problem] = []
    root = _without_dates(node_of(document, place), problems)
    base = {key: each for key, each in root.table.items() if key != "profiles"}
    profiles = _with_inherited(_profiles(root.table.get("profiles"), problems), problems)
    reading = _Reading(file, plugins, replace(root, value=base), profiles, problems)
    recipe = reading.read(profile, overrides)
    if problems or recipe is None:
        raise _told(file, problems)
    return recipe


def _without_dates(root: Node, problems: list[Problem]) -> Node:
    """`root` with its dates as text, each told: no setting is a date."""

    def change(leaf: Node) -> Node:
        if not is_date(leaf.value):
            return leaf
        problems.append(
            Problem(leaf.place, f"{leaf.value} is a date or a time", "write it in quotes")
        )
        return replace(leaf, value=str(leaf.value), is_unset=True)

    return root.map(change)


def _profiles(node: Node | None, problems: list[Problem]) -> dict[str, Node]:
    if node is None:
        return {}
    if not isinstance(node.value, dict):
        problems.append(not_a_table(node, ("profiles",), "a profile has a name: [profiles.NAME]"))
    wrong = [(name, each) for name, each in node.table.items() if not isinstance(each.value, dict)]
    for name, each in wrong:
        hint = "a profile has a name: [profiles.NAME]"
        problems.append(not_a_table(each, ("profiles", name), hint))
    return {name: each for name, each in node.table.items() if isinstance(each.value, dict)}


def _with_inherited(
    profiles: Mapping[str, Node], problems: list[Problem]
) -> dict[str, tuple[Node, ...]]:
    """The layers of each profile: those of the one it inherits, then its own."""
    parents = _parents(profiles, problems)
    own = {
        name: replace(node, value={k: each for k, each in node.table.items() if k != "inherits"})
        for name, node in profiles.items()
    }
    layers: dict[str, tuple[Node, ...]] = {}
    for name in profiles:
        line = [name]
        while line[-1] in parents and parents[line[-1]] not in line:
            line.append(parents[line[-1]])
        if parents.get(line[-1]) == name:  # told of each profile in the circle
            told = ", which inherits ".join([*line[1:], name])
            message = f"[profiles.{name}] inherits {told}: a circle"
            place = profiles[name].table["inherits"].place
            problems.append(Problem(place, message, "let one of them inherit nothing"))
        layers[name] = tuple(own[each] for each in reversed(line))
    return layers


def _parents(profiles: Mapping[str, Node], problems: list[Problem]) -> dict[str, str]:
    """The profile that each of those inherits which inherit any."""
    parents: dict[str, str] = {}
    for name, node in profiles.items():
        given = node.table.get("inherits")
        if given is None or given.is_unset:
            continue
        if isinstance(given.value, str) and given.value in profiles:
            parents[name] = given.value
        else:
            others = [each for each in profiles if each != name]
            message = f"[profiles.{name}] inherits {given.shown()}, which is no profile"
            hint = near(str(given.value), others) if others else "there is no other profile"
            problems.append(Problem(given.place, message, hint))
    return parents


def _read(file: Path) -> str:
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        raise RecipeError(f"{file}: no such file") from None
    except OSError as error:
        raise RecipeError(f"{file}: cannot be read: {error.strerror}") from None
    try:
        # The mark that some editors begin UTF-8 files with is no part of the text.
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        message = f"{file}:{line}: not UTF-8: byte 0x{content[error.start]:02x}"
        raise RecipeError(message, hint="save the file as UTF-8") from None


def _syntax(file: Path, lines: Sequence[str], error: tomllib.TOMLDecodeError) -> Problem:
    said = str(error)
    found = _TOML_LINE.search(said)
    line = int(found[1]) if found else len(lines)
    hint = ""
    if said.startswith("Invalid value"):
        hint = 'text stands in quotes: use = "n2"; true and false are lower case'
    message = _TOML_LINE.sub("", said)
    return Problem(_place(file, lines, line, layer=0), f"not TOML: {message}", hint)


def _place(file: Path, lines: Sequence[str], line: int, *, layer: int) -> Place:
    return Place(layer, line, f"{file}:{line}", f"{line:5} | {lines[line - 1]}")


def _told(file: Path, problems: Iterable[Problem]) -> RecipeError:
    unique = sorted(dict.fromkeys(problems), key=lambda each: each.place)
    count = f"{len(unique)} problems" if len(unique) > 1 else "a problem"
    return RecipeError("\n\n".join([f"{file} has {count}", *map(str, unique)]))


def _always(place: Place, _: KeyPath) -> Place:
    return place


@dataclass(frozen=True)
class _Reading:
    """One recipe being read: its tables and its profiles', and the problems found so far."""

    file: Path
    plugins: Plugins
    base: Node
    profiles: Mapping[str, tuple[Node, ...]]
    problems: list[Problem]

    def read(self, profile: str | None, overrides: Sequence[str]) -> Recipe | None:
        """Check the recipe as it is asked for, and as it is without that or in other profiles."""
        over = self._overrides(overrides)
        asked = [self.base]
        if profile is not None and profile in self.profiles:
            asked.extend(self.profiles[profile])
        elif profile is not None:
            place = Place(2, 0, f"--profile {profile}")
            hint = near(profile, self.profiles) or "the recipe has no profiles"
            self.problems.append(Problem(place, f"there is no profile `{profile}`", hint))
        if over:
            asked.append(over)
        if len(asked) > 1:
            self._check([self.base], with_gaps=False)
        recipe = self._check(asked, strict=True, profile=profile)
        for name, layers in self.profiles.items():
            if name != profile:
                self._check([self.base, *layers], with_gaps=not overrides, profile=name)
        names = tuple(self.profiles)
        return recipe and replace(recipe, file=self.file, profile=profile, profiles=names)

    def _overrides(self, overrides: Sequence[str]) -> Node | None:
        layers: list[Node] = []
        for number, text in enumerate(overrides, start=1):
            place = Place(2, number, f"--set {text}")
            try:
                layers.append(node_of(parse_override(text), partial(_always, place)))
            except ValueError as error:
                self.problems.append(Problem(place, str(error), "write --set train.epochs=10"))
        if not layers:
            return None
        # One layer, so that their order does not matter but for the same key.
        return reduce(lambda one, other: overlay(one, other, lambda _: None), layers)

    def _check(
        self,
        layers: Sequence[Node],
        *,
        strict: bool = False,
        with_gaps: bool = True,
        profile: str | None = None,
    ) -> Recipe | None:
        """Lay `layers` over each other, and check what comes out.

        strict     every variable must be set: this is the recipe that will be run
        with_gaps  tell what is missing
        """
        found: list[Problem] = []
        checking = Checking(self.plugins, self.file.parent.absolute(), found.append)
        root = checking.apart(layers[0], checking.used_decoder(layers[0]))
        for layer in layers[1:]:
            apart = checking.apart(layer, checking.used_decoder(root))
            root = overlay(root, apart, engine_keys)
        root, unset = expand(root)
        if strict:
            for leaf, name in unset:
                message = f"the environment variable `{name}` is not set"
                found.append(Problem(leaf.place, message, f"set it: export {name}=..."))
        recipe = checking.recipe(root)
        for problem in found:
            if problem.is_open or (problem.is_gap and not with_gaps) or problem in self.problems:
                continue
            where = f" (with profile `{profile}`)" if profile and problem.place.layer == 0 else ""
            self.problems.append(replace(problem, message=problem.message + where))
        return recipe if not found else None
