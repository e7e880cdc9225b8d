"""What every decoder must hold. Axes: B utterances, T frames, V labels."""

import atexit
import json
import pickle
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from functools import cache
from typing import Any

import torch
from torch import Tensor

from speechkit.component import Component
from speechkit.discovery import load_plugins
from speechkit.errors import SpeechkitError
from speechkit.interfaces import Emissions, Hypothesis, Vocabulary
from speechkit.testing import imports
from speechkit.testing.checks import Checks, NotApplicable, Unmet
from speechkit.testing.globals import leaves_generators, seeds_nothing
from speechkit.testing.language_models import TEXT, trained
from speechkit.testing.subject import Subject

CHECKS = Checks("decoder")

VOCABULARY = Vocabulary(("", *"abcdeghlnorstz "))
SHIFT = 0.04  # seconds a frame
_SENTENCES = ("the cat sat", "a dog ran", "all", "the old dog")
_DOUBLED = ("all too good", "zoo", "a")
_SURE, _UNSURE, _VAGUE = 8.0, 4.5, 3.0  # how much the spoken label stands out, nats
_NBEST = 8
_NEAR = 1e-3  # nats


def _decoder(subject: Subject, language_model: object = None, **changes: object) -> Any:  # noqa: ANN401
    """A decoder, without a language model where it can do without."""
    config = subject.configured(**changes)
    given = {"vocabulary": VOCABULARY, "language_model": language_model}
    try:
        return subject.build(config, **given)
    except SpeechkitError:
        if language_model is not None or "language_model" not in subject.component.uses:
            raise
        return subject.build(config, **given | {"language_model": _language_model(subject)})


def _spoken(text: str, sure: float, seed: int = 0) -> Tensor:
    """(T, V) log probabilities of a text: two frames a letter, blanks between."""
    path = []
    for letter in text:
        path += [VOCABULARY.labels.index(letter)] * 2 + [0]
    scores = torch.randn(
        len(path) + 2, len(VOCABULARY), generator=torch.Generator().manual_seed(seed)
    )
    for frame, label in enumerate([0, *path, 0]):
        scores[frame, label] += sure + 2
    return scores.log_softmax(-1)


def _emissions(rows: Sequence[Tensor], more: int = 0, content: float = 0.0) -> Emissions:
    """A batch of (T, V) rows; padding is the log of other probabilities, or 0."""
    lengths = torch.tensor([len(each) for each in rows])
    size = int(lengths.max()) + more
    log_probs = content * torch.randn(len(rows), size, len(VOCABULARY)).abs().neg()
    for place, row in zip(log_probs, rows, strict=True):
        place[: len(row)] = row
    return Emissions(log_probs, lengths, SHIFT)


def _utterances(sure: float = _UNSURE) -> list[Tensor]:
    return [_spoken(text, sure, seed) for seed, text in enumerate(_SENTENCES)]


def _language_model(subject: Subject) -> Any:  # noqa: ANN401 - as its plugin has it
    """An n-gram model of a few sentences, for a decoder that can use one."""
    if "language_model" not in subject.component.uses:
        raise NotApplicable("it uses no language model")
    return _ngram()


@cache
def _ngram() -> Any:  # noqa: ANN401 - as its plugin has it
    """The model lives as long as the process: decoders open its files when they like."""
    try:
        trainer = load_plugins().find("language_model", "ngram").component
    except SpeechkitError as error:
        raise NotApplicable(f"there is no language model to try it with: {error}") from error
    opened = ExitStack()
    atexit.register(opened.close)
    text = (*TEXT, *_SENTENCES, *_DOUBLED)
    return opened.enter_context(trained(Subject(trainer, "language_model"), text))[2]


def _alike(
    found: Sequence[Hypothesis], expected: Sequence[Hypothesis], said: str, *, times: bool = True
) -> None:
    """The same texts, scores and, unless they do not matter, times.

    Raises:
        Unmet: another.
    """
    if [each.text for each in found] != [each.text for each in expected]:
        raise Unmet(
            f"{said}: {found[0].text!r} ({len(found)}), not {expected[0].text!r} ({len(expected)})"
        )
    for one, other in zip(found, expected, strict=True):
        if abs(one.score - other.score) > _NEAR:
            raise Unmet(f"{said}: {one.text!r} scores {one.score:.4f}, not {other.score:.4f}")
        if not times:
            continue
        spans = [
            [each for word in hypothesis.words for each in (word.start_seconds, word.end_seconds)]
            for hypothesis in (one, other)
        ]
        if any(abs(was - now) > 1e-6 for was, now in zip(*spans, strict=True)):
            raise Unmet(f"{said}: {one.text!r} has other times")


@CHECKS.add("a settings' class or a constructor with other arguments, or no list per utterance")
def is_a_decoder(subject: Subject) -> str:
    """Build it without a language model, and decode four utterances."""
    decoder = _decoder(subject)
    if getattr(decoder, "device", None) not in {"cpu", "any"}:
        raise Unmet(f'its `device` is {getattr(decoder, "device", None)!r}, not "cpu" or "any"')
    found = decoder(_emissions(_utterances()))
    if not isinstance(found, list) or len(found) != len(_SENTENCES) or not all(found):
        raise Unmet(f"it gives {found!r:.90}, not a list of hypotheses for each of 4 utterances")
    for each in (hypothesis for row in found for hypothesis in row):
        if not isinstance(each, Hypothesis):
            raise Unmet(f"it gives {each!r:.90}, which is no speechkit.Hypothesis")
    return f"{found[0][0].text!r}, ..."


@CHECKS.add("numpy or torch numbers in a hypothesis: float() and str() them")
def hypotheses_can_be_written(subject: Subject) -> str:
    """Write hypotheses as JSON, as the engine does, and look at scores and confidences."""
    for found in _decoder(subject)(_emissions(_utterances())):
        for each in found:
            json.dumps(asdict(each), allow_nan=False)
            if each.text != " ".join(each.text.split()):
                raise Unmet(f"{each.text!r} has spaces beside single ones between words")
            if off := [word for word in each.words if not 0 <= word.confidence <= 1]:
                raise Unmet(f"the word {off[0].text!r} has the confidence {off[0].confidence}")
    return "they can"


@CHECKS.add("blanks or repeats: aa_a is 'aa', label 0 is the blank; or a letter lost at an edge")
def clear_speech_is_read(subject: Subject) -> str:
    """Decode utterances in which every frame is sure of its label, doubled letters among them."""
    texts = (*_SENTENCES, *_DOUBLED)
    found = _decoder(subject)(_emissions([_spoken(each, _SURE) for each in texts]))
    for text, hypotheses in zip(texts, found, strict=True):
        if hypotheses[0].text != text:
            raise Unmet(f"{text!r} is read as {hypotheses[0].text!r}")
    return f"all {len(texts)} utterances"


@CHECKS.add("a beam, a threshold or an end that belongs to the batch, not to the row")
def batched_equals_one_by_one(subject: Subject) -> str:
    """Compare four utterances in one batch with each of them alone: texts, scores, times."""
    decoder = _decoder(subject)
    together = decoder(_emissions(_utterances()))
    for number, row in enumerate(_utterances()):
        [alone] = decoder(_emissions([row]))
        _alike(together[number], alone, f"row {number} in the batch")
    return "the same"


@CHECKS.add("frames past a row's length that are read: cut each row at its length")
def padding_changes_nothing(subject: Subject) -> str:
    """Fill the padding with other probabilities, and add frames after the longest row."""
    decoder = _decoder(subject)
    expected = decoder(_emissions(_utterances()))
    for more, content in ((0, 2.0), (11, 2.0), (11, 0.0)):
        found = decoder(_emissions(_utterances(), more, content))
        for number, row in enumerate(found):
            _alike(row, expected[number], f"row {number} with {more} frames more")
    return "the same"


def _nbest(subject: Subject) -> list[list[Hypothesis]]:
    changes = {"nbest": _NBEST} if subject.takes("nbest") else {}
    decoder = _decoder(subject, None, **changes)
    found: list[list[Hypothesis]] = decoder(_emissions(_utterances(_VAGUE)[:2]))
    return found


@CHECKS.add(
    "a list in the order of the search or of another score: sort by the score that is given"
)
def nbest_is_sorted(subject: Subject) -> str:
    """Decode unclear speech with `nbest = 8`, and look at the order of scores."""
    found = _nbest(subject)
    for each in found:
        scores = [hypothesis.score for hypothesis in each]
        if scores != sorted(scores, reverse=True):
            raise Unmet(f"scores are {[round(score, 3) for score in scores]}")
    return f"{max(map(len, found))} hypotheses, best first"


@CHECKS.add("paths or prefixes in place of texts: those that end in a space, too, are one text")
def nbest_is_distinct(subject: Subject) -> str:
    """Decode unclear speech with `nbest = 8`, and look for a text that comes twice."""
    found = _nbest(subject)
    for each in found:
        texts = [hypothesis.text for hypothesis in each]
        if twice := [text for text in texts if texts.count(text) > 1]:
            raise Unmet(f"{twice[0]!r} comes {texts.count(twice[0])} times among {len(texts)}")
        if subject.takes("nbest") and len(texts) > _NBEST:
            raise Unmet(f"{len(texts)} hypotheses, where nbest = {_NBEST}")
    return f"{max(map(len, found))} different texts"


@CHECKS.add("times in frames, ends before starts, or times counted without dropped frames")
def times_are_in_order(subject: Subject) -> str:
    """Look at the words' times, with even frames, and where frames were dropped."""
    decoder = _decoder(subject)
    rows = [_spoken(each, _SURE) for each in _SENTENCES]
    whole = _emissions(rows)
    gaps = torch.arange(whole.log_probs.shape[1]).expand(len(rows), -1) * SHIFT
    gaps = gaps + 1.0 + 2.0 * (gaps > 0.5)  # it begins at 1 s, and 2 s are missing after 0.5 s
    dropped = Emissions(whole.log_probs, whole.lengths, SHIFT, gaps)
    words = 0
    for emissions in (whole, dropped):
        for row, found in enumerate(decoder(emissions)):
            last = int(emissions.lengths[row]) - 1
            begin, end = emissions.start_seconds(row, 0), emissions.start_seconds(row, last) + SHIFT
            for each in found:
                _check_times(each, begin, end)
                words += len(each.words)
    if not words:
        raise NotApplicable("its hypotheses have no words")
    return f"{words} words"


def _check_times(hypothesis: Hypothesis, begin: float, end: float) -> None:
    if not hypothesis.words:
        return
    spelt = " ".join(word.text for word in hypothesis.words)
    if spelt != hypothesis.text:
        raise Unmet(f"the words of {hypothesis.text!r} are {spelt!r}")
    before = begin
    for word in hypothesis.words:
        said = f"{word.text!r} lasts from {word.start_seconds:.2f} to {word.end_seconds:.2f} s"
        if word.end_seconds <= word.start_seconds:
            raise Unmet(said)
        if word.start_seconds < before - 1e-5:
            raise Unmet(f"{said}, where the one before it ends at {before:.2f} s")
        if word.end_seconds > end + 1e-5:
            raise Unmet(f"{said}, where the utterance lasts from {begin:.2f} to {end:.2f} s")
        before = word.end_seconds


@CHECKS.add("an index into a list that is empty: no frame, no label, no hypothesis left")
def silence_and_short_rows(subject: Subject) -> str:
    """Decode blanks alone, one frame, and no frame at all."""
    decoder = _decoder(subject)
    silence = torch.full((30, len(VOCABULARY)), -12.0)
    silence[:, 0] = 0.0
    silence = silence.log_softmax(-1)
    one = torch.full((1, len(VOCABULARY)), -12.0)
    one[0, 1] = 0.0
    rows = [silence, one.log_softmax(-1), silence[:0]]
    for given in (rows, rows[:1], rows[1:2], rows[2:]):
        wanted = ["a" if each is rows[1] else "" for each in given]
        found = [each[0].text for each in decoder(_emissions(given))]
        if found != wanted:
            raise Unmet(f"rows of {[len(each) for each in given]} frames are {found}, not {wanted}")
    return "'', 'a' and ''"


@CHECKS.add("scores compared without an order for equal ones, or minus infinity minus itself")
def ties_and_impossible_labels(subject: Subject) -> str:
    """Decode frames whose labels are all alike, and frames in which one alone has a chance."""
    decoder = _decoder(subject)
    alike = torch.zeros(12, len(VOCABULARY)).log_softmax(-1)
    sure = torch.full((6, len(VOCABULARY)), -torch.inf)
    path = [VOCABULARY.labels.index(each) for each in ("a", "a", "l", "", "l", "")]
    sure[torch.arange(6), torch.tensor(path)] = 0.0
    found = decoder(_emissions([alike, sure]))
    again = decoder(_emissions([alike, sure]))
    for number, row in enumerate(found):
        # Of paths that are alike any may give the times: which one may be the memory's choice.
        _alike(again[number], row, f"row {number} a second time", times=False)
        if not all(torch.tensor(each.score).isfinite() for each in row):
            raise Unmet(f"{row[0].text!r} scores {row[0].score}")
    if found[1][0].text != "all":
        raise Unmet(f"the one possible text is 'all', not {found[1][0].text!r}")
    return "finite, and the same twice"


@CHECKS.add("something kept from the utterance before, or a random number")
def the_same_twice(subject: Subject) -> str:
    """Decode the same batch again, after another one."""
    decoder = _decoder(subject)
    emissions = _emissions(_utterances())
    first = decoder(emissions)
    decoder(_emissions([_spoken("zoo", _VAGUE)]))
    for number, row in enumerate(decoder(emissions)):
        _alike(row, first[number], f"row {number} the second time")
    leaves_generators(lambda: decoder(emissions))
    seeds_nothing(lambda: _decoder(subject)(emissions))
    return "the same, and no random number drawn"


@CHECKS.add("an operator that ends in _ on the emissions, or on numpy's view of them")
def input_is_untouched(subject: Subject) -> str:
    """Compare emissions before and after decoding."""
    emissions = _emissions(_utterances(), 3, 1.0)
    before = [emissions.log_probs.clone(), emissions.lengths.clone()]
    _decoder(subject)(emissions)
    for name, was, now in zip(
        ("log_probs", "lengths"), before, (emissions.log_probs, emissions.lengths), strict=True
    ):
        if not torch.equal(was, now):
            raise Unmet(f"`{name}` are changed in place")
    return "as they were"


@CHECKS.add("bonuses or penalties of the language model that stay when its weight is 0")
def weight_0_is_no_language_model(subject: Subject) -> str:
    """Compare `lm_weight = 0` with no language model at all."""
    if not subject.takes("lm_weight"):
        raise NotApplicable("it has no setting `lm_weight`")
    emissions, model = _emissions(_utterances(_VAGUE)), _language_model(subject)
    found = _decoder(subject, model, lm_weight=0.0)(emissions)
    try:
        expected = subject.build(vocabulary=VOCABULARY, language_model=None)(emissions)
    except SpeechkitError as error:
        raise NotApplicable(f"it cannot do without: {error}") from error
    for number, row in enumerate(found):
        _alike(row, expected[number], f"row {number} with lm_weight = 0")
    return "the same"


@CHECKS.add('a language model that is given and not asked, or no uses={"language_model"}')
def the_language_model_counts(subject: Subject) -> str:
    """Decode what might be 'the cat sat' or 'the bat sat': the language model knows which."""
    if subject.takes("lm_weight") and "language_model" not in subject.component.uses:
        raise Unmet("it has a setting `lm_weight`, and its Component lacks uses={'language_model'}")
    unsure = _spoken("the bat sat", _SURE)
    heard, meant = VOCABULARY.labels.index("b"), VOCABULARY.labels.index("c")
    frames = unsure.argmax(-1) == heard
    unsure[frames, meant] = unsure[frames, heard] - 0.1
    unsure = unsure.log_softmax(-1)
    [[found, *_]] = _decoder(subject, _language_model(subject))(_emissions([unsure]))
    if found.text != "the cat sat":
        raise Unmet(f"it reads {found.text!r}; the language model has only ever seen 'the cat sat'")
    return "it reads 'the cat sat'"


@CHECKS.add("a lambda as `build`, or a class within a function: give them a name in a module")
def goes_to_workers(subject: Subject) -> str:
    """Pickle what builds it, its settings and its hypotheses; build from the copy, and compare."""
    build, config, _ = pickle.loads(  # noqa: S301 - our own
        pickle.dumps((subject.component.build, subject.config, VOCABULARY))
    )
    emissions = _emissions(_utterances())
    expected = _decoder(subject)(emissions)
    copy = Component(subject.component.name, type(config), build, uses=subject.component.uses)
    copied = _decoder(Subject(copy, subject.kind, subject.settings))
    found = pickle.loads(pickle.dumps(copied(emissions)))  # noqa: S301 - as above
    for number, row in enumerate(found):
        _alike(row, expected[number], f"row {number} of the copy")
    return "the copy decodes alike"


@CHECKS.add("code at the module's top level: put it in functions")
def nothing_happens_at_import(subject: Subject) -> str:
    """Import its module in a fresh process: no file, program, output, seed, flag or weights."""
    return imports.does_nothing(subject)
