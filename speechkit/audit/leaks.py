"""What the parts that are scored share with what a system has learnt from.

Learnt from: the training part, the LM text, and, of a test, the validation part, on which weights
and settings are chosen. Two tests may share what they like: each is scored by itself.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from speechkit.audit.findings import Example, Finding, Severity
from speechkit.audit.sequences import ORDER, Sequences
from speechkit.corpora import TRAIN, VALIDATION
from speechkit.data.store import Store
from speechkit.data.text import TextRules, read_lines
from speechkit.reporter import Advance

LEAK_KINDS = {"shared-speakers", "shared-audio", "shared-texts", "shared-sequences"}

_EXAMPLES = 5
_LINES_AT_ONCE = 4096
_SHORT = 4  # words: shorter sentences are in any large text by chance
_GRAVE_SHARE = 0.01  # of a test's utterances
_GRAVE_SEQUENCES, _SOME_SEQUENCES = 0.1, 0.01  # of a test's 6-grams; some are everyday phrases

_SPLIT = (
    "split by speaker: of a corpus read by `files`, share = [0.0, 0.9] and the like (share_by = "
    '"speaker", the default); if they are other people of the same name, make the names differ'
)
_AUDIO = "take the recordings out of one of the parts; of near copies no trace is seen here"
_TEXTS = {
    "part": "keep the sentences of what is scored out of training, or report error rates on new "
    "sentences beside these",
    "lm": "take the lines out of the LM text, or take a text that is older than the test's source",
}


@dataclass(frozen=True)
class Speech:
    """A part: what was prepared, and its texts under the text rules."""

    store: Store
    texts: Sequence[str]


def leaks(
    parts: Mapping[str, Speech], lm_text: Sequence[Path], rules: TextRules, advance: Advance
) -> Iterator[Finding]:
    """What is shared, in the order of the parts.

    It reads names, digests and texts: no audio, and of the LM text a few thousand lines at a time.
    Memory is that of the texts of the parts.

    Args:
        parts: by name.
        lm_text: files, one sentence or paragraph a line.
        rules: are applied to the LM text.
        advance: called with lines of LM text done.

    Raises:
        DataError: a file that cannot be read.
    """
    for source in (TRAIN, VALIDATION):
        scored = _scored(parts, source)
        if source in parts and scored:
            for name, test in scored.items():
                yield from _speakers(source, parts[source], name, test)
                yield from _audio(source, parts[source], name, test)
            yield from _texts(source, iter(parts[source].texts), scored, parts[source].store.ids)
    scored = _scored(parts, TRAIN)
    done = 0
    for file in lm_text if scored else []:

        def lines(file: Path = file) -> Iterator[str]:
            nonlocal done
            for line in read_lines(file):
                done += 1
                if done % 1000 == 0:
                    advance(done, None, "")
                yield rules.normalize(line)

        yield from _texts(f"LM text {file.name}", lines(), scored, None)


def _scored(parts: Mapping[str, Speech], source: str) -> dict[str, Speech]:
    return {name: part for name, part in parts.items() if name not in {TRAIN, source}}


def _graver(severity: Severity, source: str) -> Severity:
    """What validation has in common with a test is used to choose, not to learn."""
    return "warning" if severity == "error" and source == VALIDATION else severity


def _speakers(source: str, learnt: Speech, name: str, test: Speech) -> Iterator[Finding]:
    before, own = (Counter(map(_person, each.store.speakers)) for each in (learnt, test))
    shared = sorted((own.keys() & before.keys()) - {""}, key=lambda each: (-own[each], each))
    if not shared:
        return
    utterances = sum(own[each] for each in shared)
    yield Finding(
        kind="shared-speakers",
        severity=_graver("error", source),
        parts=(source, name),
        count=len(shared),
        total=len(own.keys() - {""}),
        unit="speakers",
        what=f"in {source}, too; they speak {utterances:,} of {len(test.store):,} utterances",
        examples=tuple(
            Example(each, note=f"{own[each]:,} utterances here, {before[each]:,} in {source}")
            for each in shared[:_EXAMPLES]
        ),
        remedy=_SPLIT,
    )


def _person(name: str) -> str:
    return " ".join(name.split()).casefold()


def _audio(source: str, learnt: Speech, name: str, test: Speech) -> Iterator[Finding]:
    before = dict(zip(learnt.store.sound().digests, learnt.store.ids, strict=True))
    digests = test.store.sound().digests
    shared = [place for place, each in enumerate(digests) if each in before]
    if not shared:
        return
    yield Finding(
        kind="shared-audio",
        severity=_graver("error", source),
        parts=(source, name),
        count=len(shared),
        total=len(test.store),
        unit="utterances",
        what=f"the very recording is in {source}, too",
        examples=tuple(
            Example(
                test.store.ids[place],
                test.store.texts[place],
                f"{before[digests[place]]} in {source}",
            )
            for place in shared[:_EXAMPLES]
        ),
        remedy=_AUDIO,
    )


def _texts(
    source: str, lines: Iterator[str], scored: Mapping[str, Speech], ids: Sequence[str] | None
) -> Iterator[Finding]:
    """What the texts of the scored parts share with a stream of `lines`, whose `ids` may be known.

    The lines are read once, for all the parts.
    """
    where: dict[str, str] = {}  # a text that is shared, and the first line that is the same
    wanted = {text for part in scored.values() for text in part.texts if text}
    every = [text for part in scored.values() for text in part.texts]
    sequences = Sequences.of(every)
    search = sequences.search()
    numbered = enumerate(lines, 1)
    while chunk := list(islice(numbered, _LINES_AT_ONCE)):
        search.add(line for _, line in chunk)
        for number, line in chunk:
            if line in wanted and line not in where:
                where[line] = ids[number - 1] if ids else f"line {number:,}"
    found = search.found
    begin = 0
    for name, part in scored.items():
        end = begin + len(part.texts)
        mine = (sequences.owner >= begin) & (sequences.owner < end)
        yield from _exact(source, where, name, part, is_lm=ids is None)
        yield from _sequences(
            source,
            found,
            (sequences.owner[mine] - begin, sequences.gram[mine]),
            name,
            part,
            is_lm=ids is None,
        )
        begin = end


def _exact(
    source: str, where: Mapping[str, str], name: str, part: Speech, *, is_lm: bool
) -> Iterator[Finding]:
    shared = [place for place, text in enumerate(part.texts) if text in where]
    if not shared:
        return
    long = [place for place in shared if len(part.texts[place].split()) >= _SHORT]
    share = len(long) / len(part.texts)
    severity: Severity = "error" if share >= _GRAVE_SHARE else "warning" if long else "note"
    only_short = "" if long else f"; all have fewer than {_SHORT} words"
    different = len({part.texts[place] for place in shared})
    yield Finding(
        kind="shared-texts",
        severity=_graver(severity, source),
        parts=(source, name),
        count=len(shared),
        total=len(part.texts),
        unit="utterances",
        what=f"exactly the same text is in {source}; {different:,} different texts{only_short}",
        examples=tuple(
            Example(
                part.store.ids[place],
                part.store.texts[place],
                f"{where[part.texts[place]]} in {source}",
            )
            for place in _each_once(sorted(shared, key=lambda at: -len(part.texts[at])), part)
        ),
        remedy=_TEXTS["lm" if is_lm else "part"],
    )


def _each_once(places: Sequence[int], part: Speech) -> list[int]:
    """The first few utterances with different texts."""
    return list({part.texts[place]: place for place in reversed(places)}.values())[::-1][:_EXAMPLES]


def _sequences(
    source: str,
    found: NDArray[np.bool_],
    grams: tuple[NDArray[np.int64], NDArray[np.int64]],
    name: str,
    part: Speech,
    *,
    is_lm: bool,
) -> Iterator[Finding]:
    owner, gram = grams
    distinct = np.unique(gram)
    count = int(found[distinct].sum())
    if not count:
        return
    of = np.bincount(owner, minlength=len(part.texts))
    inside = np.bincount(owner, weights=found[gram], minlength=len(part.texts))
    whole = np.flatnonzero((of > 0) & (inside == of))
    share, whole_share = count / len(distinct), len(whole) / len(part.texts)
    severity: Severity = "note"
    if share >= _GRAVE_SEQUENCES or whole_share >= _GRAVE_SHARE:
        severity = "error"
    elif share >= _SOME_SEQUENCES or len(whole):
        severity = "warning"
    order = np.argsort(-(inside / np.maximum(of, 1)), kind="stable")
    yield Finding(
        kind="shared-sequences",
        severity=_graver(severity, source),
        parts=(source, name),
        count=count,
        total=len(distinct),
        unit=f"word {ORDER}-grams",
        what=f"in {source}, too ({share:.1%}); {len(whole):,} of {len(part.texts):,} utterances "
        "are found there whole, word by word",
        examples=tuple(
            Example(
                part.store.ids[place],
                part.store.texts[place],
                f"{int(inside[place])} of its {of[place]} {ORDER}-grams",
            )
            for place in _each_once([at for at in order.tolist() if inside[at]], part)
        ),
        remedy=_TEXTS["lm" if is_lm else "part"],
    )
