"""Finds plugins, and what each offers; a broken one is a row with its cause, never a silent gap.

Every plugin has a plugin manager of its own, so that its hooks are called apart from the others':
one that raises takes nothing with it. Nothing is kept between calls.
"""

import inspect
import logging
import re
import sys
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.machinery import SourceFileLoader
from importlib.metadata import EntryPoint, entry_points
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import CodeType, MappingProxyType, ModuleType
from typing import Any

import pluggy

from speechkit import hookspecs
from speechkit.component import GROUP, Component, Config
from speechkit.errors import PluginError
from speechkit.hookspecs import KINDS
from speechkit.near import near
from speechkit.settings import FeaturesSettings, LanguageModelSettings, ModelSettings

ENGINE_SETTINGS: Mapping[str, type[Config]] = MappingProxyType(
    {
        "features": FeaturesSettings,
        "model": ModelSettings,
        "language_model": LanguageModelSettings,
    }
)
"""Kind of part -> the keys of its table that are the engine's, and so no component's."""

PLUGIN = "plugin"  # the kind of a row about a plugin as a whole
UNKNOWN = "?"

_log = logging.getLogger(__name__)
_KIND_OF_HOOK = {hook: kind for kind, hook in KINDS.items()}


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

    def owned_by(self, owner: str) -> bool:
        """Whether `use = "owner:name"` means this one."""
        return owner in {self.plugin, self.distribution}


@dataclass(frozen=True)
class Row:
    """A line of `speechkit plugins list`: a component, or what went wrong and where.

    kind  of the component; "plugin" where a plugin as a whole is meant, and `name` is the plugin's
    """

    kind: str
    name: str
    distribution: str
    version: str
    error: str | None = None


@dataclass(frozen=True)
class Plugins:
    """What the plugins offer, and what is wrong with them."""

    all_offers: tuple[Offer, ...] = ()
    broken: tuple[Row, ...] = ()
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
        owner, _, plain = name.rpartition(":")
        offers = self._by_name.get((kind, plain), ())
        if owner:
            offers = tuple(each for each in offers if each.owned_by(owner))
        if len(offers) == 1:
            return offers[0]
        if offers:
            raise PluginError(_twice(offers), hint=_write_owner(offers))
        hint = near(name, self._names(kind, qualified=bool(owner)))
        message = f"no plugin offers the {_words(kind)} `{name}`"
        raise PluginError("; ".join([message, *self._failed(kind)]), hint=hint)

    def rows(self) -> tuple[Row, ...]:
        """One row per component and one per defect: by kind and name, defects of plugins last."""
        rows = [self._row(kind, each) for kind in KINDS for each in self.offers(kind)]
        return (*rows, *self.broken)

    def _row(self, kind: str, offer: Offer) -> Row:
        same = self._by_name[kind, offer.component.name]
        error = f"{_twice(same)}; {_write_owner(same)}" if len(same) > 1 else None
        return Row(kind, offer.component.name, offer.distribution, offer.version, error)

    def _names(self, kind: str, *, qualified: bool) -> list[str]:
        offers = self.offers(kind)
        names = [each.component.name for each in offers]
        owners = [f"{each.distribution}:{each.component.name}" for each in offers]
        return names + owners if qualified else names

    def _failed(self, kind: str) -> Iterator[str]:
        """The plugins that may have been about to offer a component of `kind`."""
        for row in self.broken:
            if row.kind in {PLUGIN, kind}:
                owner = "" if row.distribution in {row.name, UNKNOWN} else f" of {row.distribution}"
                yield f"the plugin `{row.name}`{owner} did not load ({row.error})"


def load_plugins(files: Sequence[Path] = (), *, lenient: bool = False) -> Plugins:
    """Load the installed plugins, in the order of their names, and the plugins in `files`.

    lenient  a file that does not load is a row like any other, not an error

    Raises:
        PluginError: one of `files` cannot be read or does not load: the user asked for it.

    """
    offers: list[Offer] = []
    broken: list[Row] = []
    found = entry_points(group=GROUP)
    for entry_point in sorted(found, key=lambda each: (each.name, _owner(each))):
        plugin = _Plugin(entry_point.name, *_owner(entry_point))
        plugin.load(entry_point.load, offers, broken)
    for file in dict.fromkeys(Path(each) for each in files):
        defects: list[Row] = []
        _Plugin(file.stem, str(file), "").load(partial(_module_of, file), offers, defects)
        if defects and not lenient:
            said = "; ".join(str(row.error) for row in defects)
            raise PluginError(f"--plugin {file}: {said}")
        broken += defects
    return Plugins(tuple(offers), tuple(broken))


@dataclass(frozen=True)
class _Plugin:
    """A plugin about to be loaded."""

    name: str
    distribution: str
    version: str

    def load(self, module: Callable[[], Any], offers: list[Offer], broken: list[Row]) -> None:
        """Add to `offers` what it offers, and to `broken` what is wrong with it."""
        try:
            loaded = module()
            manager = pluggy.PluginManager(GROUP)
            manager.add_hookspecs(hookspecs)
            manager.register(loaded, name=self.name)
        except (Exception, SystemExit) as error:  # whatever importing it may raise
            broken.append(self._defect(PLUGIN, self.name, error))
            return
        broken += [self._defect(PLUGIN, self.name, each) for each in _misnamed(manager, loaded)]
        for kind, hook in KINDS.items():
            if (caller := getattr(manager.hook, hook)).get_hookimpls():
                self._call(kind, caller, offers, broken)

    def _call(
        self, kind: str, hook: pluggy.HookCaller, offers: list[Offer], broken: list[Row]
    ) -> None:
        names: set[str] = set()
        try:
            for given in _given(hook):
                component = _checked(kind, given, names)
                if isinstance(component, Component):
                    names.add(component.name)
                    offer = Offer(kind, component, self.name, self.distribution, self.version)
                    offers.append(offer)
                else:
                    name = str(getattr(given, "name", self.name))
                    broken.append(self._defect(kind, name, component))
        except (Exception, SystemExit) as error:
            broken.append(self._defect(kind, self.name, error))

    def _defect(self, kind: str, name: str, cause: str | BaseException) -> Row:
        if isinstance(cause, BaseException):
            _log.debug("plugin %s of %s", self.name, self.distribution, exc_info=cause)
            cause = f"{type(cause).__name__}: {cause}"
        return Row(kind, name, self.distribution, self.version, cause)


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
    bare = [hook for hook in _KIND_OF_HOOK if _is_bare(getattr(plugin, hook, None))]
    for caller in callers:
        if caller.name not in _KIND_OF_HOOK:
            hint = near(caller.name, _KIND_OF_HOOK)
            yield f"speechkit calls no hook `{caller.name}`; {hint}"
    for hook in bare:
        yield f"`{hook}` lacks @hookimpl and is never called"
    if not callers and not bare:
        yield "has none of speechkit's hooks"


def _is_bare(function: object) -> bool:
    return inspect.isroutine(function) and not hasattr(function, f"{GROUP}_impl")


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


def _write_owner(offers: Sequence[Offer]) -> str:
    parted = len({each.distribution for each in offers}) == len(offers)
    owners = [each.distribution if parted else each.plugin for each in offers]
    return "say which: " + " or ".join(
        f'`use = "{owner}:{offers[0].component.name}"`' for owner in owners
    )


def _words(kind: str) -> str:
    return kind.replace("_", " ")
