"""The words a search knows, their place in the trie, and what they are worth."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from speechkit import DataError, Vocabulary
from speechkit_beam.lm import END, UNKNOWN
from speechkit_beam.records import NODE, Labels, Records, array_of
from speechkit_beam.trie import Trie, build_trie

_log = logging.getLogger(__name__)
PARTED = "\0"  # between words, and in none
_MOST_FOREIGN = 0.2  # share of running words the vocabulary cannot spell, before we warn


@dataclass(frozen=True)
class Alphabet:
    """The characters a vocabulary's labels are made of.

    characters  all of them
    written     what each label writes, `PARTED` for the word boundary
    labels      the same for compiled code
    """

    characters: str
    written: list[str]
    labels: Labels


def alphabet_of(vocabulary: Vocabulary) -> Alphabet:
    """Take labels apart.

    Raises:
        DataError: a label has the word boundary elsewhere than at its beginning.
    """
    boundary = vocabulary.word_boundary
    parts = [bool(boundary) and label.startswith(boundary) for label in vocabulary.labels]
    spelled = [
        label.removeprefix(boundary) if parting else label
        for label, parting in zip(vocabulary.labels, parts, strict=True)
    ]
    for label, rest in zip(vocabulary.labels, spelled, strict=True):
        if boundary and boundary in rest:
            raise DataError(
                f"the label {label!r} has the word boundary {boundary!r} after its beginning",
                hint="the decoder beam takes labels that begin words, not labels that end them",
            )
    characters = "".join(sorted(set("".join(spelled))))
    code = {character: index for index, character in enumerate(characters)}
    bounds = np.cumsum([0, *map(len, spelled)])
    alone = [label for label, text in enumerate(spelled) if parts[label] and not text]
    return Alphabet(
        characters,
        [PARTED * parting + text for parting, text in zip(parts, spelled, strict=True)],
        Labels(
            parts=np.array(parts),
            first=bounds.astype(np.int32),
            characters=np.array([code[each] for each in "".join(spelled)], np.int32),
            boundary=alone[0] if alone else 0,
        ),
    )


@dataclass(frozen=True)
class _Words:
    """Words of a language model and of the user, as a tree.

    trie   of them all
    known  (W,) int32, their ids in the language model; `<unk>` for those it has not
    """

    trie: Trie
    known: NDArray[np.int32]


_kept: WeakKeyDictionary[Any, dict[tuple[tuple[str, ...], str], _Words]] = WeakKeyDictionary()


def _words(language_model: Any, extra: tuple[str, ...], characters: str) -> _Words:  # noqa: ANN401 - or None
    """The tree, built once for a language model: tuning asks for it hundreds of times."""
    kept = {} if language_model is None else _kept.setdefault(language_model, {})
    key = (extra, characters)
    if key not in kept:
        kept[key] = _build(language_model, extra, characters)
    return kept[key]


def _build(language_model: Any, extra: tuple[str, ...], characters: str) -> _Words:  # noqa: ANN401 - or None
    words = [] if language_model is None else list(language_model.words)[END + 1 :]
    ids = np.arange(END + 1, END + 1 + len(words), dtype=np.int32)
    ids = np.concatenate([ids, np.full(len(extra), UNKNOWN, np.int32)])
    trie = build_trie([*words, *extra], characters)
    if words:
        _check_spelling(language_model, words, trie)
    return _Words(trie, ids)


def _check_spelling(language_model: Any, words: list[str], trie: Trie) -> None:  # noqa: ANN401 - NgramModel
    """Say so where the words are not spelled as the vocabulary spells: the LM then does harm."""
    foreign = np.flatnonzero(trie.node[: len(words)] < 0)
    shares = np.exp(language_model.arrays.log_prob[END + 1 : END + 1 + len(words)])
    share = float(shares[foreign].sum() / max(shares.sum(), 1e-30))
    examples = ", ".join(repr(words[at]) for at in foreign[np.argsort(-shares[foreign])[:5]])
    hint = "apply the recipe's [text] rules to the language model's text, and build it again"
    if len(foreign) == len(words):
        raise DataError(
            f"the vocabulary can spell none of the language model's {len(words):,} words "
            f"({examples}, ...)",
            hint=hint,
        )
    if share > _MOST_FOREIGN:
        _log.warning(
            "the vocabulary cannot spell %.0f %% of the language model's words, weighted by their "
            "probability (%s, ...): %s",
            100 * share,
            examples,
            hint,
        )


def lexicon_of(
    language_model: Any,  # noqa: ANN401 - or None
    characters: str,
    *,
    lm_weight: float,
    word_bonus: float,
    hotwords: Mapping[str, float],
    outside: float,
) -> Records:
    """The trie with what is expected of the words under each node.

    What the best word under a node will bring, by its unigram probability and with the word bonus,
    is counted as soon as a word begins: else words not yet whole would look better than whole ones,
    or worse, and the beam be full of them. A hotword's weight is gained little by little, as its
    characters come, and lost again where another word comes of it.

    Args:
        language_model: gives the words; None for none.
        characters: of the alphabet.
        lm_weight: of what the language model says of words that are not whole.
        word_bonus: for each word.
        hotwords: their weights.
        outside: potential of the first character outside the lexicon; 0 where there is none.
    """
    spelled = tuple(sorted(each for each in hotwords if set(each) <= set(characters)))
    _warn_of(tuple(sorted(hotwords.keys() - set(spelled))))
    words = _words(language_model, spelled, characters)
    trie = words.trie
    here = np.flatnonzero(trie.word >= 0)
    word = np.full(len(trie), -1, np.int32)
    word[here] = words.known[trie.word[here]]
    expected = np.full(len(trie), -np.inf)
    if language_model is None:
        expected[here] = 0.0
    else:
        expected[here] = lm_weight * language_model.arrays.log_prob[word[here]]
    expected = trie.spread(expected) if len(trie) > 1 else np.zeros(1)
    bonus, gained = np.zeros(len(trie)), np.zeros(len(trie))
    for hotword in spelled:
        weight, place = hotwords[hotword], 0
        for depth, character in enumerate(hotword, 1):
            place = _child(trie, place, characters.index(character))
            gained[place] = max(gained[place], weight * depth / len(hotword))
        bonus[place] = weight
    expected += gained + word_bonus
    expected[0] = 0.0
    potential = np.exp(expected)
    reach = trie.spread(potential, below=True) if len(trie) > 1 else np.zeros(1)
    nodes = array_of(len(trie) + 1, NODE)
    nodes["first_child"] = trie.first_child
    inner = nodes[: len(trie)]
    inner["code"] = trie.code
    inner["word"] = word
    inner["potential"] = potential
    inner["reach"] = np.maximum(reach, outside)
    inner["bonus"] = np.exp(bonus)
    return nodes


@cache
def _warn_of(hotwords: tuple[str, ...]) -> None:
    """Once, however often a search is made anew with other weights."""
    if hotwords:
        _log.warning(
            "hotwords that the vocabulary's labels cannot spell are of no use: %s; write them "
            "under the recipe's text rules",
            ", ".join(map(repr, hotwords)),
        )


def _child(trie: Trie, place: int, code: int) -> int:
    first, last = trie.first_child[place : place + 2]
    return int(first + np.searchsorted(trie.code[first:last], code))
