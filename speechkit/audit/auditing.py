"""The audit of a recipe's data, kept in the cache until the data change."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

from speechkit.audit.findings import Audit, Finding, Part, finding_from, ordered
from speechkit.audit.leaks import Speech, leaks
from speechkit.audit.parts import odd
from speechkit.corpora import TRAIN, Corpora, frame_shift_seconds
from speechkit.data.files import cache_folder, digest, stamp, write_json
from speechkit.data.look import look
from speechkit.data.text import TextRules, text_file
from speechkit.interfaces import Units
from speechkit.reporter import Reporter

_REVISION = 1  # of what is looked for


def audit(corpora: Corpora, reporter: Reporter, *, lm_text: Sequence[Path]) -> Audit:
    """Look for leaks between a recipe's parts and LM text, and for what is odd in each part.

    A training part that is streamed is not looked at. Nothing is changed. The parts are prepared as
    a run prepares them, and no audio is read beyond that. What is found is kept in the cache: of
    data that have not changed only fingerprints are taken. Else it costs, on one slow core, 0.1 ms
    an utterance and about 1.5 s for each million words of LM text.

    Args:
        corpora: the recipe's speech.
        reporter: shows how far it is.
        lm_text: text files to look at. They are read in pieces, whatever their size.

    Raises:
        DataError: speech or text that cannot be read.
    """
    recipe = corpora.recipe
    at_work = _Auditing(corpora, reporter, [text_file(file) for file in lm_text])
    data = {
        "data": {name: corpora.fingerprint(name) for name in corpora.prepared},
        "bad_utterances": recipe.data.bad_utterances,
        "text": recipe.text_described(),
    }
    shared = _kept([data, [stamp(file) for file in lm_text]], at_work.leaks)
    used = (recipe.features, recipe.units, recipe.model)  # they say how many frames there are
    limits = [recipe.train.min_seconds, recipe.train.max_seconds]
    own = _kept([data, [each.described() for each in used], limits], at_work.odd)
    return Audit(
        {name: Part(**part) for name, part in own["parts"].items()},
        tuple(str(file) for file in lm_text),
        ordered([finding_from(row) for row in (*shared["findings"], *own["findings"])]),
        streamed=corpora.streams,
    )


class _Auditing:
    """What is needed only where something has to be computed."""

    def __init__(self, corpora: Corpora, reporter: Reporter, lm_text: Sequence[Path]) -> None:
        self._corpora = corpora
        self._reporter = reporter
        self._lm_text = lm_text
        text = corpora.recipe.text
        # A run stops at characters outside the alphabet if told so; here they are a finding.
        outside = "remove" if text.outside == "error" else text.outside
        self._own_rules = corpora.recipe.own_rules()
        self._rules = TextRules(text.model_copy(update={"outside": outside}), self._own_rules)

    @cached_property
    def _parts(self) -> dict[str, Speech]:
        stores = {name: self._corpora.store(name) for name in self._corpora.prepared}
        normal = self._rules.normalize
        return {name: Speech(each, list(map(normal, each.texts))) for name, each in stores.items()}

    def leaks(self) -> dict[str, Any]:
        with self._reporter.progress("looking for leaks") as advance:
            found = list(leaks(self._parts, self._lm_text, self._rules, advance))
        return {"findings": [asdict(each) for each in found]}

    def odd(self) -> dict[str, Any]:
        recipe = self._corpora.recipe
        units: Units = recipe.units.build(alphabet=recipe.text.alphabet)
        shift = frame_shift_seconds(recipe, self._corpora.extractor, len(units.vocabulary))
        texts = [text for part in self._parts.values() for text in part.texts]
        words = Counter(word for text in texts for word in text.split())
        found: list[Finding] = []
        parts: dict[str, Part] = {}
        for name, speech in self._parts.items():
            with self._reporter.progress(f"looking at {name}") as advance:
                seen = look(
                    speech.store,
                    recipe.text,
                    units,
                    name=name,
                    corpus=self._corpora.parts[name].use,
                    frame_shift_seconds=shift,
                    train=recipe.train if name == TRAIN else None,
                    own_rules=self._own_rules,
                    progress=advance,
                )
            parts[name] = Part(seen.utterances, seen.seconds, seen.speakers)
            found += odd(name, speech, seen, words)
        return {
            "findings": [asdict(each) for each in found],
            "parts": {name: asdict(part) for name, part in parts.items()},
        }


def _kept(inputs: Any, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """What `make` gives for these inputs, from the cache if it was made before."""
    place = cache_folder() / "audits" / f"{digest([_REVISION, make.__name__, inputs])}.json"
    try:
        kept: dict[str, Any] = json.loads(place.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        kept = make()
        write_json(place, kept)
    return kept
