"""What model.json says, read and checked."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from speechkit.component import findings
from speechkit.data.files import sha256
from speechkit.errors import ModelError

FACTS, CARD, RECIPE, WEIGHTS, LM = (
    "model.json",
    "README.md",
    "recipe.toml",
    "model.safetensors",
    "lm",
)
FORMAT = "speechkit pretrained model"
VERSION = 1

_AGAIN = "install its distribution again, or copy the folder again"


@dataclass(frozen=True)
class File:
    """What a file of the folder was when it was written."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class Result:
    """Error rates of these very weights on a test, as `scores.json` has them.

    run_wer  the run's own, with its weights in float32 and its language model
    changed  utterances whose text is not the run's, where no language model has a say; None where
             the run did not decode the test so
    """

    test: str
    decoder: str
    wer: float
    wer_low: float | None
    wer_high: float | None
    interval: str | None
    cer: float
    utterances: int
    words: int
    speakers: int
    run_wer: float | None
    changed: int | None


@dataclass(frozen=True)
class Learnt:
    """How the weights came to be; None where the run did not say.

    corpora  the parts of the recipe it was trained and validated on
    seconds  training took, validations apart
    threads  of each of the processes that trained together
    """

    run: str
    corpora: Mapping[str, str]
    utterances: int | None
    speakers: int | None
    hours: float | None
    epochs: int | None
    seconds: float | None
    device: str
    threads: int | None
    seed: int
    speechkit: str
    processes: int | None = None


@dataclass(frozen=True)
class Facts:
    """What a pretrained model is.

    licence     of the weights and of the speech they learnt from, as its maker states
    notes       what else its maker says
    precision   of the weights: float32, float16 or int8
    decoder     used unless another is asked for
    command     that made the folder
    files       by their names in the folder
    """

    format: str
    version: int
    name: str
    description: str
    language: str
    licence: str
    notes: Sequence[str]
    parameters: int
    precision: str
    sample_rate: int
    frame_shift_seconds: float
    alphabet: str
    parts: Mapping[str, str]
    decoder: str
    results: Sequence[Result]
    learnt: Learnt
    command: str
    files: Mapping[str, File]

    @property
    def bytes(self) -> int:
        """Of all files but model.json itself and the card."""
        return sum(each.bytes for each in self.files.values())

    def best(self) -> Sequence[Result]:
        """Of each test the row of the model's own decoder."""
        used = self.decoder.replace(":", "-")  # as a run's folders are called
        return [each for each in self.results if each.decoder == used]


_FACTS = TypeAdapter(Facts)
_SUM = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"recipe\.toml|model\.safetensors|lm/[A-Za-z0-9_-]+\.safetensors")


def is_pretrained(place: Path) -> bool:
    """Whether it is the folder of a pretrained model."""
    return (place / FACTS).is_file()


def read_facts(folder: Path) -> Facts:
    """What the model in `folder` is; its other files are not looked at.

    Raises:
        ModelError: model.json is none, damaged, or of a newer speechkit.
    """
    place = folder / FACTS
    try:
        text = place.read_bytes()
        found: Any = json.loads(text)
    except OSError as error:
        raise ModelError(f"{place}: cannot be read: {error.strerror}", hint=_AGAIN) from None
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{place}: is damaged: {error}", hint=_AGAIN) from None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise ModelError(f"{place}: is no {FORMAT}", hint="`speechkit models make` writes one")
    version = found.get("version")
    if isinstance(version, int) and version > VERSION:
        raise ModelError(
            f"{place}: has version {version} of the format, this speechkit reads up to {VERSION}",
            hint="upgrade speechkit: pip install --upgrade speechkit",
        )
    try:
        facts = _FACTS.validate_json(text, strict=True)
    except ValidationError as error:
        raise ModelError(f"{place}: is damaged: {findings(error)[0]}", hint=_AGAIN) from None
    for name, file in facts.files.items():
        if not _NAME.fullmatch(name) or not _SUM.fullmatch(file.sha256):
            raise ModelError(f"{place}: lists {name!r}, which no model has", hint=_AGAIN)
    if WEIGHTS not in facts.files or RECIPE not in facts.files:
        raise ModelError(f"{place}: is damaged: it lists no {WEIGHTS} and {RECIPE}", hint=_AGAIN)
    return facts


def verified(folder: Path) -> Facts:
    """The same, with every file compared with its sum.

    Raises:
        ModelError: a file is missing, or not what it was.
    """
    facts = read_facts(folder)
    for name, file in facts.files.items():
        place = folder / name
        if not place.is_file():
            raise ModelError(f"{place} is missing", hint=_AGAIN)
        size = place.stat().st_size
        if size != file.bytes:
            raise ModelError(f"{place} has {size:,} bytes of {file.bytes:,}", hint=_AGAIN)
        if sha256(place) != file.sha256:
            raise ModelError(f"{place} is not what it was: its checksum differs", hint=_AGAIN)
    return facts
