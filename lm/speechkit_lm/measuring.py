"""How well models foretell a text."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from speechkit_lm.text import END_ID, START_ID, UNKNOWN_ID, Block, number_text

if TYPE_CHECKING:
    from speechkit_lm.model import NgramModel, Perplexity

TOKENS_AT_ONCE = 1 << 20


def ids_of_text(model: "NgramModel", blocks: Iterable[Block]) -> npt.NDArray[np.int32]:
    """(T,) ids of `<s> word ... </s>`, one sentence after the other, in the model's numbers.

    Raises:
        DataError: there is not a word in the text.
    """
    corpus = number_text(blocks)
    known = np.fromiter(
        (model.word_ids.get(word, UNKNOWN_ID) for word in corpus.words), np.int32, len(corpus.words)
    )
    return known[corpus.ids]


def sentences(ids: npt.NDArray[Any], at_once: int = TOKENS_AT_ONCE) -> Iterable[slice]:
    """Parts of (T,) ids of about `at_once` tokens, cut between sentences."""
    starts = np.flatnonzero(ids == START_ID)
    low = 0
    while low < len(ids):
        after = int(np.searchsorted(starts, low + at_once))
        high = int(starts[after]) if after < len(starts) else len(ids)
        yield slice(low, high)
        low = high


def perplexity(model: "NgramModel", blocks: Iterable[Block]) -> "Perplexity":
    """How well a model foretells a (normalised) text.

    Raises:
        DataError: there is not a word in the text.
    """
    from speechkit_lm.model import Perplexity  # noqa: PLC0415 - which uses this module

    ids = ids_of_text(model, blocks)
    total = of_unknown = 0.0
    for part in sentences(ids):
        log_probs = model.log_probs(ids[part])
        total += float(log_probs.sum())
        of_unknown += float(log_probs[ids[part] == UNKNOWN_ID].sum())
    ends = int(np.count_nonzero(ids == END_ID))
    return Perplexity(
        sentences=ends,
        words=len(ids) - 2 * ends,
        unknown=int(np.count_nonzero(ids == UNKNOWN_ID)),
        log_prob=total,
        log_prob_known=total - of_unknown,
    )
