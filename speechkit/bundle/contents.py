"""What a bundle holds: files of a run's folder under their names there, and the sums of all.

Unpacked it is a run's folder again, less checkpoints, emissions and recordings.
"""

import hashlib
import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from speechkit.bundle.archive import MANIFEST, WEIGHTS, Archive
from speechkit.component import findings
from speechkit.errors import BundleError
from speechkit.scoring.scores import Lines, Score

_FORMAT = "speechkit bundle 1"
RECIPE, SCORES = "recipe.toml", "scores.json"
NEEDED = (RECIPE, SCORES, "environment.json", "stages.json")
"""Of every run that has scores."""
FOUND = ("audit.json", "metrics.jsonl")
"""Of most runs."""
_NAMES = re.compile(r"decoded/[^/]+/[^/]+\.jsonl|tuning/[^/]+\.json")
_PROGRAMS = (".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".bin", ".npy", ".joblib", ".py")
_ARCHIVES = (".zip", ".gz", ".xz", ".bz2", ".zst", ".tar", ".tgz", ".7z", ".rar")
_SHOWN = 200  # characters of what is wrong


@dataclass(frozen=True)
class _Line:
    """What is read of a decoded utterance."""

    id: str
    reference: str
    hypothesis: str
    speaker: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class _File:
    bytes: int
    sha256: str


@dataclass(frozen=True)
class _Manifest:
    format: str
    name: str
    files: dict[str, _File]


_LINE = TypeAdapter(_Line)
_ROW = TypeAdapter(Score)
_FIELDS = {each.name for each in fields(Score)} - {"measures"}
_RAW = TypeAdapter(list[dict[str, Any]])
_MANIFEST = TypeAdapter(_Manifest)


@dataclass(frozen=True)
class Contents:
    """A bundle, read.

    name      of the run
    sum       SHA-256 of the manifest, which stands for all files: equal bundles have equal ones
    sizes     bytes of each file
    changed   files that are not what they were, and how so
    recipe, environment, stages, audit  what these files hold
    rows      of scores.json, with the numbers that each has
    decoded   by test and decoder
    """

    name: str
    sum: str
    sizes: Mapping[str, int]
    changed: Mapping[str, str]
    recipe: Mapping[str, Any]
    environment: Mapping[str, Any]
    stages: Mapping[str, Any]
    audit: Mapping[str, Any]
    rows: Sequence[tuple[Score, frozenset[str]]]
    decoded: Mapping[tuple[str, str], Lines]


def decoded_name(test: str, decoder: str) -> str:
    """Where references and hypotheses are."""
    return f"decoded/{decoder}/{test}.jsonl"


def manifest(name: str, sums: Mapping[str, tuple[int, str]]) -> bytes:
    """The manifest of files, by their bytes and SHA-256. There is one way to write it."""
    files = {each: {"bytes": size, "sha256": sum_} for each, (size, sum_) in sorted(sums.items())}
    value = {"format": _FORMAT, "name": name, "files": files}
    return (json.dumps(value, ensure_ascii=False, indent=1) + "\n").encode()


def read_contents(archive: Archive) -> Contents:
    """Read a bundle, whose archive has been opened.

    Raises:
        BundleError: it is damaged, or holds what no bundle does.
    """
    for name in archive.sizes:
        _check_known(name)
    listed = archive.read(MANIFEST)
    noted = _manifest(listed)
    others = archive.sizes.keys() - {MANIFEST}
    sums = {name: (archive.sizes[name], archive.sha256(name)) for name in others}
    changed = dict(_changed(sums, _sums(noted)))
    if noted.name != archive.name:
        changed[MANIFEST] = f"is that of {noted.name}, not of {archive.name}"
    elif listed != manifest(archive.name, _sums(noted)):
        changed[MANIFEST] = "is not as speechkit writes it"
    stages = _table(archive, "stages.json")
    rows = _rows(archive)
    for name, sum_ in _as_noted(stages, [row for row, _ in rows]):
        if sum_ and name in sums and sums[name][1] != sum_:
            changed.setdefault(name, "is not what the run's stages.json says it made")
    return Contents(
        name=archive.name,
        sum=hashlib.sha256(listed).hexdigest(),
        sizes=archive.sizes,
        changed=dict(sorted(changed.items())),
        recipe=_recipe(archive),
        environment=_table(archive, "environment.json"),
        stages=stages,
        audit=_table(archive, "audit.json") if "audit.json" in archive.sizes else {},
        rows=rows,
        decoded={
            (row.test, row.decoder): _decoded(archive, decoded_name(row.test, row.decoder))
            for row, _ in rows
        },
    )


def _check_known(name: str) -> None:
    if name in {MANIFEST, WEIGHTS, *NEEDED, *FOUND} or _NAMES.fullmatch(name):
        return
    lower = name.lower()
    if lower.endswith(_PROGRAMS):
        why = "a bundle holds texts and, at most, safetensors: nothing that could run"
    elif lower.endswith(_ARCHIVES):
        why = "a bundle holds no other archive"
    else:
        why = "a bundle has no such file"
    raise BundleError(f"{name!r} is in it: {why}")


def _manifest(text: bytes) -> _Manifest:
    try:
        noted = _MANIFEST.validate_json(text, strict=True)
    except ValidationError as error:
        raise _malformed(MANIFEST, error) from None
    if noted.format != _FORMAT:
        raise BundleError(
            f"the bundle has the format {noted.format[:_SHOWN]!r}, not {_FORMAT!r}",
            hint="another version of speechkit wrote it: install that one",
        )
    return noted


def _sums(noted: _Manifest) -> dict[str, tuple[int, str]]:
    return {name: (each.bytes, each.sha256) for name, each in noted.files.items()}


def _changed(
    found: Mapping[str, tuple[int, str]], noted: Mapping[str, tuple[int, str]]
) -> Iterator[tuple[str, str]]:
    for name in found.keys() | noted.keys():
        if name not in found:
            yield name, "is missing"
        elif name not in noted:
            yield name, "is not in the manifest"
        elif found[name] != noted[name]:
            yield name, "is not what the manifest says: it was changed"


def _as_noted(stages: Mapping[str, Any], rows: Sequence[Score]) -> Iterator[tuple[str, Any]]:
    """The sums of files that the run noted when it had made them."""
    made = {decoded_name(row.test, row.decoder): f"decode {row.decoder} {row.test}" for row in rows}
    for name, stage in {WEIGHTS: "train", **made}.items():
        note = stages.get(stage)
        yield name, note.get("sha256") if isinstance(note, dict) else None


def _recipe(archive: Archive) -> dict[str, Any]:
    try:
        return tomllib.loads(archive.read(RECIPE).decode())
    except (ValueError, RecursionError) as error:
        raise _malformed(RECIPE, error) from None


def _table(archive: Archive, name: str) -> dict[str, Any]:
    """What a JSON file holds."""
    try:
        found = from_json(archive.read(name))
    except ValueError as error:
        raise _malformed(name, error) from None
    if not isinstance(found, dict):
        raise BundleError(f"{name} holds no table")
    return found


def _rows(archive: Archive) -> list[tuple[Score, frozenset[str]]]:
    try:
        raw = _RAW.validate_json(archive.read(SCORES), strict=True)
        rows = [_row(each) for each in raw]
    except ValueError as error:
        raise _malformed(SCORES, error) from None
    if not rows:
        raise BundleError(f"{SCORES} holds no score")
    seen = {decoded_name(row.test, row.decoder) for row in rows}
    if len(seen) < len(rows):
        raise BundleError(f"{SCORES} has two rows of one test and decoder")
    decoded = {name for name in archive.sizes if name.startswith("decoded/")}
    if lone := sorted(decoded - seen):
        raise BundleError(f"{lone[0]!r} is in it, and no score of it")
    return [(row, frozenset(each)) for row, each in zip(rows, raw, strict=True)]


def _row(raw: Mapping[str, Any]) -> Score:
    """What scores.json says of a test; the numbers of other protocols have keys of their own."""
    own = {key: each for key, each in raw.items() if key in _FIELDS}
    measures = {key: each for key, each in raw.items() if key not in _FIELDS and each is not None}
    return _ROW.validate_json(json.dumps({**own, "measures": measures}), strict=True)


def _decoded(archive: Archive, name: str) -> Lines:
    try:
        return [
            vars(_LINE.validate_json(line, strict=True))
            for line in archive.read(name).split(b"\n")
            if line
        ]
    except ValidationError as error:
        raise _malformed(name, error) from None


def _malformed(name: str, error: Exception) -> BundleError:
    """What to say of a file that is not what its name says."""
    what = findings(error)[0] if isinstance(error, ValidationError) else str(error)
    return BundleError(f"{name!r} cannot be read: {what[:_SHOWN]!r}")
