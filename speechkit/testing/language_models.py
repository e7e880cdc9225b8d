"""What every language model must hold: one that trains, and what it loads."""

import math
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any

from speechkit.testing import imports
from speechkit.testing.checks import Checks, NotApplicable, Unmet
from speechkit.testing.globals import leaves_generators, seeds_nothing
from speechkit.testing.subject import Subject

CHECKS = Checks("language_model")

TEXT = (
    *("the cat sat", "the dog sat", "a cat ran", "the cat ran home", "a dog sat down"),
    *("the old dog ran", "a cat sat", "the dog ran home", "the cat sat down", "a dog ran"),
    *("the cat and the dog sat", "a dog and a cat ran home", "the old cat sat down"),
) * 3
_SMALL = ("a", "b", "a b", "b a", "a", "a a", "b") * 5  # short sentences of two words
_LONGEST = 7  # words of the sentences that are summed over
_WORDS = ("a", "b", "never-seen")
_NEAR = 1e-6  # nats


@contextmanager
def trained(subject: Subject, text: tuple[str, ...] = TEXT) -> Iterator[tuple[Any, Path, Any]]:
    """A trainer, the folder it wrote, and the model it loads from there."""
    trainer = subject.build()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "model"
        folder.mkdir()
        trainer.train(iter(text), folder)
        yield trainer, folder, trainer.load(folder)


@CHECKS.add("a settings' class or a constructor with other arguments, or a missing attribute")
def is_a_language_model(subject: Subject) -> str:
    """Build it, train it on 39 lines in an empty folder, load it, and score a sentence."""
    with trained(subject) as (_, folder, model):
        if not isinstance(getattr(model, "order", None), int) or model.order < 1:
            raise Unmet(f"its `order` is {getattr(model, 'order', None)!r}, not a whole number")
        if Path(getattr(model, "folder", "")) != folder:
            raise Unmet(f"its `folder` is {getattr(model, 'folder', None)}, not the one it is in")
        score = model.score("the cat sat")
        if not isinstance(score, float) or not -math.inf < score <= 0:
            raise Unmet(f"a sentence scores {score!r}: not a finite float, 0 at most")
        return f"order {model.order}; 'the cat sat' scores {score:.2f}"


@CHECKS.add(
    "a logarithm to the base 10 or 2, probabilities without discount or back-off weight, or the "
    "sentence's end left out"
)
def probabilities_sum_to_one(subject: Subject) -> str:
    """Add up all sentences of up to seven words, over two words and an unknown one."""
    with trained(subject, _SMALL) as (_, _, model):
        total = 0.0
        for length in range(_LONGEST + 1):
            total += math.fsum(
                math.exp(model.score(" ".join(words))) for words in product(_WORDS, repeat=length)
            )
    if not 0.9 < total < 1 + 1e-4:
        raise Unmet(f"they sum to {total:.4f}; longer sentences have a little, too")
    return f"{total:.4f}, and the rest for longer sentences"


@CHECKS.add("words counted without those before them, or the text not read")
def it_has_learnt_the_text(subject: Subject) -> str:
    """Compare a sentence of the text with its words in another order, and with an unknown word."""
    with trained(subject) as (_, _, model):
        seen, turned = model.score("the cat sat down"), model.score("down sat cat the")
        unknown = model.score("the cat xyzzy down")
    if model.order > 1 and not seen > turned:
        raise Unmet(f"'the cat sat down' scores {seen:.2f}, 'down sat cat the' {turned:.2f}")
    if not seen > unknown:
        raise Unmet(f"'the cat sat down' scores {seen:.2f}, with an unknown word {unknown:.2f}")
    return f"{seen:.2f}; turned {turned:.2f}; with an unknown word {unknown:.2f}"


@CHECKS.add("a state that forgets a word, or keeps one too many, on its way through a sentence")
def state_equals_full_history(subject: Subject) -> str:
    """Compare word after word from state to state with the score of the whole sentence."""
    with trained(subject) as (_, _, model):
        if not all(hasattr(model, each) for each in ("start", "step", "word_ids")):
            raise NotApplicable("it has no `start`, `step` and `word_ids`")
        for sentence in dict.fromkeys((*TEXT, "a dog and the old cat ran", "cat cat cat")):
            state, total = model.start(), 0.0
            for word in [*sentence.split(), "</s>"]:
                log_prob, state = model.step(state, model.word_ids[word])
                total += log_prob
            if abs(total - model.score(sentence)) > _NEAR * 100:
                raise Unmet(
                    f"{sentence!r} is {total:.4f} by steps, {model.score(sentence):.4f} whole"
                )
    return "the same"


@CHECKS.add("a minus infinity where nothing was counted, or an empty sentence not thought of")
def every_sentence_has_a_score(subject: Subject) -> str:
    """Score the empty sentence, unknown words, and one of two hundred words."""
    with trained(subject) as (_, _, model):
        for sentence in ("", "xyzzy", "xyzzy plugh xyzzy", "the cat " * 100):
            score = model.score(sentence.strip())
            if not -math.inf < score <= 0:
                raise Unmet(f"{sentence[:40]!r} scores {score}")
    return "all are finite"


@CHECKS.add("what was counted is kept in the trainer and not written, or an absolute path is")
def what_is_loaded_is_what_was_trained(subject: Subject) -> str:
    """Move the folder, load it with another trainer, and compare scores."""
    with trained(subject) as (_, folder, model):
        expected = [model.score(each) for each in TEXT]
        moved = shutil.copytree(folder, folder.parent / "moved")
        shutil.rmtree(folder)
        found = [subject.build().load(moved).score(each) for each in TEXT]
    off = max(abs(one - other) for one, other in zip(found, expected, strict=True))
    if off > _NEAR:
        raise Unmet(f"a sentence scores {off:.3g} nats otherwise")
    return "the same scores"


@CHECKS.add("the order of a set or a dict, a random number, or a sum in another order each time")
def training_twice_gives_the_same(subject: Subject) -> str:
    """Train twice on the same lines and compare scores, and the global generators."""
    scores = []
    for _ in range(2):
        with trained(subject) as (_, _, model):
            scores.append([model.score(each) for each in TEXT])
    if scores[0] != scores[1]:
        raise Unmet("the second training gives other scores")

    def use() -> None:
        with trained(subject):
            pass

    leaves_generators(use)
    seeds_nothing(use)
    return "the same scores"


@CHECKS.add("len() or a second pass over the lines: they are an iterator, too many for a list")
def lines_are_read_once(subject: Subject) -> str:
    """Give it an iterator that can be read once and has no length."""
    left = iter(TEXT)
    with tempfile.TemporaryDirectory() as place:
        trainer = subject.build()
        trainer.train((line for line in left), Path(place))
        if next(left, None) is not None:
            raise Unmet("it does not read all lines")
        model = trainer.load(Path(place))
        if not model.score("the cat sat") > model.score("xyzzy plugh xyzzy"):
            raise Unmet("'the cat sat' scores no more than unknown words: it has learnt nothing")
    return "all of them, once"


@CHECKS.add("code at the module's top level: put it in functions")
def nothing_happens_at_import(subject: Subject) -> str:
    """Import its module in a fresh process: no file, program, output, seed, flag or weights."""
    return imports.does_nothing(subject)
