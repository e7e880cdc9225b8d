"""Finds plugins, and what each offers; a broken one is a row with its cause, never a silent gap.

Every plugin has a plugin manager of its own, so that its hooks are called apart from the others':
one that raises takes nothing with it. What a plugin changes of the process while it is loaded is
put back, and told. Nothing is kept between calls.
"""

import inspect
import logging
import re
import sys
import traceback
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.machinery import SourceFileLoader
from importlib.metadata import Distribution, EntryPoint, distributions, entry_points
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import CodeType, MappingProxyType, ModuleType
from typing import Any

import pluggy

from speechkit import hookspecs
from speechkit.component import API_VERSION, GROUP, Component, Config
from speechkit.errors import PluginError
from speechkit.hookspecs import HOOKS, KINDS, RECIPES, TRACKER_HOOKS
from speechkit.near import near
from speechkit.processwide import kept
from speechkit.settings import FeaturesSettings, LanguageModelSettings, ModelSettings, ScoreSettings

ENGINE_SETTINGS: Mapping[str, type[Config]] = MappingProxyType(
    {
        "features": FeaturesSettings,
        "model": ModelSettings,
        "language_model": LanguageModelSettings,
        "score_protocol": ScoreSettings,
    }
)
"""Kind of part -> the keys of its table that are the engine's, and so no component's."""

OURS = "speechkit"  # the distribution whose parts no other can take the place of
PLUGIN = "plugin"  # the kind of a row about a plugin as a whole
RECIPE = "recipe"  # and of one about a recipe that a plugin brings along
TRACKER = "tracker"  # and of one about a plugin that is told of runs
UNKNOWN = "?"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Offer:
    """A component, and who offers it.

    plugin        the entry point's name, or a file's name without its ending
    distribution  the installed package, "?" where there is none, or the file as it was given
    version       of the distribution; empty for a file
    """

    kind: str
    component: Component[Any]
    plugin: str
    distribution: str
    version: str

    @property
    def is_installed(self) -> bool:
        """Whether it is of an installed distribution, and not of a file for one command."""
        return bool(self.version)

    def owned_by(self, owner: str) -> bool:
        """Whether `use = "owner:name"` means this one."""
        return plain(owner) in {plain(self.plugin), plain(self.distribution)}


@dataclass(frozen=True)
class RecipeFolder:
    """Recipes that a plugin brings along."""

    folder: Path
    plugin: str
    distribution: str
    version: str

    def owned_by(self, owner: str) -> bool:
        """Whether `plugin:OWNER/recipe` means one of these."""
        return plain(owner) in {plain(self.plugin), plain(self.distribution)}

    def names(self) -> list[str]:
        """Of the recipes, as they are asked for: without `.toml`, parted by `/` from a folder."""
        files = sorted(self.folder.rglob("*.toml"))
        return [each.relative_to(self.folder).with_suffix("").as_posix() for each in files]


@dataclass(frozen=True)
class Tracker:
    """A plugin that is told of runs.

    hook  calls its functions, by the hooks' names
    """

    plugin: str
    distribution: str
    version: str
    hook: pluggy.HookRelay = field(compare=False)

    def __str__(self) -> str:
        """In a message: "the plugin `tracker` of speechkit-tracker 1.0"."""
        return owned(self.plugin, self.distribution, self.version)


@dataclass(frozen=True)
class Row:
    """A line of `speechkit plugins list`: a component, or what went wrong and where.

    kind    of the component; "plugin" where a plugin as a whole is meant, "tracker" where it is
            told of runs, and `name` is the plugin's
    remedy  what to do about the error; empty where there is none to be told
    """

    kind: str
    name: str
    distribution: str
    version: str
    error: str | None = None
    remedy: str = field(default="", compare=False)


@dataclass(frozen=True)
class Plugins:
    """What the plugins offer, and what is wrong with them.

    disabled  plugins that were left out since the user asked for that
    meddling  plugins that changed what all code shares, which was put back: they can be used
    """

    all_offers: tuple[Offer, ...] = ()
    broken: tuple[Row, ...] = ()
    disabled: tuple[Row, ...] = ()
    meddling: tuple[Row, ...] = ()
    recipes: tuple[RecipeFolder, ...] = ()
    trackers: tuple[Tracker, ...] = ()
    _by_name: Mapping[tuple[str, str], tuple[Offer, ...]] = field(
        init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        by_name: dict[tuple[str, str], tuple[Offer, ...]] = defaultdict(tuple)
        for offer in self.all_offers:
            by_name[offer.kind, offer.component.name] += (offer,)
        object.__setattr__(self, "_by_name", MappingProxyType(dict(by_name)))

    def offers(self, kind: str) -> tuple[Offer, ...]:
        """Components of `kind`, in the order of their names.

        Raises:
            PluginError: there is no such kind.

        """
        _check_kind(kind)
        found = (each for each in self.all_offers if each.kind == kind)
        return tuple(sorted(found, key=lambda each: (each.component.name, each.distribution)))

    def find(self, kind: str, name: str) -> Offer:
        """The component `use = name` means: `n2`, or `distribution:n2` where two offer it.

        Raises:
            PluginError: nobody offers it, two do and `name` has no owner, or there is no such kind.

        """
        _check_kind(kind)
        owner, _, bare = name.rpartition(":")
        offers = self._by_name.get((kind, bare), ())
        offers = tuple(each for each in offers if each.owned_by(owner)) if owner else _first(offers)
        if len(offers) == 1:
            return offers[0]
        if offers:
            raise PluginError(_twice(offers), hint=_write_owner(offers))
        hint = near(name, self._names(kind, qualified=bool(owner)))
        message = f"no plugin offers the {_words(kind)} `{name}`"
        raise PluginError("; ".join([message, *self.failed(kind)]), hint=hint)

    def rows(self) -> tuple[Row, ...]:
        """One row per component and one per defect: by kind and name, defects of plugins last."""
        rows = [self.row(each) for kind in KINDS for each in self.offers(kind)]
        rows += [
            Row(RECIPE, f"{PLUGIN}:{each.plugin}/{name}", each.distribution, each.version)
            for each in self.recipes
            for name in each.names()
        ]
        rows += [
            Row(TRACKER, each.plugin, each.distribution, each.version) for each in self.trackers
        ]
        return (*rows, *self.disabled, *self.meddling, *self.broken)

    def namesakes(self, kind: str, name: str) -> tuple[Row, ...]:
        """Parts of others that are called as one of speechkit's own, which recipes mean."""
        offers = self._by_name.get((kind, name), ())
        first = _first(offers)
        return tuple(self.row(each) for each in offers if len(first) == 1 and each not in first)

    def row(self, offer: Offer) -> Row:
        """The row of a part; its error says who else has a part of its name."""
        kind = offer.kind
        row = Row(kind, offer.component.name, offer.distribution, offer.version)
        same = self._by_name[kind, offer.component.name]
        first = _first(same)
        if first == (offer,):
            return row
        if len(first) == 1:
            error = (
                f"speechkit itself offers the {_words(kind)} `{row.name}`, and a recipe means that "
                f'one: this one is `use = "{offer.distribution}:{row.name}"`'
            )
            return replace(row, error=error, remedy="ask its author for another name")
        remedy = "name its owner in the recipe, or uninstall the other one"
        return replace(row, error=f"{_twice(same)}; {_write_owner(same)}", remedy=remedy)

    def _names(self, kind: str, *, qualified: bool) -> list[str]:
        offers = self.offers(kind)
        names = [each.component.name for each in offers]
        owners = [f"{each.distribution}:{each.component.name}" for each in offers]
        return names + owners if qualified else names

    def failed(self, kind: str) -> Iterator[str]:
        """The plugins that may have been about to offer something of `kind`, and why not."""
        for row in (*self.broken, *self.disabled):
            if row.kind in {PLUGIN, kind}:
                owner = "" if row.distribution in {row.name, UNKNOWN} else f" of {row.distribution}"
                yield f"the plugin `{row.name}`{owner} did not load ({row.error})"


def load_plugins(
    files: Sequence[Path] = (), *, disabled: Sequence[str] = (), lenient: bool = False
) -> Plugins:
    """Load the installed plugins, in the order of their names, and the plugins in `files`.

    speechkit's own come first: PyTorch reads the environment as it is imported, and what another
    plugin puts there must not reach it.

    disabled  plugins, or distributions, to leave out: nothing of them is imported
    lenient   a file that does not load is a row like any other, not an error

    Raises:
        PluginError: one of `files` cannot be read or does not load, or one of `disabled` is not
            there: the user asked for it.

    """
    found = _Found()
    installed = sorted(entry_points(group=GROUP), key=_ours_first)
    plugins = [_Plugin(each.name, *_owner(each), each.module) for each in installed]
    left_out = {each: _meant(each, plugins) for each in disabled}
    for plugin, entry_point in zip(plugins, installed, strict=True):
        named = [each for each, meant in left_out.items() if plugin in meant]
        if named:
            found.disabled.append(plugin.left_out(named[0]))
        else:
            plugin.load(entry_point.load, found)
    found.broken += _installed_twice()
    for file in dict.fromkeys(Path(each) for each in files):
        inner = replace(found, broken=[])  # the other lists are shared
        _Plugin(file.stem, str(file), "").load(partial(_module_of, file), inner)
        if inner.broken and not lenient:
            said = "; ".join(str(row.error) for row in inner.broken)
            raise PluginError(f"--plugin {file}: {said}", hint=inner.broken[0].remedy)
        found.broken += inner.broken
    return Plugins(
        tuple(found.offers),
        tuple(found.broken),
        tuple(found.disabled),
        tuple(found.meddling),
        tuple(found.recipes),
        tuple(found.trackers),
    )


def plain(name: str) -> str:
    """As names of distributions are compared: the plugin `my_plugin` is of `my-plugin`."""
    return re.sub(r"[-_.]+", "-", name).lower()


def owned(plugin: str, distribution: str, version: str) -> str:
    """A plugin in a message, and whose it is.

    >>> owned("tiny", "speechkit-tiny", "1.0")
    'the plugin `tiny` of speechkit-tiny 1.0'
    """
    return f"the plugin `{plugin}` of {distribution} {version}".rstrip()


@dataclass
class _Found:
    """What was found up to now."""

    offers: list[Offer] = field(default_factory=list)
    broken: list[Row] = field(default_factory=list)
    disabled: list[Row] = field(default_factory=list)
    meddling: list[Row] = field(default_factory=list)
    recipes: list[RecipeFolder] = field(default_factory=list)
    trackers: list[Tracker] = field(default_factory=list)


@dataclass(frozen=True)
class _Plugin:
    """A plugin about to be loaded."""

    name: str
    distribution: str
    version: str
    module: str = ""  # which its entry point names

    def load(self, module: Callable[[], Any], found: _Found) -> None:
        """Add what it offers to what was found, and what is wrong with it."""
        with kept() as changes:
            self._load(module, found)
        if changes:
            found.meddling.append(self._meddled(changes))

    def _load(self, module: Callable[[], Any], found: _Found) -> None:
        try:
            loaded = module()
            if error := _outdated(getattr(loaded, "speechkit_api", 1)):
                found.broken.append(self._defect(PLUGIN, self.name, error))
                return
            manager = pluggy.PluginManager(GROUP)
            manager.add_hookspecs(hookspecs)
            manager.register(loaded, name=self.name)
        except (Exception, SystemExit) as error:  # whatever importing it may raise
            found.broken.append(self._defect(PLUGIN, self.name, error))
            return
        misnamed = _misnamed(manager, loaded)
        found.broken += [self._defect(PLUGIN, self.name, each) for each in misnamed]
        has = {hook for hook in HOOKS if getattr(manager.hook, hook).get_hookimpls()}
        for kind, hook in KINDS.items():
            if hook in has:
                self._call(kind, getattr(manager.hook, hook), found)
        if RECIPES in has:
            self._add_recipes(manager.hook.speechkit_recipes, found)
        if has.intersection(TRACKER_HOOKS):
            tracker = Tracker(self.name, self.distribution, self.version, manager.hook)
            found.trackers.append(tracker)

    def left_out(self, asked: str) -> Row:
        """The row of one that is not loaded since the user asked for that."""
        row = self._defect(PLUGIN, self.name, f"left out by --disable-plugin {asked}")
        return replace(row, remedy="leave the option out")

    def _meddled(self, changes: Sequence[str]) -> Row:
        """The row of one that changed what all code shares."""
        error = f"loading it changed what all code shares; it was put back: {', '.join(changes)}"
        remedy = (
            f"a defect of {self.distribution}: a part that needs this sets it in its constructor "
            "or forward, for as long as that runs, and not at import"
        )
        return Row(PLUGIN, self.name, self.distribution, self.version, error, remedy)

    def _call(self, kind: str, hook: pluggy.HookCaller, found: _Found) -> None:
        names: set[str] = set()
        try:
            for given in _given(hook):
                component = _checked(kind, given, names)
                if isinstance(component, Component):
                    names.add(component.name)
                    offer = Offer(kind, component, self.name, self.distribution, self.version)
                    found.offers.append(offer)
                else:
                    name = str(getattr(given, "name", self.name))
                    found.broken.append(self._defect(kind, name, component))
        except (Exception, SystemExit) as error:
            found.broken.append(self._defect(kind, self.name, error))

    def _add_recipes(self, hook: pluggy.HookCaller, found: _Found) -> None:
        try:
            for folder in hook():
                if not Path(folder).is_dir():
                    raise FileNotFoundError(f"{RECIPES} gives {folder}, which is no folder")
                found.recipes.append(
                    RecipeFolder(Path(folder), self.name, self.distribution, self.version)
                )
        except (Exception, SystemExit) as error:
            found.broken.append(self._defect(RECIPE, self.name, error))

    def _defect(self, kind: str, name: str, cause: str | BaseException) -> Row:
        again = "" if self.version else f" --plugin {self.distribution}"
        remedy = (
            f"a defect of {self.distribution}; `speechkit --debug{again} plugins list` shows where"
        )
        if isinstance(cause, BaseException):
            _log.debug("plugin %s of %s", self.name, self.distribution, exc_info=cause)
            if isinstance(cause, ImportError):
                remedy = f"install what {self.distribution} needs"
                remedy += ", or uninstall it" if self.version else ""
                if cause.name and not isinstance(cause, ModuleNotFoundError):
                    remedy = (
                        f"correct it, or install the version of {cause.name} it was written for"
                    )
                if cause.name and f"{self.module}.".startswith(f"{cause.name}."):
                    remedy = (
                        f'its entry point `{self.name} = "{self.module}"` names a module that '
                        f"is not there: correct it in {self.distribution}, and install that again"
                    )
                elif (cause.name or "").partition(".")[0] == GROUP:
                    remedy = f"it was written for another speechkit: {self._upgrade()}"
            cause = f"{type(cause).__name__}: {cause}{self._place(cause)}"
        elif "the plugin interface" in cause:
            remedy = self._upgrade()
        return Row(kind, name, self.distribution, self.version, cause, remedy)

    def _place(self, cause: BaseException) -> str:
        """Where its own code raised, or called what did: " (__init__.py:12)"."""
        package = self.module.partition(".")[0] or self.name
        frames = traceback.extract_tb(cause.__traceback__)
        own = [
            each
            for each in frames
            if package in {*Path(each.filename).parts[:-1], Path(each.filename).stem}
        ]
        return f" ({Path(own[-1].filename).name}:{own[-1].lineno})" if own else ""

    def _upgrade(self) -> str:
        if not self.version:  # a file: pip knows nothing of it
            return f"change the file, or upgrade speechkit, whose interface is {API_VERSION}"
        return f"upgrade the older of the two: pip install --upgrade {self.distribution} speechkit"


def _outdated(stated: object) -> str:
    """Why a plugin that was written for the interface `stated` cannot be used; empty if it can."""
    if stated == API_VERSION:
        return ""
    if not isinstance(stated, int):
        return f"speechkit_api is {stated!r}, not a number: versions of the plugin interface are"
    age = "older" if stated < API_VERSION else "newer"
    return (
        f"was written for version {stated} of the plugin interface, which is {age} than this "
        f"speechkit's, {API_VERSION}"
    )


def _meant(name: str, plugins: Sequence[_Plugin]) -> list[_Plugin]:
    """The plugins that `--disable-plugin NAME` means.

    Raises:
        PluginError: there is none.
    """
    meant = [
        each for each in plugins if plain(name) in {plain(each.name), plain(each.distribution)}
    ]
    if not meant:
        known = {each.name for each in plugins} | {each.distribution for each in plugins}
        message = f"--disable-plugin {name}: no plugin is called so"
        raise PluginError(message, hint=near(name, known))
    return meant


def _installed_twice() -> Iterator[Row]:
    """Distributions with plugins that are there in several versions: Python takes the first."""
    by_name: dict[str, list[Distribution]] = defaultdict(list)
    for each in distributions():
        if any(point.group == GROUP for point in each.entry_points):
            by_name[plain(each.name)].append(each)
    for first, *others in by_name.values():
        if others := [each for each in others if each.version != first.version]:
            places = [f"{each.version} in {each.locate_file('')}" for each in (first, *others)]
            error = f"is installed in several versions: {places[0]}, which is used"
            yield Row(
                PLUGIN,
                first.name,
                first.name,
                first.version,
                f"{error}, and {', '.join(places[1:])}",
                f"uninstall those that are not wanted: pip uninstall {first.name}",
            )


def _given(caller: pluggy.HookCaller) -> Iterable[object]:
    """What a plugin's hook gives, one by one.

    Raises:
        TypeError: it gives nothing that can be gone through.

    """
    results = caller()
    if not results:  # pluggy leaves out None
        raise TypeError(f"{caller.name} gives None; it returns a list of components")
    for result in results:
        if not isinstance(result, Iterable) or isinstance(result, str | bytes):
            raise TypeError(f"{caller.name} gives {result!r}; it returns a list of components")
        yield from result


def _checked(kind: str, given: object, names: Container[str]) -> Component[Any] | str:
    """`given`, or why it cannot be offered; `names` are the plugin's earlier ones of this kind."""
    if not isinstance(given, Component):
        return f"{KINDS[kind]} offers {given!r}, which is not a Component"
    config: object = given.config
    if not (isinstance(config, type) and issubclass(config, Config)):
        return f"its settings are {config!r}, which is not a subclass of speechkit.Config"
    if given.name in names:
        return "its plugin offers it twice; the first one counts"
    taken = {"use"} | set(getattr(ENGINE_SETTINGS.get(kind), "model_fields", ()))
    if clash := sorted(taken & set(config.model_fields)):
        return f"its setting `{clash[0]}` is the engine's own in that table; rename it"
    return given


def _misnamed(manager: pluggy.PluginManager, plugin: object) -> Iterator[str]:
    """Say which hooks nobody would call: of an unknown name, without @hookimpl, or none at all."""
    callers = manager.get_hookcallers(plugin) or ()
    bare = [hook for hook in HOOKS if _is_bare(getattr(plugin, hook, None))]
    for caller in callers:
        if caller.name not in HOOKS:
            yield f"speechkit calls no hook `{caller.name}`; {near(caller.name, HOOKS)}"
    for hook in bare:
        yield f"`{hook}` lacks @hookimpl and is never called"
    if not callers and not bare:
        yield "has none of speechkit's hooks"


def _is_bare(function: object) -> bool:
    return inspect.isroutine(function) and not hasattr(function, f"{GROUP}_impl")


def _ours_first(entry_point: EntryPoint) -> tuple[bool, str, tuple[str, str]]:
    owner = _owner(entry_point)
    return owner[0] != OURS, entry_point.name, owner


def _owner(entry_point: EntryPoint) -> tuple[str, str]:
    """Distribution and version."""
    if entry_point.dist is None:
        return UNKNOWN, UNKNOWN
    return entry_point.dist.name, entry_point.dist.version


class _FileLoader(SourceFileLoader):
    """Reads a file as it is now: no stale bytecode is read, none is left beside it."""

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        code: CodeType = self.source_to_code(self.get_data(path), path)
        return code


def _module_of(file: Path) -> ModuleType:
    path = str(file.expanduser().resolve())
    name = f"speechkit_file_{re.sub(r'[^A-Za-z0-9_]', '_', file.stem)}"
    while getattr(sys.modules.get(name), "__file__", path) != path:
        name += "_"  # another file with the same name
    spec = spec_from_file_location(name, path, loader=_FileLoader(name, path))
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pydantic look their annotations up there
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _check_kind(kind: str) -> None:
    if kind not in KINDS:
        raise PluginError(f"there is no kind of part `{kind}`", hint=near(kind, KINDS))


def _twice(offers: Sequence[Offer]) -> str:
    name = offers[0].component.name
    owners = " and by ".join(f"{each.distribution} (plugin `{each.plugin}`)" for each in offers)
    return f"the {_words(offers[0].kind)} `{name}` is offered by {owners}"


def _first(offers: tuple[Offer, ...]) -> tuple[Offer, ...]:
    """Those of `offers` that a name without an owner can mean: speechkit's own, if one is there.

    So a recipe that names a part of speechkit means the same whatever else is installed. A file
    that was given with `--plugin` is no stranger, though: who gave it may mean either.
    """
    ours = tuple(each for each in offers if each.distribution == OURS)
    return ours if ours and all(each.is_installed for each in offers) else offers


def _write_owner(offers: Sequence[Offer]) -> str:
    parted = len({each.distribution for each in offers}) == len(offers)
    name = offers[0].component.name
    owners = [each.distribution if parted else each.plugin for each in offers]
    said = " or ".join(f'`use = "{owner}:{name}"`' for owner in owners)
    others = [each.plugin for each in offers if each.is_installed and each.distribution != OURS]
    if not others:
        return f"say which: {said}"
    return f"say which: {said}; or leave one out: --disable-plugin {others[-1]}"


def _words(kind: str) -> str:
    return kind.replace("_", " ")
