"""What an audit finds: records, how grave each is, and the verdict in words."""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


@dataclass(frozen=True)
class Example:
    """Something that was found: an utterance, a speaker, a character.

    id    of an utterance, or the name
    text  as written; empty where it does not matter
    note  what about it: its length, where else it is
    """

    id: str
    text: str = ""
    note: str = ""


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    kind      a name for scripts: "shared-speakers"
    parts     the part it is in; of a leak, the source first, then the part that is scored
    count     how many, of `total`
    unit      of what: "utterances", "speakers", "word 6-grams"
    what      in words, to follow "COUNT of TOTAL UNIT"
    examples  the clearest first
    remedy    what to do about it
    """

    kind: str
    severity: Severity
    parts: tuple[str, ...]
    count: int
    total: int
    unit: str
    what: str
    examples: tuple[Example, ...]
    remedy: str

    @property
    def is_leak(self) -> bool:
        """Whether it makes scores look better than they are."""
        return len(self.parts) == 2

    @property
    def where(self) -> str:
        """`train → test`, or the one part."""
        return " → ".join(self.parts)

    def line(self) -> str:
        """In one line: `train → test: 3 of 4 speakers: they are in train, too`."""
        return f"{self.where}: {self.count:,} of {self.total:,} {self.unit}: {self.what}"


@dataclass(frozen=True)
class Part:
    """A part of a recipe's speech that was looked at; `speakers` is 0 where none is named."""

    utterances: int
    seconds: float
    speakers: int


@dataclass(frozen=True)
class Audit:
    """What was looked at, and what was found, the gravest first.

    parts    by name: "train", "validation", the tests
    lm_text  the text files that were looked at
    streamed whether there is a training part that was not, since it is read only while it is learnt
    """

    parts: dict[str, Part]
    lm_text: tuple[str, ...]
    findings: tuple[Finding, ...]
    streamed: bool = False

    def of(self, severity: Severity) -> list[Finding]:
        """The findings of one severity."""
        return [each for each in self.findings if each.severity == severity]

    def without(self, kinds: Collection[str]) -> "Audit":
        """The same, but for findings of some kinds."""
        return replace(self, findings=tuple(f for f in self.findings if f.kind not in kinds))

    def verdict(self) -> str:
        """What follows from it, in one to four sentences."""
        on_stream = (
            ["The training part is streamed: what it shares with what is scored is not known."]
            if self.streamed
            else []
        )
        told = [self._on_leaks(), *on_stream, *self._on_unknown_speakers(), *self._on_the_rest()]
        return " ".join(filter(None, told))

    def _on_leaks(self) -> str:
        leaks = [each for each in self.findings if each.is_leak and each.severity != "note"]
        grave = [each for each in leaks if each.severity == "error"]
        if grave:
            scored = _listed([each.parts[1] for each in grave])
            known = _listed([f"{_NOUNS[each.kind]} in {each.parts[0]}" for each in grave])
            return f"Error rates of {scored} will look better than they are: {known}."
        if self.parts.keys() <= {"train"}:
            return "Nothing is scored, so nothing can leak."
        sources = [name for name in ("train",) if name in self.parts]
        sources += ["the LM text"] if self.lm_text else []
        if not sources and self.streamed:
            return ""
        if not sources:
            return "There is no training part and no LM text that what is scored could be in."
        known = " or ".join(sources)
        if leaks:
            return f"Some of what is scored is in {known}: too little to change error rates much."
        return f"No leak found: what is scored is not in {known}."

    def _on_unknown_speakers(self) -> list[str]:
        unknown = [name for name, part in self.parts.items() if not part.speakers]
        if not unknown or len(self.parts) == 1:
            return []
        return [
            f"No speakers are named in {_listed(unknown)}: whether they are shared is not known."
        ]

    def _on_the_rest(self) -> list[str]:
        bad = [each for each in self.of("error") if not each.is_leak]
        told = [f"Of the data itself, mend {_listed([each.where for each in bad])}."] if bad else []
        counts = [_counted(len(self.of(each)), each) for each in SEVERITIES if self.of(each)]
        return [*told, f"{_listed(counts)}." if counts else "Nothing else to tell."]

    def to_json(self) -> dict[str, Any]:
        """As it is kept in a run's audit.json."""
        return {
            "verdict": self.verdict(),
            "parts": {name: asdict(part) for name, part in self.parts.items()},
            "lm_text": list(self.lm_text),
            "findings": [asdict(each) for each in self.findings],
        }


_NOUNS = {
    "shared-speakers": "their speakers are",
    "shared-audio": "their recordings are",
    "shared-texts": "their texts are",
    "shared-sequences": "their word sequences are",
}


def finding_from(row: dict[str, Any]) -> Finding:
    """What `asdict` made of a finding.

    Raises:
        KeyError, TypeError: it is none.
    """
    examples = tuple(Example(**each) for each in row["examples"])
    return Finding(**{**row, "parts": tuple(row["parts"]), "examples": examples})


def ordered(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """The gravest first, leaks before the rest, one kind after the other."""
    kinds = list(dict.fromkeys(each.kind for each in findings))

    def rank(each: Finding) -> tuple[int, bool, int]:
        return SEVERITIES.index(each.severity), not each.is_leak, kinds.index(each.kind)

    return tuple(sorted(findings, key=rank))


def _listed(words: Sequence[str]) -> str:
    """Each once: `a, b and c`.

    >>> _listed(["a", "b", "a", "c"])
    'a, b and c'
    """
    once = list(dict.fromkeys(words))
    return " and ".join([", ".join(once[:-1]), once[-1]] if len(once) > 1 else once)


def _counted(count: int, word: str) -> str:
    return f"{count} {word}" + ("s" if count > 1 else "")
