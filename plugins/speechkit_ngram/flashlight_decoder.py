"""Lexicon beam search with a KenLM n-gram model, by flashlight-text.

V. Pratap et al., "wav2letter++: the fastest open-source speech recognition system", 2019; the
package: https://github.com/flashlight/text.
"""

import math
from collections.abc import Iterator
from copy import copy
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from speechkit import (
    Emissions,
    Hypothesis,
    LanguageModel,
    PluginError,
    SpeechkitError,
    Vocabulary,
    Word,
)
from speechkit_ngram.frames import frames_of
from speechkit_ngram.settings import FlashlightConfig
from speechkit_ngram.source import Source, explained, open_kenlm, source_of
from speechkit_ngram.spelling import check_fit, letters_of, spelt
from speechkit_ngram.times import end_seconds

BLANK = 0
_LN_10 = math.log(10.0)
_UNKNOWN = "<unk>"
_LOWEST = -1e4  # for log probabilities of 0, with which flashlight cannot reckon


class FlashlightDecoder:
    """Beam search through a lexicon: it finds words of the language model, and no others.

    The vocabulary is closed: what was said beside it comes out as known words. The score of a
    hypothesis: the log probability of its best path under the emissions (with log_add, of those
    that the beam holds), lm_weight times that of the sentence under the language model, and
    word_bonus for each word. With lm_weight 0 the known words are all as probable as each other.

    Words last from the first frame of their first label to the end of the last frame of their
    last, on the path found; the confidence is the geometric mean of the posteriors there.
    """

    device: Literal["cpu", "any"] = "cpu"

    def __init__(
        self,
        config: FlashlightConfig,
        *,
        vocabulary: Vocabulary,
        language_model: LanguageModel | None = None,
    ) -> None:
        self._library = _flashlight()
        self._config, self._vocabulary = config, vocabulary
        self._space = _space(vocabulary)
        source = source_of(config, language_model)
        if source is None or source.words is None:
            raise _without_words(source)
        check_fit(source.words_path, source.words, vocabulary)
        self._words = spelt(source.words, letters_of(vocabulary))
        self._model = self._opened(source.path if config.lm_weight else None)
        self._lexicon = self._spelt()
        self._decoder = self._search()
        self.tunable: dict[str, tuple[float, float]] = {}
        if config.lm_weight:
            self.tunable = {"lm_weight": (0.1, 2.5), "word_bonus": (-2.0, 4.0)}

    def retuned(self, **settings: float) -> "FlashlightDecoder":
        """The same with other weights; language model and lexicon are shared.

        Raises:
            ValueError: a weight is none that the settings allow.
        """
        made = copy(self)
        made._config = self._config.retuned(**settings)
        made._decoder = made._search()
        return made

    def __call__(self, emissions: Emissions) -> list[list[Hypothesis]]:
        """Search each utterance; up to nbest distinct texts, best first.

        Raises:
            DataError: not log probabilities of this vocabulary.
        """
        return [
            self._hypotheses(emissions, row, frames)
            for row, frames in enumerate(frames_of(emissions, self._vocabulary))
        ]

    def _opened(self, path: Path | None) -> Any:  # noqa: ANN401 - no types
        """The language model of a file."""
        if path is None:
            return self._library.ZeroLM()
        known = self._library.Dictionary([*self._words, _UNKNOWN])
        known.set_default_index(len(self._words))
        try:
            return self._library.KenLM(str(path), known)
        except (RuntimeError, OSError, UnicodeDecodeError) as error:
            raise explained(path, error) from error

    def _spelt(self) -> Any:  # noqa: ANN401 - no types
        """The words as a trie of labels, each with the best score of the words it leads to."""
        labels = {label: place for place, label in enumerate(self._vocabulary.labels)}
        trie = self._library.Trie(len(self._vocabulary), self._space)
        start = self._model.start(False)  # noqa: FBT003 - start_with_nothing cannot be named
        for index, word in enumerate(self._words):
            _, score = self._model.score(start, index)
            trie.insert([*(labels[letter] for letter in word), self._space], index, score)
        trie.smear(self._library.SmearingMode.MAX)
        return trie

    def _search(self) -> Any:  # noqa: ANN401 - no types
        """Flashlight's decoder."""
        library, config = self._library, self._config
        return library.LexiconDecoder(
            library.LexiconDecoderOptions(
                beam_size=config.beam,
                beam_size_token=min(
                    config.labels_per_frame or len(self._vocabulary), len(self._vocabulary)
                ),
                beam_threshold=config.beam_threshold,
                lm_weight=config.lm_weight * _LN_10,  # flashlight takes KenLM's log10 as it is
                word_score=config.word_bonus,
                unk_score=-math.inf,
                sil_score=0.0,
                log_add=config.log_add,
                criterion_type=library.CriterionType.CTC,
            ),
            self._lexicon,
            self._model,
            self._space,
            BLANK,
            len(self._words),
            [],  # scores of transitions, which CTC has not
            False,  # noqa: FBT003 - is_token_lm cannot be named
        )

    def _hypotheses(
        self, emissions: Emissions, row: int, log_probs: npt.NDArray[np.float32]
    ) -> list[Hypothesis]:
        """(T, V) log probabilities of a row, its own frames only."""
        length = len(log_probs)
        # A word ends with a space: one is added to the utterance, after its last word.
        framed = np.full((length + 1, log_probs.shape[1]), _LOWEST, np.float32)
        np.maximum(log_probs, _LOWEST, out=framed[:length])
        framed[length, self._space] = 0.0
        found: dict[str, Hypothesis] = {}
        for result in self._decoder.decode(framed.ctypes.data, *framed.shape):
            if len(found) == self._config.nbest:
                break
            text = " ".join(self._words[word] for word in result.words if word >= 0)
            if text not in found:
                words = tuple(self._spoken(emissions, row, log_probs, result))
                found[text] = Hypothesis(text, float(result.score), words)
        return list(found.values())

    def _spoken(
        self,
        emissions: Emissions,
        row: int,
        log_probs: npt.NDArray[np.float32],
        result: Any,  # noqa: ANN401 - flashlight has no types
    ) -> Iterator[Word]:
        """The words of a result: each stands in the frame of the space that ends it.

        `tokens` and `words` begin with what is before the first frame.
        """
        frames: list[int] = []
        tokens = result.tokens
        for frame, word in enumerate(result.words[1 : len(log_probs) + 2]):
            if word >= 0:
                labels = [tokens[each + 1] for each in frames]
                yield Word(
                    text=self._words[word],
                    start_seconds=emissions.start_seconds(row, frames[0]),
                    end_seconds=end_seconds(emissions, row, frames[-1] + 1),
                    confidence=min(1.0, math.exp(float(log_probs[frames, labels].mean()))),
                )
                frames = []
            elif tokens[frame + 1] not in (BLANK, self._space):
                frames.append(frame)


def _flashlight() -> Any:  # noqa: ANN401 - flashlight has no types
    """What is used of flashlight-text.

    Raises:
        PluginError: it is not installed.
    """
    try:
        decoder, dictionary, kenlm = (
            import_module(f"flashlight.lib.text.{name}")
            for name in ("decoder", "dictionary", "decoder.kenlm")
        )
    except ImportError as error:
        raise PluginError(
            f"the decoder flashlight needs the package flashlight-text: {error}",
            hint="pip install flashlight-text",
        ) from error
    names = (
        "CriterionType",
        "LexiconDecoder",
        "LexiconDecoderOptions",
        "SmearingMode",
        "Trie",
        "ZeroLM",
    )
    return SimpleNamespace(
        KenLM=kenlm.KenLM,
        Dictionary=dictionary.Dictionary,
        **{name: getattr(decoder, name) for name in names},
    )


def _space(vocabulary: Vocabulary) -> int:
    """The label that parts words.

    Raises:
        SpeechkitError: there is none, or labels are not letters.
    """
    long = next((label for label in vocabulary.labels if len(label) > 1), None)
    if long is not None or vocabulary.word_boundary not in vocabulary.labels:
        raise SpeechkitError(
            "the decoder flashlight spells words letter by letter, with a label between words; "
            + (f"the vocabulary has the label {long!r}" if long else "the vocabulary has no such"),
            hint="use the decoder kenlm, or the units characters",
        )
    return vocabulary.labels.index(vocabulary.word_boundary)


def _without_words(source: Source | None) -> SpeechkitError:
    """Why the search has no lexicon."""
    if source is None:
        return SpeechkitError(
            "the decoder flashlight finds the words of a language model, and there is none",
            hint="add a table [lm], or name a model as lm_file, or words as words_file, in "
            "[decoder.flashlight]",
        )
    if source.path is not None:
        open_kenlm(source.path)  # one that cannot be opened is told as that
    return SpeechkitError(
        f"{source.path}: the decoder flashlight needs the model's words, which it does not tell",
        hint="list them in a text file, as words_file in [decoder.flashlight], or give the ARPA "
        "file that a KenLM binary was made from",
    )
