"""What is counted and chosen for a report."""

from collections import Counter

from speechkit.report.confusions import confusions
from speechkit.report.utterances import chosen, utterance


def line(reference, hypothesis, **more):
    return {"id": reference, "reference": reference, "hypothesis": hypothesis, **more}


def test_confusions_are_counted_by_words_and_by_characters():
    found = confusions(
        [
            line("кот сел там", "кит сел"),
            line("кот", "кит"),
            line("a b", "a x b"),
            line("same", "same"),
        ]
    )
    assert found.words == Counter({("кот", "кит"): 2, ("там", None): 1, (None, "x"): 1})
    assert found.characters[("о", "и")] == 2
    assert sum(count for (said, _), count in found.characters.items() if said is None) == 2
    assert sum(count for (_, heard), count in found.characters.items() if heard is None) == 4
    assert found.left_out == 0


def test_what_is_no_speech_is_left_out_of_confusions_and_counted():
    found = confusions([line("a " * 50_000, "b " * 50_000), line("a", "b")])
    assert found.left_out == 1
    assert found.words == Counter({("a", "b"): 1})


def test_worst_best_and_random_are_apart():
    lines = [line(f"{'w ' * size}{size}", f"{'w ' * size}{size}") for size in range(10)]
    lines += [line("a b c d e f", "x b c d e f"), line("a b", "x y"), line("a b c", "x y z")]
    groups = chosen(lines, each=2)
    assert groups["Worst"] == [12, 11]  # the longer first
    assert groups["Best"] == [9, 8]
    assert len(groups["Random"]) == 2
    assert len({place for places in groups.values() for place in places}) == 6
    assert chosen(lines, each=2) == groups
    everything = [place for places in chosen(lines, each=50).values() for place in places]
    assert sorted(everything) == list(range(13))
    assert chosen(lines, each=0) == {}


def test_an_utterance_without_errors_is_never_among_the_worst():
    assert list(chosen([line("a", "a"), line("b", "b")], each=1)) == ["Best", "Random"]


def test_words_have_the_times_of_what_was_heard():
    words = [
        {"text": word, "start_seconds": at, "end_seconds": at + 0.5}
        for at, word in enumerate(["the", "cat", "down"])
    ]
    one = line("the small cat", "the cat down", words=words, speaker="s", seconds=3.0)
    found = utterance(one, {"beam": one, "greedy": line("the small cat", "")})
    beam, greedy = found.decoded
    assert [(each.kind, each.said, each.heard, each.start_seconds) for each in beam.shown] == [
        ("same", "the", "the", 0),
        ("out", "small", None, None),
        ("same", "cat", "cat", 1),
        ("in", None, "down", 2),
    ]
    assert (beam.errors, beam.words, beam.more) == (2, 3, 0)
    assert [each.kind for each in greedy.shown] == ["out"] * 3


def test_times_that_are_not_those_of_the_words_are_left_out():
    one = line("a b", "a b", words=[{"text": "a b", "start_seconds": 0.0, "end_seconds": 1.0}])
    (found,) = utterance(one, {"beam": one}).decoded
    assert [each.start_seconds for each in found.shown] == [None, None]


def test_a_long_utterance_is_cut():
    one = line("a " * 300, "b " * 200)
    (found,) = utterance(one, {"beam": one}).decoded
    assert len(found.shown) == 80
    assert (found.errors, found.more) == (300, 340)
