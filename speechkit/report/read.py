"""What a run left in its folder, as far as a report tells of it."""

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from speechkit.data.files import sha256
from speechkit.errors import RunError
from speechkit.scoring.scores import Lines, Score, read_decoded, read_scores

_REVISION = 1  # of the report: raised when it would look otherwise, so that runs write it anew


@dataclass(frozen=True)
class Run:
    """A run, read.

    recipe_lines  of recipe.toml, as they are
    metrics       lines of metrics.jsonl by their kind, in order
    decoded       test -> decoder -> lines; tests and decoders as scores.json has them
    tunings       what `tuning/DECODER.json` holds, by decoder
    audit         what audit.json holds: "findings", and perhaps a "verdict"; None without one
    """

    folder: Path
    recipe: Mapping[str, Any]
    recipe_lines: Sequence[str]
    environment: Mapping[str, Any]
    stages: Mapping[str, Any]
    metrics: Mapping[str, Sequence[Mapping[str, Any]]]
    scores: Sequence[Score]
    decoded: Mapping[str, Mapping[str, Lines]]
    tunings: Mapping[str, Mapping[str, Any]]
    audit: Mapping[str, Any] | None

    @property
    def decoder(self) -> str:
        """The one used last."""
        return str(self.recipe.get("decoder", {}).get("use", "")).replace(":", "-")

    def chosen_decoder(self, test: str) -> str:
        """The one whose words are shown: that used last, if it decoded this test."""
        known = list(self.decoded[test])
        return self.decoder if self.decoder in known else known[-1]

    @property
    def decoders(self) -> list[str]:
        """All, in the order of their first scores."""
        return list(dict.fromkeys(row.decoder for row in self.scores))

    @property
    def parameters(self) -> int | None:
        """Of the model; None where the run does not say."""
        sizes = (each.get("measured", {}).get("parameters") for each in self.stages.values())
        return next((int(size) for size in sizes if size), None)

    @property
    def epochs(self) -> int | None:
        """That were learnt; None where none ended."""
        ended = self.metrics.get("epoch", [])
        return int(ended[-1]["epoch"]) if ended else None

    @property
    def training_seconds(self) -> float | None:
        """That the epochs took, validations apart; None where the run does not say.

        Runs that note no seconds note their speed: then it is of all the speech there is, about
        what it was where epochs leave some out.
        """
        epochs, speech = self.metrics.get("efficiency", []), self.part("train").get("seconds")
        if not epochs or not (speech or all("seconds" in each for each in epochs)):
            return None
        return float(sum(each.get("seconds") or speech / each["speed"] for each in epochs))

    def part(self, name: str) -> Mapping[str, Any]:
        """What the audit counted in a corpus, if it did: "utterances", "seconds", "speakers"."""
        found: Mapping[str, Any] = ((self.audit or {}).get("parts") or {}).get(name) or {}
        return found

    def emissions(self, test: str) -> Path:
        """Where those of a test are."""
        return self.folder / "emissions" / f"{test}.safetensors"


def read_run(folder: Path) -> Run:
    """Read a run's folder; what is not there is left out, but the recipe and the scores.

    Raises:
        RunError: there is no run, or it has no scores.
    """
    text = _text(folder / "recipe.toml")
    if text is None:
        raise RunError(f"{folder} holds no run: there is no recipe.toml")
    try:
        recipe = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RunError(f"{folder / 'recipe.toml'}: {error}") from None
    decoded: dict[str, dict[str, Lines]] = {}
    scores = []
    for row in read_scores(folder / "scores.json"):
        place = folder / "decoded" / row.decoder / f"{row.test}.jsonl"
        if place.is_file():
            scores.append(row)
            decoded.setdefault(row.test, {})[row.decoder] = read_decoded(place)
    if not scores:
        raise RunError(
            f"{folder} has no scores to report", hint="carry its recipe out first: speechkit run"
        )
    metrics: dict[str, list[Mapping[str, Any]]] = {}
    for line in (_text(folder / "metrics.jsonl") or "").splitlines():
        try:
            values = json.loads(line)
        except ValueError:
            continue  # the last line of a run that was killed while it wrote
        metrics.setdefault(values["kind"], []).append(values)
    tunings = {each.stem: _json(each) for each in sorted((folder / "tuning").glob("*.json"))}
    used = {row.decoder for row in scores}
    return Run(
        folder,
        recipe,
        text.splitlines(),
        _json(folder / "environment.json") or {},
        _json(folder / "stages.json") or {},
        metrics,
        scores,
        decoded,
        {name: found for name, found in tunings.items() if found and name in used},
        _audit(_json(folder / "audit.json")),
    )


def sources(folder: Path) -> dict[str, Any]:
    """Changes when a report of the run in `folder` would."""
    files = [
        folder / name
        for name in ("recipe.toml", "environment.json", "metrics.jsonl", "scores.json")
    ]
    files += [folder / "audit.json", *folder.glob("tuning/*.json"), *folder.glob("decoded/*/*")]
    known = {str(each.relative_to(folder)): sha256(each) for each in files if each.is_file()}
    return {"revision": _REVISION, "files": known}


def _audit(found: Any) -> Mapping[str, Any] | None:  # noqa: ANN401 - JSON
    """Findings, alone or beside a verdict."""
    audit = {"findings": found} if isinstance(found, list) else found
    if not isinstance(audit, dict) or not isinstance(audit.get("findings"), list):
        return None
    return {**audit, "findings": [each for each in audit["findings"] if isinstance(each, dict)]}


def _text(place: Path) -> str | None:
    try:
        return place.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None


def _json(place: Path) -> Any:  # noqa: ANN401 - JSON
    """What the file holds; None where it is not there, or damaged."""
    try:
        return json.loads(_text(place) or "")
    except ValueError:
        return None
