"""The lexicon as a tree of characters.

Nodes are numbered level by level, the root is 0; the children of a node follow one another, sorted
by character. Axes: W words, C characters of the alphabet, N nodes.

      root 0 ── a 1 ── t 3            at
             └─ t 2 ── o 4 ── e 5     to, toe
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NO_WORD = -1


@dataclass(frozen=True)
class Trie:
    """Every beginning of a word is a node.

    code         (N,) int32, the character that leads to the node; -1 for the root
    depth        (N,) int32, characters from the root
    first_child  (N + 1,) int32; nodes [first_child[i], first_child[i + 1]) are the children of i
    word         (N,) int32, the word that ends here; `NO_WORD` where none does
    node         (W,) int32, where each word ends; -1 for words that have other characters
    """

    code: NDArray[np.int32]
    depth: NDArray[np.int32]
    first_child: NDArray[np.int32]
    word: NDArray[np.int32]
    node: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.code)

    def spread(self, values: NDArray[np.float64], *, below: bool = False) -> NDArray[np.float64]:
        """(N,) values -> (N,) the highest of a node and all under it (`below`: of its children).

        Where a node has no child, the highest below it is -inf.
        """
        highest = values.copy()
        of_children = np.full(len(self), -np.inf)
        levels = np.flatnonzero(np.diff(self.depth, prepend=-1, append=self.depth[-1] + 1))
        for start, stop in zip(levels[-2::-1], levels[:0:-1], strict=True):
            parents = start + np.flatnonzero(np.diff(self.first_child[start : stop + 1]))
            if len(parents):
                first, last = self.first_child[parents[0]], self.first_child[parents[-1] + 1]
                of_children[parents] = np.maximum.reduceat(
                    values[first:last] if below else highest[first:last],
                    self.first_child[parents] - first,
                )
            if not below:
                highest[start:stop] = np.maximum(highest[start:stop], of_children[start:stop])
        return of_children if below else highest


def build_trie(words: Sequence[str], alphabet: Sequence[str]) -> Trie:
    """Build the tree of `words`, of which each is spelled with characters of `alphabet`.

    A word spelled with any other character, or with none, has no place in it.

    >>> trie = build_trie(["to", "at", "toe", "été"], "aeto")
    >>> trie.node.tolist(), trie.code.tolist()
    ([4, 3, 5, -1], [-1, 0, 2, 2, 3, 1])
    """
    codes, starts, lengths = _spell(words, alphabet)
    size = len(alphabet)
    node = np.where(lengths > 0, 0, -1).astype(np.int32)
    inside = np.flatnonzero(lengths > 0)  # words that go on
    code, depth, parent = ([np.full(1, value, np.int32)] for value in (-1, 0, -1))
    count, level = 1, 0
    while len(inside):
        key = node[inside].astype(np.int64) * size + codes[starts[inside] + level]
        fresh, which = np.unique(key, return_inverse=True)
        level += 1
        code.append((fresh % size).astype(np.int32))
        parent.append((fresh // size).astype(np.int32))
        depth.append(np.full(len(fresh), level, np.int32))
        node[inside] = count + which
        count += len(fresh)
        inside = inside[lengths[inside] > level]
    children = np.bincount(np.concatenate(parent)[1:], minlength=count)
    word = np.full(count, NO_WORD, np.int32)
    spelled = np.flatnonzero(node >= 0)[::-1]  # of a word given twice, the first
    word[node[spelled]] = spelled
    return Trie(
        code=np.concatenate(code),
        depth=np.concatenate(depth),
        first_child=(1 + np.concatenate([[0], np.cumsum(children)])).astype(np.int32),
        word=word,
        node=node,
    )


def _spell(
    words: Sequence[str], alphabet: Sequence[str]
) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int64]]:
    """Codes of all words' characters end to end, where each begins, and its length (0: foreign)."""
    points = np.frombuffer("".join(words).encode("utf-32-le", "surrogatepass"), np.uint32)
    known = np.array([ord(each) for each in alphabet], np.uint32)
    order = np.argsort(known)
    place = np.searchsorted(known[order], points).clip(max=len(known) - 1)
    codes = np.where(known[order][place] == points, order[place], -1).astype(np.int32)
    lengths = np.fromiter(map(len, words), np.int64, len(words))
    starts = np.cumsum(lengths) - lengths
    foreign = np.concatenate([[0], np.cumsum(codes < 0)])
    lengths[foreign[starts + lengths] > foreign[starts]] = 0
    return codes, starts, lengths
