"""How long 10,000 utterances take to be scored, bootstrapped and reported.

    python benchmarks/report.py [UTTERANCES]

Sentences of 5 to 25 words of a vocabulary of 5,000, a tenth of them wrong, left out or put in, with
word times; of 40 speakers, and then of unknown ones, where the bootstrap draws utterances.
"""

import json
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from speechkit.report import write_report
from speechkit.scoring.scores import read_decoded, score


def lines(count: int, speakers: int) -> Iterator[dict[str, Any]]:
    """A decoded test set."""
    draw = random.Random(17)
    letters = "abcdefghijklmnopqrstuvwxyz"
    known = ["".join(draw.choices(letters, k=draw.randint(2, 9))) for _ in range(5000)]
    for number in range(count):
        said = draw.choices(known, k=draw.randint(5, 25))
        heard = [
            word
            for each in said
            for word in draw.choice(
                [[each + "x"], [], [each, "uh"]] if draw.random() < 0.1 else [[each]]
            )
        ]
        yield {
            "id": f"u{number}",
            **({"speaker": f"s{number % speakers}"} if speakers else {}),
            "seconds": 0.4 * len(said),
            "reference": " ".join(said),
            "hypothesis": " ".join(heard),
            "score": 0.0,
            "words": [
                {"text": word, "start_seconds": 0.4 * place, "end_seconds": 0.4 * place + 0.3}
                for place, word in enumerate(heard)
            ],
        }


def main(count: int) -> None:
    """Measure, and print."""
    for speakers in (40, 0):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            place = folder / "decoded" / "greedy" / "test.jsonl"
            place.parent.mkdir(parents=True)
            text = "".join(json.dumps(each) + "\n" for each in lines(count, speakers))
            place.write_text(text, encoding="utf-8")
            (folder / "recipe.toml").write_text('[decoder]\nuse = "greedy"\n', encoding="utf-8")
            began = time.perf_counter()
            row = score("test", "greedy", read_decoded(place), seconds=1.0, decoding_seconds=0.1)
            scored = time.perf_counter()
            (folder / "scores.json").write_text(json.dumps([asdict(row)]), encoding="utf-8")
            size = write_report(folder).stat().st_size
            ended = time.perf_counter()
        print(
            f"{count:,} utterances, {speakers or 'unknown'} speakers: scored and bootstrapped in "
            f"{scored - began:.1f} s, reported in {ended - scored:.1f} s, {size / 1e6:.2f} MB"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
