"""Reading the n-gram arrays of `speechkit_lm`, word by word, in compiled code."""

from typing import Any

from speechkit_beam.compiling import inlined

UNKNOWN, START, END = 0, 1, 2  # ids of <unk>, <s> and </s>


@inlined
def find(word: Any, low: int, high: int, wanted: int) -> int:  # noqa: ANN401 - an array
    """Where `wanted` is in the rising numbers word[low:high]; -1 where it is not."""
    end = high
    while low < high:
        middle = (low + high) >> 1
        if word[middle] < wanted:
            low = middle + 1
        else:
            high = middle
    return low if low < end and word[low] == wanted else -1


@inlined
def step(lm: Any, state: int, word: int) -> tuple[float, int]:  # noqa: ANN401 - NgramArrays
    """Read a word: natural logarithm of its probability, and the state after it."""
    backed_off = 0.0
    while state >= 0:
        child = find(lm.word, lm.first_child[state], lm.first_child[state + 1], word)
        if child >= 0:
            return backed_off + float(lm.log_prob[child]), lm.next_state[child]
        backed_off += float(lm.backoff[state])
        state = lm.back[state]
    return backed_off + float(lm.log_prob[word]), lm.next_state[word]
