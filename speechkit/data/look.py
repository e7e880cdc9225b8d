"""What a corpus holds, as the recipe's rules see it: lengths, words, characters, and what is odd.

It measures a prepared store and prints nothing; nothing is trained.
"""

import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from speechkit.data.store import Store
from speechkit.data.text import TextRules
from speechkit.interfaces import TextRule, Units
from speechkit.settings import TextSettings, TrainSettings

_BINS = 10  # of a histogram, at most
_WIDTHS = tuple(step * 10.0**power for power in range(-2, 5) for step in (1, 2, 5))  # seconds
_TAIL, _FAR = 0.05, 2.0  # unusual is what is over twice as far as all but 5 % of the part
_FEW = 20  # utterances of which nothing can be said to be unusual
_EXAMPLES = 3
_EXCERPT = 20  # characters of a text on each side of the one that is shown


@dataclass(frozen=True)
class Utterance:
    """One utterance, as an example. `text` is as written."""

    id: str
    seconds: float
    text: str


@dataclass(frozen=True)
class Outsider:
    """A character outside the alphabet: how often, in how many utterances, and one of them.

    character  as the text rules meet it: in their case and Unicode form
    """

    character: str
    count: int
    utterances: int
    id: str
    excerpt: str


@dataclass(frozen=True)
class Oddity:
    """Utterances to look at: what is odd about them, how many, the oddest first.

    kind  a name for scripts, which says the same of any part
    """

    kind: str
    what: str
    count: int
    examples: tuple[Utterance, ...]


@dataclass(frozen=True)
class Histogram:
    """How long utterances last: `counts[n]` of them from `first + n * width` seconds on."""

    first: float
    width: float
    counts: tuple[int, ...]


@dataclass(frozen=True)
class Look:
    """What one part of a recipe's speech holds.

    corpus       the component it comes from
    kind         "audio" or "features"
    speakers     0 where the corpus does not name them
    characters   of all texts under the text rules, the space among them; most frequent first
    unused       letters of the alphabet that no text has
    punctuation  what else is written: it becomes a space or nothing, and no letter is lost
    outside      characters outside the alphabet, most frequent first
    with_outside utterances that have any of them
    skipped      utterances that could not be read and were left out
    """

    name: str
    corpus: str
    kind: str
    utterances: int
    seconds: float
    speakers: int
    words: int
    distinct_words: int
    characters: dict[str, int]
    unused: tuple[str, ...]
    punctuation: dict[str, int]
    outside: tuple[Outsider, ...]
    with_outside: int
    shortest: Utterance
    median_seconds: float
    longest: Utterance
    histogram: Histogram
    oddities: tuple[Oddity, ...]
    skipped: int


def look(
    store: Store,
    text: TextSettings,
    units: Units,
    *,
    name: str,
    corpus: str,
    frame_shift_seconds: float,
    train: TrainSettings | None = None,
    own_rules: Sequence[TextRule] = (),
    progress: Callable[[int, int | None, str], None] = lambda *_: None,
) -> Look:
    """Measure a prepared corpus.

    Args:
        store: the utterances.
        text: the recipe's text rules; what they take for an error is counted, too.
        units: text to labels.
        name: the part's.
        corpus: the component it comes from.
        frame_shift_seconds: from one frame of emissions to the next.
        train: the settings of a training on this part; None where it is not trained on.
        own_rules: text rules of plugins.
        progress: called with utterances done and their number.
    """
    texts, outsiders = _Texts(text, own_rules), _Outsiders()
    for done, (id_, written) in enumerate(zip(store.ids, store.texts, strict=True), 1):
        outsiders.add(texts.add(written), id_, written)
        progress(done, len(store), "")
    words = Counter(word for each in texts.normal for word in each.split())
    characters = Counter(character for each in texts.normal for character in each)
    seconds = store.seconds
    order = np.argsort(seconds, kind="stable")
    return Look(
        name=name,
        corpus=corpus,
        kind=store.meta.kind,
        utterances=len(store),
        seconds=float(seconds.sum()),
        speakers=len(set(store.speakers) - {""}),
        words=words.total(),
        distinct_words=len(words),
        characters=dict(characters.most_common()),
        unused=tuple(each for each in text.alphabet if each not in characters),
        punctuation=texts.punctuation(),
        outside=outsiders.found(),
        with_outside=outsiders.total,
        shortest=_utterance(store, order[0]),
        median_seconds=float(np.median(seconds)),
        longest=_utterance(store, order[-1]),
        histogram=histogram(seconds),
        oddities=_oddities(store, texts.normal, units, frame_shift_seconds, train),
        skipped=len(store.meta.skipped),
    )


class _Texts:
    """Texts under the rules, and what was written in them."""

    def __init__(self, settings: TextSettings, own_rules: Sequence[TextRule]) -> None:
        self.rules = TextRules(settings.model_copy(update={"outside": "remove"}), own_rules)
        self.normal: list[str] = []
        self.written: Counter[str] = Counter()

    def add(self, text: str) -> Counter[str]:
        """Apply the rules to a text; gives its characters outside the alphabet."""
        self.rules.removed = Counter()
        self.normal.append(self.rules.normalize(text))
        self.written.update(unicodedata.normalize(self.rules.settings.normalization, text))
        return self.rules.removed

    def punctuation(self) -> dict[str, int]:
        """Characters of which, alone, nothing is left, and that are not counted as outside."""
        self.rules.removed = Counter()
        gone = Counter[str]()
        for character, count in self.written.items():
            before = self.rules.removed.total()
            left = self.rules.normalize(character)
            if not left and not character.isspace() and self.rules.removed.total() == before:
                gone[character] = count
        return dict(gone.most_common())


@dataclass
class _Outsiders:
    """Characters outside the alphabet, counted, with where each was first seen."""

    count: Counter[str] = field(default_factory=Counter)
    utterances: Counter[str] = field(default_factory=Counter)
    first: dict[str, tuple[str, str]] = field(default_factory=dict)
    total: int = 0  # utterances with any

    def add(self, removed: Counter[str], id_: str, text: str) -> None:
        self.total += bool(removed)
        self.count.update(removed)
        self.utterances.update(removed.keys())
        for character in removed:
            if character not in self.first:
                self.first[character] = (id_, _excerpt(text, character))

    def found(self) -> tuple[Outsider, ...]:
        by_count = sorted(self.count.items(), key=lambda item: (-item[1], item[0]))
        return tuple(
            Outsider(character, count, self.utterances[character], *self.first[character])
            for character, count in by_count
        )


def _excerpt(text: str, character: str) -> str:
    """The part of `text` around `character`, whose case may be another there."""
    text = " ".join(unicodedata.normalize("NFC", text).split())
    alike = {character, character.lower(), character.upper()}
    place = next((place for place, each in enumerate(text) if each in alike), 0)
    first, last = max(0, place - _EXCERPT), place + 1 + _EXCERPT
    begin, end = "…" if first else "", "…" if last < len(text) else ""
    return f"{begin}{text[first:last].strip()}{end}"


def histogram(seconds: NDArray[np.float64]) -> Histogram:
    """Count lengths in bins of a round width, at most ten of them.

    >>> histogram(np.array([0.5, 3.0, 3.5, 19.0]))
    Histogram(first=0.0, width=2.0, counts=(1, 2, 0, 0, 0, 0, 0, 0, 0, 1))
    """
    shortest, longest = float(seconds.min()), float(seconds.max())
    for width in _WIDTHS:
        first = np.floor(shortest / width)
        bins = int(np.floor(longest / width) - first) + 1
        if bins <= _BINS:
            break
    places = np.clip(np.floor(seconds / width) - first, 0, bins - 1).astype(np.int64)
    counts = np.bincount(places, minlength=bins)
    return Histogram(float(first * width), width, tuple(counts.tolist()))


def _oddities(
    store: Store,
    texts: Sequence[str],
    units: Units,
    frame_shift_seconds: float,
    train: TrainSettings | None,
) -> tuple[Oddity, ...]:
    seconds = store.seconds
    labels = [units.encode(each) for each in texts]
    spare = seconds / frame_shift_seconds - np.array([frames_needed(each) for each in labels])
    empty = np.array([not each for each in labels])
    rate = np.array([len(each) for each in texts]) / seconds
    said = np.flatnonzero(~empty)
    slow, fast = _far_out(rate, said)
    short, long = _far_out(seconds, np.arange(len(store)))
    found = [
        ("no-text", "no text is left under the text rules", empty, -seconds),
        ("labels-over-frames", "more labels than frames", spare < 0, spare),
        ("fast", "spoken unusually fast for their text", fast & (spare >= 0), -rate),
        ("slow", "spoken unusually slowly for their text", slow, rate),
        ("short", "unusually short", short, seconds),
        ("long", "unusually long", long, -seconds),
    ]
    if train:
        least, most = train.min_seconds, train.max_seconds
        under, over = f"train.min_seconds = {least:g}", f"train.max_seconds = {most:g}"
        found += [
            ("below-min-seconds", f"shorter than {under}", seconds < least, seconds),
            ("above-max-seconds", f"longer than {over}", seconds > most, -seconds),
        ]
    return tuple(
        Oddity(kind, what, int(bad.sum()), _examples(store, bad, order))
        for kind, what, bad, order in found
        if bad.any()
    )


def frames_needed(labels: Sequence[int]) -> int:
    """CTC needs a frame for each label, and a blank between two that are alike.

    >>> frames_needed([1, 2, 2])
    4
    """
    return len(labels) + sum(one == following for one, following in pairwise(labels))


def _far_out(
    values: NDArray[np.float64], chosen: NDArray[np.int64]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which of the `chosen` values are far below the others, and which far above."""
    low, high = np.zeros(len(values), dtype=bool), np.zeros(len(values), dtype=bool)
    if len(chosen) >= _FEW:
        small, large = np.quantile(values[chosen], [_TAIL, 1 - _TAIL])
        low[chosen] = values[chosen] < small / _FAR
        high[chosen] = values[chosen] > large * _FAR
    return low, high


def _examples(
    store: Store, bad: NDArray[np.bool_], order: NDArray[np.float64]
) -> tuple[Utterance, ...]:
    places = np.flatnonzero(bad)
    places = places[np.argsort(order[places], kind="stable")]
    return tuple(_utterance(store, place) for place in places[:_EXAMPLES])


def _utterance(store: Store, place: np.int64) -> Utterance:
    return Utterance(store.ids[place], float(store.seconds[place]), store.texts[place])
