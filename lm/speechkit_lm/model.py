"""An n-gram model in use: loading, scoring, states."""

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from speechkit import DataError
from speechkit_lm import storage
from speechkit_lm.arrays import DTYPES, NgramArrays
from speechkit_lm.packed import pack, unpack
from speechkit_lm.progress import Progress, silent
from speechkit_lm.text import END, START_ID, UNKNOWN_ID, words_of

Ints = npt.NDArray[Any]
LN_10 = math.log(10.0)


@dataclass(frozen=True)
class Perplexity:
    """How well a model foretells a text.

    sentences, words      of the text
    unknown               words the model does not have
    log_prob              natural logarithm of the text's probability, sentence ends included,
                          unknown words at the probability of `<unk>`
    log_prob_known        the same without unknown words
    """

    sentences: int
    words: int
    unknown: int
    log_prob: float
    log_prob_known: float

    @property
    def unknown_rate(self) -> float:
        """Share of the words the model does not have."""
        return self.unknown / max(1, self.words)

    @property
    def perplexity(self) -> float:
        """Per word, sentence ends counted as words."""
        return math.exp(-self.log_prob / max(1, self.words + self.sentences))

    @property
    def perplexity_known(self) -> float:
        """Per known word, sentence ends counted as words."""
        return math.exp(-self.log_prob_known / max(1, self.words - self.unknown + self.sentences))


@dataclass(frozen=True)
class Reading:
    """How a model reads a word.

    log_prob      natural logarithm of its probability after the words before it
    ngram_length  words of the longest n-gram that ends in it and that the model has
    known         whether the model has the word; else it is read as `<unk>`
    """

    word: str
    log_prob: float
    ngram_length: int
    known: bool


class NgramModel:
    """A back-off n-gram model.

    order    the longest n-gram's number of words
    words    the word of each id; 0 is `<unk>`, 1 `<s>`, 2 `</s>`
    counts   n-grams of each order
    arrays   see `speechkit_lm.arrays`
    path     its file; None while it is in memory only
    facts    what is known of how it was made, for people

    >>> from speechkit_lm import build
    >>> model = build(["the cat", "the dog", "a dog"], order=2)
    >>> [(each.word, each.ngram_length) for each in model.read("a cat")]
    [('a', 2), ('cat', 1), ('</s>', 2)]
    >>> state = model.start()
    >>> log_prob, state = model.step(state, model.word_ids["the"])
    """

    def __init__(
        self,
        words: Sequence[str],
        counts: Sequence[int],
        arrays: NgramArrays,
        *,
        path: Path | None = None,
        facts: dict[str, str] | None = None,
    ) -> None:
        self.words = words
        self.counts = tuple(counts)
        self.order = len(self.counts)
        self.arrays = arrays
        self.path = path
        self.folder = path.parent if path else Path()
        self.facts = facts or {}

    @cached_property
    def word_ids(self) -> dict[str, int]:
        """The id of each word."""
        return {word: id_ for id_, word in enumerate(self.words)}

    @cached_property
    def offsets(self) -> tuple[int, ...]:
        """Where the n-grams of each order begin, and where the last ones end."""
        return (0, *np.cumsum(self.counts).tolist())

    def kenlm_path(self) -> Path:
        """The file for KenLM to open."""
        return self.arpa_path()

    def arpa_path(self) -> Path:
        """An ARPA file of the model, for programs that read no other; written when first asked for.

        Raises:
            DataError: the model was never saved.
        """
        from speechkit_lm.arpa_writing import write_arpa  # noqa: PLC0415 - it needs this class

        if self.path is None:
            raise DataError("the model is in memory only", hint="save it first: model.save(folder)")
        if self.path.suffix not in {".safetensors", ".gz"}:
            return self.path
        name = self.path.name.removesuffix(self.path.suffix).removesuffix(".arpa")
        arpa = self.path.with_name(name + ".arpa")
        # A model that was built anew since is another model.
        if not arpa.exists() or arpa.stat().st_mtime_ns < self.path.stat().st_mtime_ns:
            write_arpa(self, arpa)
        return arpa

    @classmethod
    def load(
        cls, path: Path | str, *, verify: bool | None = None, progress: Progress = silent
    ) -> "NgramModel":
        """Open a model: our arrays (a file, or the folder it is in) or an ARPA file (.gz, too).

        Arrays are mapped, not read: it takes well under a second. Those of a packed file are made
        anew: 0.02 s for 200,000 n-grams.

        Raises:
            DataError: there is none, or it cannot be used; the message says where and why.
        """
        path = Path(path)
        if path.is_dir():
            path = path / storage.FILE_NAME
        if not path.exists():
            raise DataError(
                f"{path}: there is no such file", hint="`speechkit lm build` makes a model"
            )
        if not path.name.endswith(".safetensors"):
            from speechkit_lm.arpa_reading import read_arpa  # noqa: PLC0415 - it needs this class

            return read_arpa(path, progress=progress)
        arrays, metadata = storage.open_arrays(path, verify=verify)
        try:
            words = arrays["words"].tobytes().decode().split("\n")
            counts = [int(each) for each in metadata.pop("counts").split()]
            if metadata["version"] == str(storage.PACKED):
                held = unpack(arrays, counts)
            else:
                held = NgramArrays(*(arrays[name] for name in DTYPES))
        except (KeyError, ValueError) as error:
            raise _damaged(path) from error
        size, contexts = sum(counts), sum(counts[:-1])
        sizes = [size, size, size, contexts, contexts, contexts + 1]
        # Compiled code reads the arrays without looking at where they end.
        if len(words) != counts[0] or [len(each) for each in held] != sizes:
            raise _damaged(path)
        facts = {key: value for key, value in metadata.items() if key.startswith("fact_")}
        return cls(
            words,
            counts,
            held,
            path=path,
            facts={key.removeprefix("fact_"): value for key, value in facts.items()},
        )

    def save(self, path: Path | str, *, packed: bool = False, progress: Progress = silent) -> Path:
        """Write the model, whole or not at all, and say where.

        To an ARPA file if the name ends in .arpa or .arpa.gz; else as arrays, to a .safetensors
        file, or into a folder. `packed` arrays take a third of the room (`speechkit_lm.packed`).
        """
        from speechkit_lm.arpa_writing import write_arpa  # noqa: PLC0415 - it needs this class

        path = Path(path)
        if path.name.endswith((".arpa", ".arpa.gz")):
            write_arpa(self, path, progress=progress)
            return self._at(path)
        if path.suffix != ".safetensors":
            path = path / storage.FILE_NAME
        encoded = [word.encode() for word in self.words]
        arrays: dict[str, Ints] = {}
        if packed:
            arrays |= pack(self.arrays)
        else:
            bounds = np.cumsum([0, *(len(each) + 1 for each in encoded)])
            bounds[-1] -= 1
            arrays["word_bounds"] = bounds.astype(np.int64)
            arrays |= self.arrays._asdict()
        arrays["words"] = np.frombuffer(b"\n".join(encoded), np.uint8)
        metadata = {
            "order": str(self.order),
            "counts": " ".join(map(str, self.counts)),
            "logarithm": "natural",
            **{f"fact_{key}": value for key, value in self.facts.items()},
        }
        version = storage.PACKED if packed else storage.VERSION
        storage.save(path, arrays, metadata, version=version)
        return self._at(path)

    def _at(self, path: Path) -> Path:
        if self.path is None:
            self.path, self.folder = path, path.parent
        return path

    # One word at a time.

    def start(self) -> int:
        """The state before a sentence's first word."""
        return int(self.arrays.next_state[START_ID])

    def step(self, state: int, word: int) -> tuple[float, int]:
        """A state and a word's id -> natural logarithm of its probability, and the state then."""
        arrays = self.arrays
        backed_off = 0.0
        while state >= 0:
            low, high = arrays.first_child[state], arrays.first_child[state + 1]
            child = low + np.searchsorted(arrays.word[low:high], word)
            if child < high and arrays.word[child] == word:
                return backed_off + float(arrays.log_prob[child]), int(arrays.next_state[child])
            backed_off += float(arrays.backoff[state])
            state = int(arrays.back[state])
        return backed_off + float(arrays.log_prob[word]), int(arrays.next_state[word])

    def read(self, text: str) -> list[Reading]:
        """How the model reads a sentence: each word, and its end."""
        state, found = self.start(), []
        for word in [*words_of(text), END]:
            id_ = self.word_ids.get(word, UNKNOWN_ID)
            length = self._matched(state, id_)
            log_prob, state = self.step(state, id_)
            found.append(Reading(word, log_prob, length, known=id_ != UNKNOWN_ID))
        return found

    def _matched(self, state: int, word: int) -> int:
        """How many words the n-gram has that gives the word's probability."""
        while state >= 0:
            child = int(self.find(np.array([state]), np.array([word]))[0])
            if child >= 0:
                return bisect_right(self.offsets, child)
            state = int(self.arrays.back[state])
        return 1

    def score(self, text: str) -> float:
        """Natural logarithm of the probability of a sentence, its end included."""
        state, log_probs = self.start(), []
        for word in [*words_of(text), END]:
            log_prob, state = self.step(state, self.word_ids.get(word, UNKNOWN_ID))
            log_probs.append(log_prob)
        return math.fsum(log_probs)

    # Many words at once.

    def find(self, contexts: Ints, words: Ints) -> npt.NDArray[np.int64]:
        """(n,) n-grams below the highest order and (n,) words -> (n,) their n-grams; -1: none."""
        arrays = self.arrays
        low = arrays.first_child[contexts].astype(np.int64)
        high = arrays.first_child[np.asarray(contexts) + 1].astype(np.int64)
        end = high.copy()
        while (open_ := low < high).any():
            middle = (low + high) >> 1
            less = np.zeros(len(low), bool)
            less[open_] = arrays.word[middle[open_]] < words[open_]
            low = np.where(less, middle + 1, low)
            high = np.where(open_ & ~less, middle, high)
        found = low < end
        found[found] = arrays.word[low[found]] == words[found]
        return np.where(found, low, -1)

    def log_probs(self, ids: Ints) -> npt.NDArray[np.float64]:
        """(T,) ids of sentences `<s> word ... </s>` -> (T,) log probabilities; 0 for each `<s>`.

        The same as `step` from word to word, for all of them at once.
        """
        arrays = self.arrays
        node = np.asarray(ids, np.int64)
        longest = arrays.log_prob[node].astype(np.float64)
        starts = node == START_ID
        for _ in range(1, self.order):
            # From the n-grams that end one word earlier, one order higher.
            before = np.append(-1, node[:-1])
            possible = np.flatnonzero((before >= 0) & ~starts)
            contexts = before[possible]
            child = self.find(contexts, ids[possible])
            longest[possible] = np.where(
                child >= 0,
                arrays.log_prob[np.maximum(child, 0)],
                longest[possible] + arrays.backoff[contexts],
            )
            node = np.full(len(ids), -1)
            node[possible] = child
        longest[starts] = 0.0
        return longest

    def perplexity(self, lines: Iterable[str], *, name: str = "text") -> Perplexity:
        """How well the model foretells lines of (normalised) text.

        Raises:
            DataError: there is not a word in the text.
        """
        from speechkit_lm.measuring import perplexity  # noqa: PLC0415
        from speechkit_lm.text import blocks_of_lines  # noqa: PLC0415

        return perplexity(self, blocks_of_lines(lines, name))


def _damaged(path: Path) -> DataError:
    return DataError(
        f"{path}: the file does not hold what a model has",
        hint="build the model again with `speechkit lm build`",
    )
