"""The records the search works on.

Axes: K hypotheses kept (the beam), C candidates of a frame, N nodes of the lexicon, V labels,
A entries of the trace. Probabilities are not logarithms: a sum of paths is then a sum, and
no frame needs an exponential. Each frame scales them so that the best hypothesis ranks 1.

Arrays of records, since compiled code hands them on as one pointer: tuples of arrays are copied
at each call, and what a hypothesis needs lies side by side.
"""

from typing import Any, NamedTuple, TypeAlias

import numpy as np

from speechkit_beam.compiling import COMPILED

Records: TypeAlias = Any  # numpy's record arrays, and records: of the types below
Array: TypeAlias = Any  # their types are said in words

ROOT = 0
OUTSIDE = 1 << 62  # places from here on are spellings the lexicon does not have: this bit,
LENGTH_AT = 56  # 6 bits that say how many characters they are outside, and a hash
LONGEST = (1 << 6) - 1
KEPT = -1  # for a label: the hypothesis was not extended
JOIN = -2  # for a label: two histories of one hypothesis
BLANK = 0


class Settings(NamedTuple):
    """What the user chose, as factors on probabilities."""

    beam: int
    worst: float  # rank over the best one's, below which a hypothesis is dropped
    least: float  # probability below which a label is not tried
    top_k: int
    lm_weight: float
    word_factor: float
    oov: Array  # (LONGEST + 1,) float64, for a word so many characters outside the lexicon
    outside: Array  # (LONGEST + 1,) float64, potential so many characters outside
    closed: bool
    summed: bool
    lattice: bool  # keep what was merged, for n-best lists


class Labels(NamedTuple):
    """How labels are spelled.

    parts       (V,) bool, the label begins with the word boundary
    first       (V + 1,) int32; label v adds characters[first[v]:first[v + 1]] to a word
    characters  int32, codes as of the trie
    boundary    the label that is nothing but the word boundary; 0 where there is none
    """

    parts: Array
    first: Array
    characters: Array
    boundary: int


# (N + 1,) the trie with what is expected of the words under each node; the last is no node.
NODE = np.dtype(
    [
        ("code", np.int32),  # character that leads here
        ("first_child", np.int32),  # children are up to the next node's first child
        ("word", np.int32),  # id of the word that ends here; -1 where none does
        ("potential", np.float32),  # look-ahead: what the words under the node can still bring
        ("reach", np.float32),  # the highest potential a further character can lead to
        ("bonus", np.float32),  # factor for the word that ends here
    ]
)

# A hypothesis in the beam (K,), or a candidate (C,). Two that have the same place, state and last
# label have the same future: they are one.
HYPOTHESIS = np.dtype(
    [
        ("place", np.int64),  # node of the lexicon, or from OUTSIDE on a hash of the spelling
        ("state", np.int32),  # of the language model
        ("last", np.int32),  # last label
        ("blank", np.float64),  # probability of the paths that end in a blank
        ("label", np.float64),  # of those that end in the last label
        ("potential", np.float64),  # see NODE; 1 between words
        ("reach", np.float64),  # see NODE
        ("end_factor", np.float64),  # what the end of the word brings; negative: not known yet
        ("best", np.float64),  # of a candidate: the most probable way into it
        ("end_state", np.int32),  # the state then
        ("entry", np.int32),  # entry that says how it came about
        ("added", np.int32),  # of a candidate: what its best way added, a label or KEPT
        ("merged", np.int32),  # of a candidate: the last of its other histories; -1 for none
    ],
    align=True,
)

# How hypotheses came about (A,): entries that point back. Entry 0 is the beginning.
ENTRY = np.dtype(
    [
        ("history", np.int64),  # hash of the text so far
        ("parent", np.int32),  # entry before; always a lower number
        ("other", np.int32),  # of a JOIN: the history that is not the best; else 0
        ("label", np.int32),  # what was added; or JOIN
        ("frame", np.int32),  # when
        ("prob", np.float32),  # of the label in that frame; of a JOIN, of `other` over the best's
    ],
    align=True,
)

# (M,) a history that led to a candidate, but not the best one.
MERGED = np.dtype(
    [
        ("history", np.int64),  # see ENTRY
        ("best", np.float64),  # probability of this way
        ("entry", np.int32),  # entry it comes from
        ("added", np.int32),  # what it added, a label or KEPT
        ("next", np.int32),  # another one of the same candidate; -1 for the last
    ],
    align=True,
)

# Where candidates are found again (power of 2,): a hash table, valid where `frame` is this one.
# Narrow, so that it stays in the processor's cache.
SLOT = np.dtype([("frame", np.int32), ("candidate", np.int32)])

# (1,) where the search stands.
PROGRESS = np.dtype(
    [
        ("frame", np.int64),  # frames read since the beginning
        ("kept", np.int64),  # hypotheses in the beam
        ("traced", np.int64),  # entries of the trace
        ("log_scale", np.float64),  # natural logarithm of what all probabilities were divided by
    ]
)

# (1,) and in the frame it reads.
TALLY = np.dtype(
    [
        ("number", np.int64),  # of the frame, counted over all utterances: see SLOT
        ("used", np.int64),  # candidates
        ("merged", np.int64),  # histories that are not their best
        ("above", np.int64),  # of them in bucket `cut` and better ones
        ("cut", np.int64),  # lowest bucket that may survive
        ("inside", np.int64),  # labels to try that go on with a word
        ("parting", np.int64),  # labels to try that begin one
        ("best", np.float64),  # highest rank
        ("cutoff", np.float64),  # rank below which no candidate can survive
    ]
)


class Work(NamedTuple):
    """What a frame needs and the next one overwrites.

    tally            (1,) TALLY
    candidates       (C,) HYPOTHESIS
    rank, rank_bits  (C + 1,) float64 and the same memory as int64: (blank + label) * potential
    buckets          (BUCKETS,) int32, candidates by rank
    table            (power of 2,) SLOT
    merged           (M,) MERGED
    chosen           (2, V) int32, labels to try, most probable first: those that go on with a
                     word, those that begin one
    """

    tally: Records
    candidates: Records
    rank: Array
    rank_bits: Array
    buckets: Array
    table: Records
    merged: Records
    chosen: Array


# Ranks sorted into buckets by the highest bits of their float64: 8 to each power of 2.
SHIFT = 49
LOWEST = (1023 - 80) << 3
BUCKETS = 128 << 3
EDGES = (np.arange(LOWEST, LOWEST + BUCKETS, dtype=np.int64) << SHIFT).view(np.float64)


def array_of(size: int, kind: np.dtype[Any]) -> Records:
    """Zeros, whose fields are attributes to Python, too, if that is to run the search."""
    records = np.zeros(size, kind)
    return records if COMPILED else records.view(np.recarray)
