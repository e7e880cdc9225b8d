"""A run's folder as a pipeline leaves it, without a training."""

import json
import random

from speechkit.scoring.scores import score

WORDS = ["кот", "the", "cat", "sat", "on", "a", "mat", "и", "пёс", "ran"]


def said(number, *, count=30, wrong=0.2, decoder="greedy"):
    """Lines of a decoded test set."""
    draw, noise = random.Random(number), random.Random(f"{number}{decoder}")
    lines = []
    for place in range(count):
        reference = draw.choices(WORDS, k=draw.randint(2, 9))
        hypothesis = ["xx" if noise.random() < wrong else word for word in reference]
        words = [
            {"text": word, "start_seconds": 0.2 * at, "end_seconds": 0.2 * at + 0.15}
            for at, word in enumerate(hypothesis)
        ]
        lines.append(
            {
                "id": f"u{place}",
                "speaker": f"s{place % 11}",
                "seconds": 2.0,
                "reference": " ".join(reference),
                "hypothesis": " ".join(hypothesis),
                "score": -1.0,
                "words": words,
            }
        )
    return lines


def leave(folder, tests, *, recipe=""):
    """Write it. `tests`: test -> decoder -> lines."""
    rows = []
    stages = {"emit lj": {"inputs": {}, "measured": {"parameters": 1234.0}}}
    for test, decoders in tests.items():
        for decoder, lines in decoders.items():
            place = folder / "decoded" / decoder / f"{test}.jsonl"
            place.parent.mkdir(parents=True, exist_ok=True)
            text = "".join(json.dumps(line, ensure_ascii=True) + "\n" for line in lines)
            place.write_text(text, encoding="utf-8")
            rows.append(score(test, decoder, lines, seconds=60.0, decoding_seconds=0.6).row())
    metrics = []
    for epoch in range(3):
        metrics += [
            {"kind": "train", "step": step, "epoch": epoch, "loss": 3 / step, "learning_rate": 0.01}
            for step in range(10 * epoch + 1, 10 * epoch + 11)
        ]
        at = {"step": 10 * epoch + 10}
        metrics += [
            {"kind": "validation", **at, "epoch": epoch + 1, "loss": 2.0, "wer": 0.5, "cer": 0.25},
            {"kind": "epoch", **at, "epoch": epoch + 1, "loss": 1.0 / (epoch + 1)},
            {"kind": "efficiency", **at, "speed": 100.0, "padding": 0.25, "waiting": 0.5},
        ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(each) + "\n" for each in metrics))
    (folder / "scores.json").write_text(json.dumps(rows))
    (folder / "stages.json").write_text(json.dumps(stages))
    (folder / "environment.json").write_text(json.dumps({"speechkit": "0.1.0", "packages": {}}))
    (folder / "recipe.toml").write_text(
        recipe or '[recipe]\nname = "r"\nlanguage = "ru"\n[decoder]\nuse = "beam"\n'
    )


def leave_two(root):
    """A run with two tests, one of which two decoders have decoded."""
    folder = root / "runs" / "мой run"
    beam = said(1, wrong=0.05, decoder="beam")
    leave(folder, {"lj": {"greedy": said(1), "beam": beam}, "тест": {"greedy": said(2)}})
    return folder
