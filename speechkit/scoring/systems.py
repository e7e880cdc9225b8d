"""What a run left of one decoder: settings, scores, decoded lines."""

import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from speechkit.errors import RunError
from speechkit.near import near
from speechkit.scoring.scores import Lines, Score, read_decoded, read_scores


@dataclass(frozen=True)
class System:
    """A decoder on the model of a run.

    name        as messages call it: `runs/n2:beam`
    settings    what it was made with, by dotted key
    scores      by test set, for their real-time factors
    decoded     by test set
    parameters  of the model; None where the run does not say
    """

    name: str
    settings: Mapping[str, Any]
    scores: Mapping[str, Score]
    decoded: Mapping[str, Lines]
    parameters: int | None


def read_system(given: str, root: Path) -> System:
    """Read `RUN` or `RUN:DECODER`: a folder, or the name of one in `root`.

    Without a decoder it is the one the run used last.

    Raises:
        RunError: there is no such run, or it has decoded nothing so.
    """
    folder, decoder = _place(given, root)
    recipe = _recipe(folder)
    used = decoder or str(recipe.get("decoder", {}).get("use", "")).replace(":", "-")
    known = sorted(each.name for each in (folder / "decoded").glob("*") if each.is_dir())
    if used not in known:
        raise RunError(
            f"{folder} holds nothing decoded with {used or 'a decoder'}",
            hint=near(used, known) if known else "carry its recipe out first: speechkit run",
        )
    files = sorted((folder / "decoded" / used).glob("*.jsonl"))
    rows = {row.test: row for row in read_scores(folder / "scores.json") if row.decoder == used}
    # Files of tests that the recipe has no more stay in the folder; their rows go.
    decoded = {file.stem: read_decoded(file) for file in files if file.stem in rows}
    if not decoded:
        raise RunError(f"{folder} has no scores of {used}", hint="carry its recipe out again")
    stages = _json(folder / "stages.json")
    sizes = [each.get("measured", {}).get("parameters") for each in stages.values()]
    return System(
        f"{folder}:{used}",
        dict(_flat(_settings(recipe, folder, used, stages, next(iter(decoded))))),
        rows,
        {test: decoded[test] for test in rows if test in decoded},
        next((int(each) for each in sizes if each), None),
    )


def _place(given: str, root: Path) -> tuple[Path, str]:
    """The folder, and the decoder or ""."""
    run, _, decoder = given.rpartition(":")
    for name, rest in ((given, ""), (run, decoder)):
        if folder := _found(name, root):
            return folder, rest
    return find_run(run or given, root, given=given), ""


def find_run(name: str, root: Path, *, given: str | None = None) -> Path:
    """The folder of a run: `name`, or that in `root`.

    Args:
        name: of the run, or its folder.
        root: where runs are kept.
        given: what messages call it, where the user said more than its name.

    Raises:
        RunError: there is no such run.
    """
    if folder := _found(name, root):
        return folder
    known = sorted(each.parent.name for each in root.glob("*/recipe.toml"))
    raise RunError(f"{given or name}: no such run", hint=near(name, known))


def _found(name: str, root: Path) -> Path | None:
    places = (Path(name), root / name) if name else ()
    return next((each for each in places if (each / "recipe.toml").is_file()), None)


def _recipe(folder: Path) -> dict[str, Any]:
    try:
        return tomllib.loads((folder / "recipe.toml").read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise RunError(f"{folder / 'recipe.toml'}: {error}") from None


def _settings(
    recipe: dict[str, Any], folder: Path, decoder: str, stages: Mapping[str, Any], test: str
) -> dict[str, Any]:
    """The recipe without what did not make this result, and the decoder's own settings.

    The recipe in the folder is that of the last call, which may have been another decoder's.
    """
    kept = {key: each for key, each in recipe.items() if key not in {"recipe", "tune", "score"}}
    kept["recipe"] = {
        key: each
        for key, each in recipe.get("recipe", {}).items()
        if key not in {"name", "description"}
    }
    own = recipe.get("decoder", {}).get(decoder, {})
    made_from = stages.get(f"decode {decoder} {test}", {}).get("inputs", {})
    kept["decoder"] = made_from.get("decoder", {"use": decoder, **own})
    if "lm" in made_from:
        kept.pop("lm", None)
        if made_from["lm"]:
            texts = [each[0] for each in made_from["lm"].get("text", [])]
            kept["lm"] = {**made_from["lm"]["lm"], "text": texts}
    if made_from.get("tune"):
        found = _json(folder / "tuning" / f"{decoder}.json").get("best", {}).get("settings", {})
        kept["decoder"] = {**kept["decoder"], **(made_from.get("weights") or found)}
    return kept


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - JSON
    """`{"model": {"dim": 192}}` -> `("model.dim", 192)`."""
    if isinstance(value, list) and any(isinstance(each, dict) for each in value):
        value = {str(place): each for place, each in enumerate(value, 1)}
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _flat(each, f"{path}.{key}".lstrip("."))
    else:
        yield path, value


def _json(place: Path) -> dict[str, Any]:
    """What the file holds; nothing where it is not there, or damaged."""
    try:
        found: dict[str, Any] = json.loads(place.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return found
