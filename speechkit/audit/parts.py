"""What is odd in one part: its texts, its sound, and whether the two fit."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from math import log10

import numpy as np

from speechkit.audit.findings import Example, Finding, Severity
from speechkit.audit.leaks import Speech
from speechkit.data.look import Look
from speechkit.data.store import Store

_EXAMPLES = 5
_CHARACTERS = 8  # outside the alphabet, that are shown
_LONG = 40  # characters: shorter texts are alike in length by chance
_PILE, _NEAR = 5.0, 0.75  # times as many as of one of the lengths from that share of it on
_CUT_TEXTS = 3  # fewer than this may have happened by chance
_REPEATED_SHARE = 0.1


@dataclass(frozen=True)
class _Kind:
    """What a kind of finding means.

    remedy        what to do
    error_from    the share of the utterances from which it is an error
    warning_from  and a warning; below it is a note
    """

    remedy: str
    error_from: float = np.inf
    warning_from: float = 0.0

    def severity(self, share: float) -> Severity:
        """How grave it is, where a `share` of the utterances has it."""
        if share >= self.error_from:
            return "error"
        return "warning" if share >= self.warning_from else "note"


_KINDS = {
    "unreadable": _Kind("mend the files; they are left out, as [data] bad_utterances has it", 0.01),
    "no-text": _Kind(
        "is text.alphabet that of the language? training leaves them out; in a test every word "
        "recognised there counts as an error",
        0.01,
    ),
    "labels-over-frames": _Kind(
        "CTC cannot learn or give these: is the audio cut off? Else let the model give more "
        "frames (a smaller subsampling or stack), or the units fewer labels. Training leaves "
        "them out",
        0.01,
    ),
    "lost-characters": _Kind(
        "add them to text.alphabet, say what they become in text.replace, or write numbers out: "
        "else the texts lack what is spoken",
        0.05,
    ),
    "fast": _Kind("listen to them: audio that is cut off, or the text of another utterance", 0.05),
    "slow": _Kind("listen to them: a text that is cut off, long silence, or other speech", 0.05),
    "cut-words": _Kind("compare with the source: does a program or a column cut texts off?", 0.05),
    "cut-lengths": _Kind(
        "compare with the source: does a program or a column cut texts off?", 0.01
    ),
    "short": _Kind("listen to them: they may hold no speech", warning_from=np.inf),
    "long": _Kind("they make batches slow; cut them into sentences", warning_from=np.inf),
    "below-min-seconds": _Kind("training leaves them out; see train.min_seconds", 0.05, 0.01),
    "above-max-seconds": _Kind("training leaves them out; see train.max_seconds", 0.05, 0.01),
    "repeated-audio": _Kind("keep one of each: the same recording counts twice"),
    "contradictory-texts": _Kind("keep the right one: one recording has several texts", 0.0),
    "repeated-texts": _Kind(
        "nothing, if prompts were read by many; error rates then tell of few sentences",
        warning_from=np.inf,
    ),
    "silent": _Kind("listen to them, and leave out what holds no speech", 0.01),
    "clipped": _Kind("record with less gain; a few of them do no harm", warning_from=0.05),
    "unknown-speakers": _Kind(
        "name their column, speaker_column: without it no leak by speaker is seen, and intervals "
        "are over utterances",
        warning_from=np.inf,
    ),
}


ODD_KINDS = set(_KINDS)

# What was found: its kind, in words, how many utterances, and examples.
_Found = tuple[str, str, int, list[Example]]


def odd(name: str, speech: Speech, look: Look, words: Counter[str]) -> Iterator[Finding]:
    """What is odd in a part.

    It reads no audio: texts, and what was measured while the store was made.

    Args:
        name: the part's.
        speech: its store and texts.
        look: what was measured of it.
        words: of all parts' texts, how often each occurs.
    """
    store, texts = speech.store, speech.texts
    found = chain(_looked_at(store, look), _written(store, texts, words), _recorded(store, texts))
    for kind, what, count, examples in found:
        total = len(store) + (look.skipped if kind == "unreadable" else 0)
        meaning = _KINDS[kind]
        severity = meaning.severity(count / total)
        shown = tuple(examples[:_EXAMPLES])
        yield Finding(
            kind, severity, (name,), count, total, "utterances", what, shown, meaning.remedy
        )


def _at(
    store: Store, places: Sequence[int], note: Callable[[int], str] = lambda _: ""
) -> list[Example]:
    """The first of some utterances."""
    return [Example(store.ids[at], store.texts[at], note(at)) for at in places[:_EXAMPLES]]


def _looked_at(store: Store, look: Look) -> Iterator[_Found]:
    if look.skipped:
        why = [Example(id_, note=reason) for id_, reason in store.meta.skipped]
        yield "unreadable", "cannot be read, left out", look.skipped, why
    for each in look.oddities:
        examples = [Example(one.id, one.text, f"{one.seconds:.2f} s") for one in each.examples]
        yield each.kind, each.what, each.count, examples
    if look.outside:
        lost = sum(each.count for each in look.outside)
        some = [f"{each.character} {each.count:,}×" for each in look.outside[:_CHARACTERS]]
        more = [f"{len(look.outside) - _CHARACTERS} others"] * (len(look.outside) > _CHARACTERS)
        what = f"{lost:,} characters outside the alphabet are lost: {', '.join(some + more)}"
        examples = [
            Example(each.id, each.excerpt, f"{each.character} (U+{ord(each.character):04X})")
            for each in look.outside
        ]
        yield "lost-characters", what, look.with_outside, examples


def _written(store: Store, texts: Sequence[str], words: Counter[str]) -> Iterator[_Found]:
    if cut := _cut_words(texts, words):
        expected, places = cut
        what = f"the last word may be cut off; by chance it would look so in about {expected:.0f}"
        examples = _at(store, places, lambda at: f"ends in “{texts[at].split()[-1]}”")
        yield "cut-words", what, len(places), examples
    if pile := _pile(texts):
        what = f"exactly {len(texts[pile[0]])} characters, and no text has more: cut off?"
        yield "cut-lengths", what, len(pile), _at(store, pile)
    counts = Counter(text for text in texts if text)
    again = [place for place, text in enumerate(texts) if counts[text] > 1]
    if len(again) >= _REPEATED_SHARE * len(texts):
        most = list(
            {texts[at]: at for at in sorted(again, key=lambda at: counts[texts[at]])}.values()
        )
        what = f"others have the same text; there are {len(counts):,} different texts"
        examples = _at(store, most[::-1], lambda at: f"{counts[texts[at]]:,} times")
        yield "repeated-texts", what, len(again), examples


def _recorded(store: Store, texts: Sequence[str]) -> Iterator[_Found]:
    sound = store.sound()
    first: dict[str, int] = {}
    again = [at for at, each in enumerate(sound.digests) if first.setdefault(each, at) != at]

    def original(at: int) -> int:
        return first[sound.digests[at]]

    contradictory = [at for at in again if texts[at] != texts[original(at)]]
    if contradictory:
        examples = _at(
            store,
            contradictory,
            lambda at: f"the recording of {store.ids[original(at)]}: {store.texts[original(at)]}",
        )
        what = "the same recording stands here with another text, too"
        yield "contradictory-texts", what, len(contradictory), examples
    alike = [at for at in again if texts[at] == texts[original(at)]]
    if alike:
        examples = _at(store, alike, lambda at: f"the same as {store.ids[original(at)]}")
        yield "repeated-audio", "the same recording stands here before", len(alike), examples
    silent = np.flatnonzero(sound.silent(store.meta.kind)).tolist()
    if silent and store.meta.kind == "audio":
        examples = _at(store, silent, lambda at: _level(float(sound.peaks[at])))
        yield "silent", "silent, or nearly", len(silent), examples
    elif silent:
        yield "silent", "all frames are alike, as of silence", len(silent), _at(store, silent)
    clipped = np.flatnonzero(sound.clipped)
    if len(clipped):
        loudest = clipped[np.argsort(-sound.full_scale[clipped], kind="stable")].tolist()
        examples = _at(store, loudest, lambda at: f"{sound.full_scale[at]:,} samples at full scale")
        yield "clipped", "louder than could be recorded", len(loudest), examples
    if unknown := store.speakers.count(""):
        yield "unknown-speakers", "no speaker is named", unknown, []


def _level(peak: float) -> str:
    return f"at most {20 * log10(peak):.0f} dB" if peak else "digital silence"


def _cut_words(texts: Sequence[str], words: Counter[str]) -> tuple[float, list[int]] | None:
    """Texts whose last word may be the beginning of another, and how many chance would give.

    Such a word occurs nowhere else, and a longer one begins with it. Rare words do so, too: how
    often is seen at those that are not last in their text.
    """
    lexicon = sorted(words)

    def is_part(word: str) -> bool:
        after = bisect_right(lexicon, word)
        return words[word] == 1 and after < len(lexicon) and lexicon[after].startswith(word)

    split = [text.split() for text in texts]
    inner = [word for each in split for word in each[:-1]]
    places = [place for place, each in enumerate(split) if len(each) > 1 and is_part(each[-1])]
    if not inner:
        return None
    expected = sum(map(is_part, inner)) / len(inner) * len(split)
    # Counts of rare things scatter by about their root.
    if len(places) < _CUT_TEXTS or len(places) < 2 * expected + 3 * expected**0.5:
        return None
    return expected, places


def _pile(texts: Sequence[str]) -> list[int]:
    """Texts of exactly the greatest length, where they are many more than those a bit shorter."""
    counts = Counter(map(len, texts))
    longest = max(counts)
    places = [place for place, text in enumerate(texts) if len(text) == longest]
    different = len({texts[place] for place in places})  # one prompt may be read by many
    near = [count for length, count in counts.items() if _NEAR * longest <= length < longest]
    usual = sum(near) / len(near) if near else 1.0
    if longest < _LONG or different < _CUT_TEXTS or different < _PILE * usual:
        return []
    return places
