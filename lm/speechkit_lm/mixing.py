"""Several models made into one: static interpolation.

The mixture gives each word the weighted mean of the models' probabilities. It is written as one
back-off model with the n-grams of all; for these it is exact, and for the rest backing off stands
for the mean.

This is how texts are weighted here. Counting a text twice is no way to do it: Kneser-Ney reads
from the n-grams seen once how much to leave for those never seen, and after repetition there are
none. (A text's share of the words is not its weight in the mixture: tune the weights on a text
like those to be recognised.)
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from speechkit import DataError
from speechkit_lm.arrays import assemble, take_apart
from speechkit_lm.building import build
from speechkit_lm.counts import distinct_rows
from speechkit_lm.measuring import sentences
from speechkit_lm.model import NgramModel
from speechkit_lm.pruning import renormalized
from speechkit_lm.rows import Rows, sort_rows
from speechkit_lm.text import START_ID, UNKNOWN_ID, Block, number_text
from speechkit_lm.trie import TrieLevel, keys, lookup

Ints = npt.NDArray[Any]
Floats = npt.NDArray[Any]

_ROUNDS = 200
_SETTLED = 1e-5


def mix(models: Sequence[NgramModel], weights: Sequence[float]) -> NgramModel:
    """Interpolate models into one back-off model that has the words and n-grams of all.

    A word that a model does not have shares, in that model, the probability of `<unk>` with the
    other words it does not have.

    Args:
        models: one or more, of any orders.
        weights: one for each, above 0; they are divided by their sum.

    Raises:
        ValueError: weights that do not fit.
    """
    shares = _shares(weights, len(models))
    words, known = _union(models)
    taken_apart = [take_apart(each.counts, each.arrays) for each in models]
    trie = _union_trie(taken_apart, known, len(words))
    totals = [np.zeros(len(level)) for level in trie]
    for levels, ids, share in zip(taken_apart, known, shares, strict=True):
        for place, log_prob in enumerate(_in_union(trie, levels, ids)):
            totals[place] += share * np.exp(log_prob)
    totals[0][START_ID] = 1.0
    mixed = renormalized(
        [replace(level, log_prob=np.log(total)) for level, total in zip(trie, totals, strict=True)]
    )
    facts = {"mixture of": str(len(models)), "weights": " ".join(f"{each:.6g}" for each in shares)}
    return NgramModel(words, [len(level) for level in mixed], assemble(mixed), facts=facts)


def build_mixed(
    texts: Sequence[Iterable[str] | Iterable[Block]],
    weights: Sequence[float],
    **settings: Any,  # noqa: ANN401 - those of `build`
) -> NgramModel:
    """Estimate a model of each text and interpolate them: how texts are weighted.

    Raises:
        DataError: a text that cannot be used.
        ValueError: weights or settings that do not fit.
    """
    _shares(weights, len(texts))
    return mix([build(text, **settings) for text in texts], weights)


@dataclass(frozen=True)
class TunedWeights:
    """Weights found on a text.

    weights       of each model; they sum to 1
    perplexities  of each model alone on the words that one of them knows
    perplexity    of the mixture on them
    """

    weights: tuple[float, ...]
    perplexities: tuple[float, ...]
    perplexity: float


def tune_weights(models: Sequence[NgramModel], blocks: Iterable[Block]) -> TunedWeights:
    """Find the weights that foretell a (normalised) text best, by expectation maximisation.

    Words that no model has do not count.

    Raises:
        DataError: there is no word in the text that a model has.
    """
    corpus = number_text(blocks)
    words, known = _union(models)
    union = {word: id_ for id_, word in enumerate(words)}
    ids = np.array([union.get(word, UNKNOWN_ID) for word in corpus.words])[corpus.ids]
    counted = (ids != UNKNOWN_ID) & (ids != START_ID)
    if not (counted & (ids > START_ID + 1)).any():
        raise DataError(
            "no word of the text to tune on is known to the models",
            hint="compare their letters: case, accents, another script",
        )
    log_probs = []
    for model, own in zip(models, known, strict=True):
        of_union = np.full(len(words), UNKNOWN_ID)
        of_union[own] = np.arange(len(own))
        found = np.concatenate([model.log_probs(of_union[ids[part]]) for part in sentences(ids)])
        found[of_union[ids] == UNKNOWN_ID] -= np.log(len(words) - len(own) + 1)
        log_probs.append(found[counted])
    return _expectation_maximization(np.stack(log_probs))


def _expectation_maximization(log_probs: Floats) -> TunedWeights:
    """(models, words) log probabilities -> weights."""
    scale = log_probs.max(axis=0)
    scaled = np.exp(log_probs - scale)
    weights = np.full(len(log_probs), 1 / len(log_probs))
    for _ in range(_ROUNDS):
        parts = weights[:, None] * scaled
        new = (parts / parts.sum(axis=0)).mean(axis=1)
        settled = np.abs(new - weights).max() < _SETTLED
        weights = new
        if settled:
            break
    together = np.log(weights @ scaled) + scale
    return TunedWeights(
        tuple(weights.tolist()),
        tuple(np.exp(-log_probs.mean(axis=1)).tolist()),
        float(np.exp(-together.mean())),
    )


def _shares(weights: Sequence[float], parts: int) -> list[float]:
    if len(weights) != parts:
        raise ValueError(f"{len(weights)} weights for {parts} parts")
    if not parts or not all(np.isfinite(each) and each > 0 for each in weights):
        raise ValueError(f"weights must be above 0, not {list(weights)}")
    return [each / sum(weights) for each in weights]


def _union(models: Sequence[NgramModel]) -> tuple[list[str], list[Ints]]:
    """The words of all, and the id there of each model's words."""
    ids: dict[str, int] = {}
    known = [
        np.array([ids.setdefault(word, len(ids)) for word in model.words], np.int32)
        for model in models
    ]
    return list(ids), known


def _union_trie(
    models: Sequence[Sequence[TrieLevel]], known: Sequence[Ints], size: int
) -> list[TrieLevel]:
    """The n-grams of all models; the probabilities are yet to be found."""
    bits = max(1, (size - 1).bit_length())
    order = max(len(levels) for levels in models)
    rows = [Rows([np.arange(size, dtype=np.int32)], np.zeros(size), np.zeros(size))]
    columns = [[[ids] for ids in known]]  # of the last order, of each model, a column per place
    for place in range(1, order):
        deeper = []
        for levels, ids, above in zip(models, known, columns[-1], strict=True):
            if place >= len(levels):
                deeper.append([np.zeros(0, np.int32)] * (place + 1))
                continue
            level = levels[place]
            deeper.append([*(each[level.parent] for each in above), ids[level.word]])
        columns.append(deeper)
        together = [np.concatenate(each) for each in zip(*deeper, strict=True)]
        distinct, _ = distinct_rows(together, bits)
        nothing = np.zeros(len(distinct[0]))
        rows.append(Rows(distinct, nothing, nothing))
    return sort_rows(rows)


def _in_union(trie: Sequence[TrieLevel], levels: Sequence[TrieLevel], ids: Ints) -> list[Floats]:
    """A model's log probabilities of all n-grams of the union."""
    size = len(trie[0])
    unknown = levels[0].log_prob[UNKNOWN_ID] - np.log(size - len(ids) + 1)
    found = [np.full(size, unknown)]
    backoff = np.zeros(size)
    seen = np.arange(len(ids)) != UNKNOWN_ID
    found[0][ids[seen]] = levels[0].log_prob[seen]
    node = ids  # in the union, of the model's n-grams
    for place, level in enumerate(trie[1:], 1):
        if place <= len(levels) - 1:
            weights = levels[place - 1].backoff
            assert weights is not None
            backoff[node] = weights
        log_prob = backoff[level.parent] + found[-1][level.back]
        if place < len(levels):
            own = levels[place]
            wanted = keys(node[own.parent], ids[own.word], size)
            node = lookup(keys(level.parent, level.word, size), wanted)
            log_prob[node] = own.log_prob
        found.append(log_prob)
        backoff = np.zeros(len(level))
    return found
