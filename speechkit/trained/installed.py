"""Models that distributions ship, by name."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path

from speechkit.discovery import OURS, UNKNOWN, plain
from speechkit.errors import ModelError, SpeechkitError
from speechkit.near import near
from speechkit.trained.folder import FACTS, WEIGHTS, Facts, read_facts

GROUP = "speechkit_pretrained"  # of entry points: ANYTHING = "package", whose folders are models


@dataclass(frozen=True)
class InstalledModel:
    """A model that a distribution ships; of one that cannot be used, why.

    name   its folder's; the entry point's where the package is not there
    facts  None where there is an error
    """

    name: str
    folder: Path
    distribution: str
    version: str
    facts: Facts | None
    error: str = ""


def installed_models() -> list[InstalledModel]:
    """All of them, by name; speechkit's own come first among those of one name."""
    found = [model for each in entry_points(group=GROUP) for model in _shipped(each)]
    return sorted(found, key=lambda each: (each.name, each.distribution != OURS, each.distribution))


def find_model(given: str, root: Path, asked: str = "--model") -> Path:
    """The folder or file that is meant by what follows `asked`.

    It is a path: a run's folder, a pretrained model's, or a model file; else the name of an
    installed model, `NAME` or `DISTRIBUTION:NAME`; else that of a run in `root`.

    Raises:
        ModelError: it is none of them, or more than one is called so.
    """
    path, is_name = Path(given).expanduser(), given == Path(given).name
    if path.exists() and not is_name:
        return path
    installed, run = installed_models(), root / given
    found = _named(given, installed, asked)
    if path.exists() and found:  # else one of them would be taken, unnoticed
        raise ModelError(
            f"{asked} {given}: a file or folder here is called so, and a model of "
            f"{found.distribution}",
            hint=f"say which: {asked} ./{given} or {asked} {found.distribution}:{given}",
        )
    if path.exists():
        return path
    if found and (run / WEIGHTS).is_file():
        raise ModelError(
            f"{asked} {given}: a run is called so, and a model of {found.distribution}",
            hint=f"say which: {asked} {run} or {asked} {found.distribution}:{given}",
        )
    if found:
        return found.folder
    if (run / WEIGHTS).is_file():
        return run
    names = {each.name for each in installed}
    names |= {str(each.parent) for each in root.glob(f"*/{WEIGHTS}")}
    told = near(given, names) or "there is none, and no run in runs/"
    raise ModelError(
        f"{asked} {given}: no folder or file, and no model is called so",
        hint=f"`speechkit models` lists those installed; {told}",
    )


def _named(given: str, installed: list[InstalledModel], asked: str) -> InstalledModel | None:
    """An installed model; None where none is called so."""
    owner, _, name = given.rpartition(":")
    meant = [
        each
        for each in installed
        if each.name == name and (not owner or plain(owner) == plain(each.distribution))
    ]
    if not meant:
        return None
    if meant[0].distribution != OURS and len(meant) > 1:
        owners = " and by ".join(each.distribution for each in meant)
        said = " or ".join(f"{asked} {each.distribution}:{name}" for each in meant)
        raise ModelError(f"a model `{name}` is shipped by {owners}", hint=f"say which: {said}")
    return meant[0]


def _shipped(entry: EntryPoint) -> Iterator[InstalledModel]:
    distribution, version = (entry.dist.name, entry.dist.version) if entry.dist else (UNKNOWN, "")
    try:
        spec = find_spec(entry.module)
        places = [] if spec is None else [Path(each) for each in _folders(spec)]
    except (ImportError, ValueError):
        places = []
    if not places:
        error = f"its entry point `{entry.name} = {entry.value}` names a package that is not there"
        yield InstalledModel(entry.name, Path(), distribution, version, None, error)
    for file in sorted(each for place in places for each in place.glob(f"*/{FACTS}")):
        folder = file.parent
        try:
            facts = read_facts(folder)
        except SpeechkitError as error:
            yield InstalledModel(folder.name, folder, distribution, version, None, str(error))
        else:
            yield InstalledModel(folder.name, folder, distribution, version, facts)


def _folders(spec: object) -> list[str]:
    return list(getattr(spec, "submodule_search_locations", None) or ())
