"""From text to a model: every step in one call."""

import logging
import math
from collections.abc import Collection, Iterable, Sequence
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt

from speechkit import DataError
from speechkit_lm.arrays import assemble
from speechkit_lm.counts import count_ngrams
from speechkit_lm.kneser_ney import Discounts, smooth
from speechkit_lm.model import NgramModel
from speechkit_lm.progress import Progress, silent
from speechkit_lm.scratch import Scratch
from speechkit_lm.storage import temporary_folder
from speechkit_lm.text import SPECIAL_IDS, Block, Corpus, blocks_of_lines, number_text

MAX_ORDER = 6
FALLBACK_DISCOUNTS = (0.5, 1.0, 1.5)  # those lmplz takes with a bare --discount_fallback
MEMORY_GIGABYTES = 2.0
LEAST_WINDOWS = 1 << 16
_LOG = logging.getLogger(__name__)


def build(
    text: Iterable[str] | Iterable[Block],
    *,
    order: int = 3,
    cutoffs: Sequence[int] = (),
    vocabulary: Collection[str] | None = None,
    vocabulary_limit: int | None = None,
    fallback_discounts: tuple[float, float, float] | None = FALLBACK_DISCOUNTS,
    memory_gigabytes: float = MEMORY_GIGABYTES,
    temporary: Path | None = None,
    progress: Progress = silent,
) -> NgramModel:
    """Estimate a model: interpolated modified Kneser-Ney, as lmplz does it.

    Args:
        text: lines (already normalised), or blocks of them as `blocks_of_file` gives.
        order: the longest n-gram, 1 to 6 words.
        cutoffs: n-grams of order 1, 2, ... that occur so often or less are left out; the last
            number goes for all higher orders; they must not fall. As lmplz' --prune.
        vocabulary: the words the model keeps, of those in the text; n-grams with others are left
            out and give what they had to the lower order. As lmplz' --limit_vocab_file.
        vocabulary_limit: how many words to keep at most, the most frequent.
        fallback_discounts: for adjusted counts 1, 2, 3 and more, of an order whose own cannot be
            estimated, as in small or repetitive texts; None: that is an error, as with lmplz.
        memory_gigabytes: about what the work may hold at once; the rest is in files.
        temporary: folder for those; None: all is in memory, whatever its size.
        progress: is told how far it is.

    Raises:
        DataError: the text cannot be used, or there is none.
        ValueError: settings out of their range.

    >>> model = build(["the cat", "the dog", "a dog"], order=2)
    >>> model.order, model.counts
    (2, (7, 7))
    """
    cutoffs = full_cutoffs(cutoffs, order)
    if not 0 < memory_gigabytes < math.inf:
        raise ValueError(f"memory_gigabytes must be a number above 0, not {memory_gigabytes}")
    memory = int(memory_gigabytes * 2**30)
    with ExitStack() as stack:
        scratch = Scratch()
        if temporary is not None:
            folder = stack.enter_context(temporary_folder(temporary))
            scratch = Scratch(folder, memory // 16)
        corpus = number_text(as_blocks(text, progress), scratch)
        levels = count_ngrams(
            corpus.ids,
            order=order,
            vocabulary_size=len(corpus.words),
            scratch=scratch,
            windows_at_once=max(LEAST_WINDOWS, memory // (64 + 24 * order)),
            progress=progress,
        )
        allowed = _allowed(corpus, levels[0].count, vocabulary, vocabulary_limit)
        smoothed, discounts = smooth(
            levels,
            cutoffs=cutoffs,
            allowed=allowed,
            fallback=fallback_discounts,
            scratch=scratch,
            progress=progress,
        )
        arrays = assemble(smoothed, scratch)
    _warn_of_fallbacks(discounts)
    facts = {
        "text words": str(corpus.tokens),
        "text sentences": str(corpus.sentences),
        "cutoffs": " ".join(map(str, cutoffs)),
        "smoothing": "interpolated modified Kneser-Ney",
        "discounts": "; ".join(
            " ".join(f"{amount:.6g}" for amount in each.amounts)
            + (" (fallback)" if each.fallback else "")
            for each in discounts
        ),
    }
    words = _kept_words(corpus, levels[0].count, cutoffs[0], allowed)
    return NgramModel(words, [len(each) for each in smoothed], arrays, facts=facts)


def _kept_words(
    corpus: Corpus,
    counts: npt.NDArray[np.int64],
    cutoff: int,
    allowed: npt.NDArray[np.bool_] | None,
) -> list[str]:
    if not cutoff and allowed is None:
        return corpus.words
    kept = counts > cutoff
    if allowed is not None:
        kept &= allowed
    kept[:SPECIAL_IDS] = True
    return [word for word, keep in zip(corpus.words, kept, strict=True) if keep]


def full_cutoffs(cutoffs: Sequence[int], order: int) -> list[int]:
    """A cutoff for each order.

    Raises:
        ValueError: an order that is not between 1 and 6, or cutoffs that make no sense for it.
    """
    if not 1 <= order <= MAX_ORDER:
        raise ValueError(f"order must be from 1 to {MAX_ORDER}, not {order}")
    if len(cutoffs) > order:
        raise ValueError(f"{len(cutoffs)} cutoffs for a model of order {order}")
    full = [*cutoffs, *[cutoffs[-1] if cutoffs else 0] * (order - len(cutoffs))]
    if full != sorted(full) or full[0] < 0:
        raise ValueError(f"cutoffs must not fall from order to order, as {list(cutoffs)} do")
    return full


def as_blocks(text: Iterable[str] | Iterable[Block], progress: Progress) -> Iterable[Block]:
    """Blocks of a text in either form; tells how much was read."""
    read = 0
    for block in _blocks(text):
        yield block
        read += len(block.data)
        progress(f"reading text: {read / 1e6:.0f} MB", None)


def _blocks(text: Iterable[str] | Iterable[Block]) -> Iterable[Block]:
    """Blocks, of lines or as they are."""
    rest = iter(text)
    first = next(rest, None)
    if first is None:
        return []
    everything = chain([first], rest)
    if isinstance(first, Block):
        return cast(Iterable[Block], everything)
    return blocks_of_lines(cast(Iterable[str], everything))


def _allowed(
    corpus: Corpus,
    counts: npt.NDArray[np.int64],
    vocabulary: Collection[str] | None,
    limit: int | None,
) -> npt.NDArray[np.bool_] | None:
    """(V,) which words the model keeps; None: all."""
    if vocabulary is None and limit is None:
        return None
    if limit is not None and limit < 1:
        raise ValueError(f"vocabulary_limit must be at least 1, not {limit}")
    allowed = np.ones(len(counts), bool)
    if vocabulary is not None:
        listed = {*corpus.words[:SPECIAL_IDS], *vocabulary}
        allowed = np.fromiter((word in listed for word in corpus.words), bool, len(counts))
        if np.count_nonzero(allowed) == SPECIAL_IDS:
            raise DataError(
                "no word of the vocabulary is in the text",
                hint="compare their letters: case, accents, another script",
            )
    allowed[:SPECIAL_IDS] = True
    if limit is not None and np.count_nonzero(allowed) - SPECIAL_IDS > limit:
        ranked = np.where(allowed, counts, -1)
        ranked[:SPECIAL_IDS] = np.iinfo(np.int64).max
        most = np.argsort(-ranked, kind="stable")[: limit + SPECIAL_IDS]
        allowed = np.zeros(len(counts), bool)
        allowed[most] = True
    return allowed


def _warn_of_fallbacks(discounts: Sequence[Discounts]) -> None:
    orders = [order for order, each in enumerate(discounts, 1) if each.fallback]
    if orders:
        _LOG.warning(
            "too little or too regular text to estimate discounts of order %s: took %s; "
            "more text, or one without repeated lines, makes a better model",
            ", ".join(map(str, orders)),
            " ".join(map(str, discounts[orders[0] - 1].amounts)),
        )
