"""Stored emissions to a file of hypotheses, a JSON line an utterance."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from speechkit.data.files import written_whole
from speechkit.decoding.emissions import StoredEmissions
from speechkit.errors import RunError
from speechkit.interfaces import Decoder
from speechkit.reporter import Advance

_BATCH = 16


def decode(
    stored: StoredEmissions,
    decoder: Decoder,
    references: Sequence[str],
    place: Path,
    *,
    advance: Advance,
) -> float:
    """Write `place`: a line an utterance with `id`, `reference`, `hypothesis`, `score`, `words`.

    Args:
        stored: what to decode.
        decoder: with what.
        references: in the same order, under the text rules.
        place: the file.
        advance: is told how far it is.

    Returns:
        Seconds the decoder took.
    """
    took, done = 0.0, 0
    with written_whole(place) as beside, beside.open("w", encoding="utf-8") as file:
        for emissions in stored.batches(_BATCH):
            began = time.perf_counter()
            found = decoder(emissions)
            took += time.perf_counter() - began
            if len(found) != len(emissions.lengths) or not all(found):
                raise RunError(
                    f"the decoder gives {sum(map(bool, found))} lists of hypotheses for "
                    f"{len(emissions.lengths)} utterances: every utterance needs one that is not "
                    "empty",
                    hint="it is a defect of the decoder's plugin",
                )
            for hypotheses in found:
                best = hypotheses[0]
                line = {
                    "id": stored.ids[done],
                    "reference": references[done],
                    "hypothesis": best.text,
                    "score": best.score,
                    "words": [asdict(word) for word in best.words],
                }
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
                done += 1
            advance(done, len(stored), "")
    return took


def read_decoded(place: Path) -> list[Mapping[str, Any]]:
    """The lines `decode` wrote."""
    return [json.loads(line) for line in place.read_text(encoding="utf-8").split("\n") if line]
