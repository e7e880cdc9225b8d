"""CTC beam search with a KenLM n-gram model, by pyctcdecode.

A. Hannun et al., "First-pass large vocabulary continuous speech recognition using bi-directional
recurrent DNNs", 2014: prefixes of the text are searched, and the probabilities of all paths that
write a prefix are added.
"""

from typing import Literal

from speechkit import Emissions, Hypothesis, LanguageModel, Vocabulary, Word
from speechkit_ngram.frames import frames_of
from speechkit_ngram.search import Found, FoundWord, Job, Search
from speechkit_ngram.settings import KenlmConfig
from speechkit_ngram.source import source_of
from speechkit_ngram.spelling import check_fit, check_hotwords, warn_once
from speechkit_ngram.times import end_seconds
from speechkit_ngram.workers import Workers


class KenlmDecoder:
    """Prefix beam search with a word n-gram model, open to words the model does not know.

    The score of a hypothesis: the log probability of the text under the emissions (the sum over
    its paths), lm_weight times that of the sentence under the language model, and word_bonus for
    each word. A word the model does not know gets the model's probability of an unknown word and
    loses oov_penalty, which is foreseen as soon as no known word begins as it does. Where the
    known words are not told (a KenLM binary built without them, and no words_file) it is foreseen
    of none, and the search is far worse.

    Without a language model, or with lm_weight 0, the score is that of the emissions (and of
    hotwords): word_bonus and oov_penalty belong to the language model.

    Words last from the first frame of their first label to the end of the last frame of their
    last, on the best path that spells them; the confidence is the geometric mean of the
    posteriors the labels have there. It knows nothing of the language model: a word that the
    model put in the place of what was heard has a low one.
    """

    device: Literal["cpu", "any"] = "cpu"

    def __init__(
        self,
        config: KenlmConfig,
        *,
        vocabulary: Vocabulary,
        language_model: LanguageModel | None = None,
    ) -> None:
        self._config, self._vocabulary, self._language_model = config, vocabulary, language_model
        source = source_of(config, language_model) if config.lm_weight else None
        if source is not None and source.path is None:
            source = None  # words_file alone: there is nothing to score them
        search = Search(config, vocabulary, source)
        search.open()
        if source is not None and source.words is None:
            warn_once(
                f"{source.path}: the KenLM binary does not hold its words, without which the "
                "search is far worse; list them in a text file, as words_file in [decoder.kenlm]"
            )
        elif source is not None and source.words is not None:
            check_fit(source.words_path, source.words, vocabulary)
        check_hotwords(config.hotwords, vocabulary)
        self._workers = Workers(search, config.processes)
        self.tunable: dict[str, tuple[float, float]] = {}
        if source is not None:
            ranges = {
                "lm_weight": (0.1, 1.6),
                "word_bonus": (-1.0, 5.0),
                "oov_penalty": (0.0, 20.0),
            }
            self.tunable = ranges

    def retuned(self, **settings: float) -> "KenlmDecoder":
        """The same with other weights; the language model stays open.

        Raises:
            ValueError: a weight is none that the settings allow.
        """
        return KenlmDecoder(
            self._config.retuned(**settings),
            vocabulary=self._vocabulary,
            language_model=self._language_model,
        )

    def __call__(self, emissions: Emissions) -> list[list[Hypothesis]]:
        """Search each utterance; up to nbest distinct texts, best first.

        Raises:
            DataError: not log probabilities of this vocabulary.
        """
        jobs = [
            Job(frames, emissions.frame_shift_seconds)
            for frames in frames_of(emissions, self._vocabulary)
        ]
        return [
            [_hypothesis(emissions, row, each) for each in found]
            for row, found in enumerate(self._workers(jobs))
        ]


def _hypothesis(emissions: Emissions, row: int, found: Found) -> Hypothesis:
    words = tuple(_word(emissions, row, word) for word in found.words)
    return Hypothesis(found.text, found.score, words)


def _word(emissions: Emissions, row: int, word: FoundWord) -> Word:
    return Word(
        text=word.text,
        start_seconds=emissions.start_seconds(row, word.first),
        end_seconds=end_seconds(emissions, row, word.end),
        confidence=word.confidence,
    )
