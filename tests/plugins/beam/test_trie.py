import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speechkit_beam.trie import Trie, build_trie

WORDS = st.lists(st.text("abcé", max_size=6), max_size=30)


def spellings(trie: Trie, alphabet: str) -> dict[str, int]:
    """The node of every beginning, found by walking down."""
    found = {"": 0}
    for text, node in (waiting := [("", 0)]):
        for child in range(trie.first_child[node], trie.first_child[node + 1]):
            longer = text + alphabet[trie.code[child]]
            found[longer] = child
            waiting.append((longer, child))
    return found


@given(WORDS)
def test_every_beginning_of_a_word_is_a_node_and_nothing_else(words: list[str]) -> None:
    trie = build_trie(words, "abc")
    spelled = [word for word in words if word and "é" not in word]
    beginnings = {word[:end] for word in spelled for end in range(len(word) + 1)} | {""}
    found = spellings(trie, "abc")
    assert set(found) == beginnings
    assert len(trie) == len(beginnings)
    for word, node in zip(words, trie.node, strict=True):
        assert node == (found[word] if word in spelled else -1)
    for text, node in found.items():
        assert trie.depth[node] == len(text)
        assert trie.word[node] == (words.index(text) if text in spelled else -1)
    codes = [trie.code[a:b] for a, b in zip(trie.first_child, trie.first_child[1:], strict=False)]
    assert all((np.diff(each) > 0).all() for each in codes)


@given(WORDS, st.randoms(use_true_random=False))
def test_the_highest_value_below_each_node(words: list[str], random) -> None:
    trie = build_trie(words, "abcé")
    values = np.array([random.random() for _ in range(len(trie))])
    found = spellings(trie, "abcé")
    highest, of_children = trie.spread(values), trie.spread(values, below=True)
    for text, node in found.items():
        under = [values[other] for longer, other in found.items() if longer.startswith(text)]
        children = [values[found[each]] for each in found if each[:-1] == text and each]
        assert highest[node] == max(under)
        assert of_children[node] == max(children, default=-np.inf)


def test_a_large_lexicon_takes_little_time() -> None:
    draw = np.random.default_rng(3)
    words = [
        "".join(map(chr, draw.integers(97, 123, size))) for size in draw.integers(2, 12, 60000)
    ]
    began = time.process_time()
    trie = build_trie(words, "abcdefghijklmnopqrstuvwxyz")
    assert time.process_time() - began < 3.0
    assert len(trie) > 60_000


def test_an_empty_lexicon_is_a_root() -> None:
    trie = build_trie([], "ab")
    assert (len(trie), trie.first_child.tolist()) == (1, [1, 1])


def test_of_a_word_given_twice_the_first_counts() -> None:
    trie = build_trie(["a", "b", "a"], "ab")
    assert trie.word[trie.node[2]] == 0


@pytest.mark.parametrize("alphabet", ["ba", "ab"])
def test_codes_are_places_in_the_alphabet(alphabet: str) -> None:
    trie = build_trie(["ab"], alphabet)
    assert trie.code.tolist() == [-1, alphabet.index("a"), alphabet.index("b")]
