"""Word 6-grams are found exactly, in texts of any length."""

from hypothesis import given
from hypothesis import strategies as st

from speechkit.audit.sequences import ORDER, Sequences

TEXTS = st.lists(st.lists(st.sampled_from(["a", "b", "ё", "ab"]), max_size=14).map(" ".join))


def grams(texts) -> list[tuple[int, tuple[str, ...]]]:
    found = []
    for place, text in enumerate(texts):
        words = text.split()
        found += [(place, tuple(words[at : at + ORDER])) for at in range(len(words) - ORDER + 1)]
    return found


@given(TEXTS, st.lists(TEXTS))
def test_as_sets_of_tuples_have_it(texts, chunks):
    sequences = Sequences.of(texts)
    search = sequences.search()
    for chunk in chunks:
        search.add(chunk)
    known = {gram for chunk in chunks for _, gram in grams(chunk)}
    places = grams(texts)
    assert sequences.owner.tolist() == [owner for owner, _ in places]
    assert sequences.count == len({gram for _, gram in places})
    assert len(set(sequences.gram.tolist())) == sequences.count
    assert search.found[sequences.gram].tolist() == [gram in known for _, gram in places]


def test_no_sequence_goes_over_the_end_of_a_line():
    search = Sequences.of(["one two three four five six"]).search()
    search.add(["one two three", "four five six"])
    assert not search.found.any()
    search.add(["zero one two three four five six seven"])
    assert search.found.all()


def test_texts_without_words():
    sequences = Sequences.of(["", "five words are too few"])
    search = sequences.search()
    search.add([])
    search.add(["", "a b c d e f g"])
    assert (sequences.count, search.found.tolist()) == (0, [])
