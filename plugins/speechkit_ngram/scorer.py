"""What pyctcdecode asks of a language model: a word's score, and that of a word begun."""

from bisect import bisect_left
from collections.abc import Sequence
from math import log
from typing import Any

import kenlm
from pyctcdecode.language_model import AbstractLanguageModel

from speechkit_ngram.settings import KenlmConfig

_LN_10 = log(10.0)
_USUAL_LETTERS = 6  # of a word; a longer one that is unknown is held back the more while it grows

State = Any  # kenlm.State, which has no type; None without a model


class Scorer(AbstractLanguageModel):
    """Language model, word bonus, unknown words and hotwords, in natural logarithms.

    pyctcdecode's own adds the log10 penalty of unknown words inside the weight, reads a sentence
    that ends in a space as one with an unknown word more, and searches all hotwords in the whole
    text at every step. Here a word's score depends on the word and the state alone.

    model    a `kenlm.Model`, or None for hotwords alone
    words    those known; None: whichever the model has
    at_end   whether the next text's end is a sentence's end
    """

    def __init__(self, model: Any, words: Sequence[str] | None, config: KenlmConfig) -> None:  # noqa: ANN401 - kenlm has no types
        self._model = model
        self._weight = config.lm_weight * _LN_10
        self._bonus = config.word_bonus
        self._penalty = config.oov_penalty
        self._hotword_weight = config.hotword_weight
        self._hotwords = {word for phrase in config.hotwords for word in phrase.split()}
        self._shortest: dict[str, int] = {}  # beginning -> letters of the shortest hotword
        for word in sorted(self._hotwords, key=len):
            for size in range(1, len(word) + 1):
                self._shortest.setdefault(word[:size], len(word))
        self._known: frozenset[str] | None = None
        self._sorted: list[str] = []
        if model is not None and words is not None:
            self._known = frozenset(word for word in words if word in model)
            self._sorted = sorted(self._known)
        self.at_end = True

    @property
    def order(self) -> int:
        """Words of the longest n-gram."""
        return 1 if self._model is None else int(self._model.order)

    def get_start_state(self) -> State:
        """The state at a sentence's start."""
        if self._model is None:
            return None
        state = kenlm.State()
        self._model.BeginSentenceWrite(state)
        return state

    def score(
        self,
        prev_state: State,
        word: str,
        is_last_word: bool = False,  # noqa: FBT001, FBT002 - pyctcdecode's
    ) -> tuple[float, State]:
        """Log probability of `word` and, at the end, of the sentence's end; the state after it.

        Where the text ends with a space, the last word is empty.
        """
        total, state = 0.0, prev_state
        if word:
            hot = word in self._hotwords
            total += self._hotword_weight * hot
            if self._model is not None:
                state = kenlm.State()
                total += self._weight * self._model.BaseScore(prev_state, word, state)
                total += self._bonus
                if not hot and not self._knows(word):
                    total -= self._penalty
        if is_last_word and self.at_end and self._model is not None:
            total += self._weight * self._model.BaseScore(state, "</s>", kenlm.State())
        return total, state

    def score_partial_token(self, partial_token: str) -> float:
        """What is foreseen of a word that has begun so."""
        shortest = self._shortest.get(partial_token)
        if shortest is not None:
            return self._hotword_weight * len(partial_token) / shortest
        if self._begins_a_word(partial_token):
            return 0.0
        return -self._penalty * max(1.0, len(partial_token) / _USUAL_LETTERS)

    def _knows(self, word: str) -> bool:
        return word in self._model if self._known is None else word in self._known

    def _begins_a_word(self, beginning: str) -> bool:
        if self._known is None:
            return True  # of an open vocabulary anything may become a word
        place = bisect_left(self._sorted, beginning)
        return place < len(self._sorted) and self._sorted[place].startswith(beginning)
