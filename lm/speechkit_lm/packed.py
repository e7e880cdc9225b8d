"""A model in a third of its room, for files that are sent and shipped.

Of the arrays (see `speechkit_lm.arrays`) only these are kept, in the smallest integers that hold
them; the others follow from them, and are made anew when the file is opened:

    packed_word      (size,)     last word of each n-gram
    packed_children  (contexts,) how many n-grams begin with it and have one word more
    packed_log_prob  (size,)     float16
    packed_backoff   (contexts,) float16

A float16 has eleven bits: a probability of 1e-5 is kept to half a percent.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from speechkit_lm.arrays import NgramArrays, assemble, take_apart

Arrays = Mapping[str, npt.NDArray[Any]]

_INTEGERS = (np.uint8, np.uint16, np.int32)


def pack(arrays: NgramArrays) -> dict[str, npt.NDArray[Any]]:
    """What is kept of a model's arrays."""
    return {
        "packed_word": _smallest(arrays.word),
        "packed_children": _smallest(np.diff(arrays.first_child)),
        "packed_log_prob": arrays.log_prob.astype(np.float16),
        "packed_backoff": arrays.backoff.astype(np.float16),
    }


def unpack(kept: Arrays, counts: Sequence[int]) -> NgramArrays:
    """The arrays of a model with so many n-grams of each order, from what was kept of them.

    Raises:
        KeyError, ValueError: it is not of such a model.
    """
    size, contexts = sum(counts), sum(counts[:-1])
    word, children = kept["packed_word"], kept["packed_children"]
    log_prob, backoff = kept["packed_log_prob"], kept["packed_backoff"]
    if [len(word), len(log_prob), len(children), len(backoff)] != [size, size, contexts, contexts]:
        raise ValueError("another number of n-grams than there should be")
    first_child = counts[0] + np.concatenate([[0], np.cumsum(children, dtype=np.int64)])
    if first_child[-1] != size or word.max(initial=0) >= counts[0]:
        raise ValueError("n-grams that do not hang together")
    held = NgramArrays(
        word=word.astype(np.int32),
        log_prob=log_prob.astype(np.float32),
        next_state=np.empty(0, np.int32),
        backoff=backoff.astype(np.float32),
        back=np.empty(0, np.int32),
        first_child=first_child.astype(np.int32),
    )
    return assemble(take_apart(counts, held))


def _smallest(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    most = int(values.max(initial=0))
    return values.astype(next(each for each in _INTEGERS if most <= np.iinfo(each).max))
