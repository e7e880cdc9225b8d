"""Stored emissions to a file of hypotheses, a JSON line an utterance."""

import json
import math
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from speechkit.data.files import written_whole
from speechkit.decoding.emissions import StoredEmissions
from speechkit.errors import RunError
from speechkit.interfaces import Decoder, Emissions, Hypothesis
from speechkit.reporter import Advance

_BATCH = 16


def decode(
    stored: StoredEmissions,
    decoder: Decoder,
    references: Sequence[str],
    place: Path,
    *,
    speakers: Sequence[str],
    seconds: Sequence[float],
    advance: Advance,
) -> float:
    """Write `place`: a line an utterance.

    It holds `id`, `speaker` where it is known, `seconds`, `reference`, `hypothesis`, `score` and
    `words`.

    Args:
        stored: what to decode.
        decoder: with what.
        references: in the same order, under the text rules.
        place: the file.
        speakers: in the same order; "" where one is not known.
        seconds: of speech, in the same order.
        advance: is told how far it is.

    Returns:
        Seconds the decoder took.
    """
    took, done = 0.0, 0
    with written_whole(place) as beside, beside.open("w", encoding="utf-8") as file:
        for emissions in stored.batches(_BATCH):
            began = time.perf_counter()
            found = answers(decoder, emissions)
            took += time.perf_counter() - began
            for hypotheses in found:
                best = hypotheses[0]
                line = {
                    "id": stored.ids[done],
                    **({"speaker": speakers[done]} if speakers[done] else {}),
                    "seconds": round(seconds[done], 3),
                    "reference": references[done],
                    "hypothesis": best.text,
                    "score": best.score,
                    "words": [asdict(word) for word in best.words],
                }
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
                done += 1
            advance(done, len(stored), "")
    return took


def answers(decoder: Decoder, emissions: Emissions) -> list[list[Hypothesis]]:
    """What the decoder finds: an n-best list for each utterance.

    Raises:
        RunError: it does not answer for every utterance, or with what is no hypothesis.
    """
    found = decoder(emissions)
    if wrong := _wrong(found):
        raise RunError(f"the decoder gives {wrong}", hint="it is a defect of the decoder's plugin")
    if len(found) != len(emissions.lengths) or not all(found):
        raise RunError(
            f"the decoder gives {sum(map(bool, found))} lists of hypotheses for "
            f"{len(emissions.lengths)} utterances: every utterance needs one that is not empty",
            hint="it is a defect of the decoder's plugin",
        )
    return found


def _wrong(found: object) -> str:
    """What of a decoder's answer is of another type than it should be, or no number."""
    if not isinstance(found, list):
        return f"{type(found).__name__} in place of a list with a list for each utterance"
    for hypotheses in found:
        if not isinstance(hypotheses, list):
            return f"{type(hypotheses).__name__} in place of an utterance's list of hypotheses"
        if wrong := next(filter(None, map(_wrong_of, hypotheses)), ""):
            return wrong
    return ""


def _wrong_of(hypothesis: object) -> str:
    if not isinstance(hypothesis, Hypothesis):
        return f"{type(hypothesis).__name__} in place of a Hypothesis"
    text: object = hypothesis.text
    if not isinstance(text, str):
        return f"a hypothesis whose text is {type(text).__name__}"
    return "a hypothesis whose score is no number" if math.isnan(hypothesis.score) else ""
