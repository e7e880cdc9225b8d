"""What is shared with training or LM text is found; what is not, is not."""

import gzip

import numpy as np
import pytest

from speechkit.audit.leaks import leaks
from speechkit.data.text import TextRules
from speechkit.settings import TextSettings

LONG = "the quick brown fox jumps over the lazy dog again"
OTHER = "pack my box with five dozen liquor jugs and go home"


def found(parts, *files) -> dict[tuple[str, str], tuple]:
    rules = TextRules(TextSettings(alphabet="abcdefghijklmnopqrstuvwxyz"))
    findings = leaks(parts, files, rules, lambda *_: None)
    return {(each.kind, each.where): each for each in findings}


def brief(findings) -> dict[tuple[str, str], tuple]:
    return {key: (each.severity, each.count, each.total) for key, each in findings.items()}


def test_parts_that_share_nothing(part, tmp_path):
    parts = {
        "train": part([LONG, "yes"], ["a", ""]),
        "validation": part([OTHER, "no"], ["b", ""]),
        "radio": part(["something else", ""], ["c", ""]),
    }
    (tmp_path / "lm.txt").write_text("other words that nobody says in a recording\n\n")
    assert found(parts, tmp_path / "lm.txt") == {}


def test_speakers(part):
    parts = {
        "train": part(["a", "b", "c"], ["Anna", "ivan ", "maria"]),
        "validation": part(["d", "e"], ["olga", "maria"]),
        "radio": part(["f", "g", "h", "i"], ["anna", "anna", "Ivan", "olga"]),
    }
    shared = found(parts)
    assert brief(shared) == {
        ("shared-speakers", "train → validation"): ("error", 1, 2),
        ("shared-speakers", "train → radio"): ("error", 2, 3),
        ("shared-speakers", "validation → radio"): ("warning", 1, 3),
    }
    first = shared["shared-speakers", "train → radio"]
    assert "they speak 3 of 4 utterances" in first.what
    assert first.examples[0].id == "anna"
    assert first.examples[0].note == "2 utterances here, 1 in train"


def test_tests_may_share_what_they_like(part):
    same = np.arange(160, dtype=np.int16)
    tests = {name: part([LONG], ["a"], heard={0: same}) for name in ("radio", "television")}
    assert found({"train": part(["x"], ["b"]), **tests}) == {}


def test_recordings(part):
    same = np.arange(160, dtype=np.int16)
    parts = {"train": part(["a", "b"], heard={1: same}), "radio": part(["c", "d"], heard={0: same})}
    shared = found(parts)
    assert brief(shared) == {("shared-audio", "train → radio"): ("error", 1, 2)}
    (example,) = shared["shared-audio", "train → radio"].examples
    assert (example.id, example.note) == ("1-0", "0-1 in train")


def test_texts_are_compared_under_the_rules(part):
    parts = {
        "train": part([LONG.upper() + "!", "Well, yes.", "well yes"]),
        "validation": part([OTHER]),
        "radio": part([LONG, LONG, "well yes", OTHER]),
    }
    shared = found(parts)
    exact = shared["shared-texts", "train → radio"]
    assert (exact.severity, exact.count, exact.total) == ("error", 3, 4)
    assert "2 different texts" in exact.what
    assert [(each.id, each.note) for each in exact.examples] == [
        ("2-0", "0-0 in train"),
        ("2-2", "0-1 in train"),
    ]
    assert brief(shared)["shared-sequences", "train → radio"] == ("error", 5, 11)
    sequences = shared["shared-sequences", "train → radio"]
    assert [(each.id, each.note) for each in sequences.examples] == [("2-0", "5 of its 5 6-grams")]
    assert brief(shared)["shared-sequences", "validation → radio"] == ("warning", 6, 11)
    assert ("shared-texts", "train → validation") not in shared


def test_sentences_of_few_words_are_everywhere(part):
    parts = {"train": part(["Oh, no!", LONG]), "radio": part(["oh no", OTHER])}
    shared = found(parts)
    assert brief(shared) == {("shared-texts", "train → radio"): ("note", 1, 2)}
    assert shared["shared-texts", "train → radio"].what.endswith("all have fewer than 4 words")


@pytest.mark.parametrize("suffix", [".txt", ".txt.gz"])
def test_lm_text_with_test_sentences(part, tmp_path, suffix):
    test = [f"sentence number {letter} of a test that is quite long" for letter in "abcd"]
    lines = [f"line {at} of a large text that nobody says" for at in range(10_000)]
    lines[7000] = test[1].title() + "."
    lines[8000] = f"he said {test[2]} and went away"  # inside a longer line
    (tmp_path / "clean.txt").write_text("\n".join(lines[:7000]))
    file = tmp_path / f"lm{suffix}"
    with (gzip.open if suffix == ".txt.gz" else open)(file, "wt") as written:
        written.write("\n".join(lines) + "\n")
    parts = {"train": part(["one two three"]), "radio": part(test)}
    where = f"LM text {file.name} → radio"
    shared = found(parts, tmp_path / "clean.txt", file)
    exact, sequences = shared["shared-texts", where], shared["shared-sequences", where]
    assert (exact.severity, exact.count, exact.total) == ("error", 1, 4)
    assert [(each.id, each.note) for each in exact.examples] == [
        ("1-1", "line 7,001 in " + where[:-8])
    ]
    assert sequences.severity == "error"
    assert sequences.what.endswith("2 of 4 utterances are found there whole, word by word")
    assert {each.id for each in sequences.examples[:2]} == {"1-1", "1-2"}
    assert {place for _, place in shared} == {where}


@pytest.mark.parametrize(("letters", "severity"), [(4, "error"), (16, "warning"), (26, "note")])
def test_how_much_is_shared_matters(part, letters, severity):
    alphabet = "abcdefghijklmnopqrstuvwxyz"[:letters]
    others = [" ".join(a + b for b in alphabet) for a in alphabet] if letters > 4 else []
    anna, olga = (f"{name} went to the house of a friend in {name}" for name in ("anna", "olga"))
    shared = found({"train": part([anna]), "radio": part([olga, *others])})
    total = 5 + len(others) * (letters - 5)
    assert brief(shared) == {("shared-sequences", "train → radio"): (severity, 3, total)}
