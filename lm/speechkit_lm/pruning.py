"""Entropy pruning: leaving out the n-grams whose loss the model hardly notices.

A. Stolcke, "Entropy-based pruning of backoff language models", 1998. As there, each n-gram is
judged as if it alone were left out, and the probability of a context is the model's own. A
Kneser-Ney model's short contexts are not made to be that (C. Chelba et al., "Study on
interaction between entropy pruning and Kneser-Ney smoothing", 2010): pruned to a small part it
loses more than a model built with cutoffs. For a third or half of the n-grams it matters little.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from speechkit_lm.arrays import assemble, take_apart
from speechkit_lm.model import NgramModel
from speechkit_lm.text import END_ID, START_ID
from speechkit_lm.trie import TrieLevel, select

Floats = npt.NDArray[Any]

_NOTHING_LEFT = 1e-12  # what is left of a probability of 1 after rounding


def prune(model: NgramModel, threshold: float) -> NgramModel:
    """Leave out the n-grams that raise the model's perplexity by less than a share of it each.

    Args:
        model: to prune; it stays as it is.
        threshold: the share; 1e-8 leaves out little, 1e-6 most. Words all stay, and so does
            what a longer n-gram that stays begins or ends with.

    Raises:
        ValueError: a threshold below 0.
    """
    if threshold < 0:
        raise ValueError(f"threshold must be at least 0, not {threshold}")
    levels = take_apart(model.counts, model.arrays)
    context_log_prob = [levels[0].log_prob.copy()]
    context_log_prob[0][START_ID] = context_log_prob[0][END_ID]  # as often as sentences end
    for level in levels[1:-1]:
        context_log_prob.append(context_log_prob[-1][level.parent] + level.log_prob)

    keep = [np.ones(len(level), bool) for level in levels]
    for place in range(len(levels) - 1, 0, -1):
        contexts, level = levels[place - 1], levels[place]
        growth = perplexity_growth(contexts, level, context_log_prob[place - 1])
        keep[place] = growth >= threshold
        if place + 1 < len(levels):
            above, stays = levels[place + 1], keep[place + 1]
            keep[place][above.parent[stays]] = True
            keep[place][above.back[stays]] = True
    kept = renormalized(select(levels, keep))
    facts = {**model.facts, "entropy pruning": f"{threshold:g}"}
    return NgramModel(model.words, [len(level) for level in kept], assemble(kept), facts=facts)


def perplexity_growth(contexts: TrieLevel, level: TrieLevel, context_log_prob: Floats) -> Floats:
    """By what share the model's perplexity grows if an n-gram of a level is left out.

    Stolcke's equations 5 to 8; `context_log_prob` is (n,), of the level's contexts.
    """
    log_prob, lower = level.log_prob, contexts.log_prob[level.back]
    left, lower_left = _left(contexts, level)
    left, lower_left = left[level.parent], lower_left[level.parent]
    old = np.log(left / lower_left)
    new = np.log((left + np.exp(log_prob)) / (lower_left + np.exp(lower)))
    change = np.exp(log_prob) * (lower + new - log_prob) + left * (new - old)
    growth: Floats = np.expm1(-np.exp(context_log_prob[level.parent]) * change)
    return growth


def renormalized(levels: Sequence[TrieLevel]) -> list[TrieLevel]:
    """Back-off weights such that what may follow each context has a probability of 1 in all."""
    result = []
    for level, above in pairwise(levels):
        left, lower_left = _left(level, above)
        backoff = np.log(left / lower_left)
        is_context = np.zeros(len(level), bool)
        is_context[above.parent] = True
        result.append(replace(level, backoff=np.where(is_context, backoff, 0.0)))
    return [*result, levels[-1]]


def _left(contexts: TrieLevel, level: TrieLevel) -> tuple[Floats, Floats]:
    """Of each context, what the words seen after it leave to the others; the same one order lower.

    Never quite nothing, for logarithms.
    """
    size = len(contexts)
    taken = np.bincount(level.parent, np.exp(level.log_prob), minlength=size)
    lower = np.bincount(level.parent, np.exp(contexts.log_prob[level.back]), minlength=size)
    return np.maximum(1 - taken, _NOTHING_LEFT), np.maximum(1 - lower, _NOTHING_LEFT)
