"""The decoder `beam`: CTC beam search with an n-gram language model, compiled."""

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Annotated, Literal

from speechkit import (
    Config,
    Emissions,
    Field,
    Hypothesis,
    LanguageModel,
    Vocabulary,
    usable_cores,
)

if TYPE_CHECKING:
    from torch import Tensor

    from speechkit_beam.searching import SearchState


_MOST = 40.0  # nats of a bonus: the search reckons with probabilities, of which two have room
Weight = Annotated[float, Field(ge=-_MOST, le=_MOST)]


class BeamConfig(Config):
    """Settings of the beam search."""

    beam: int = Field(32, ge=1, le=100_000, description="hypotheses kept from frame to frame")
    beam_threshold: float = Field(
        10.0,
        gt=0,
        description="hypotheses worse than the best by more than this are dropped (nats)",
    )
    token_threshold: float = Field(
        -8.0, le=0, description="labels with a lower log probability are not tried in a frame"
    )
    top_k: int = Field(20, ge=1, description="labels tried in a frame at most")
    lm_weight: float = Field(
        0.8, ge=0, description="of the language model's log probability; 0: it is not used"
    )
    word_bonus: float = Field(
        1.5,
        ge=-_MOST,
        le=_MOST,
        description="added for each word, where there is a language model (nats)",
    )
    oov_penalty: float = Field(
        12.0,
        ge=0,
        le=200,
        description="taken off for each word the language model does not have, from the character "
        "on with which no word it has goes on so; more for those longer than usual",
    )
    blank_penalty: float = Field(
        0.0,
        ge=0,
        le=_MOST,
        description="taken off the blank's log probability in each frame: unsure models are blank "
        "too often, and hypotheses lack letters",
    )
    vocabulary: Literal["open", "closed"] = Field(
        "open", description="closed: only words of the language model, and hotwords"
    )
    scores: Literal["viterbi", "summed"] = Field(
        "viterbi",
        description="a hypothesis' score: of its best path, or of all its paths; the best path "
        "suffers less where a model is unsure of everything",
    )
    look_ahead: float = Field(
        1.0, ge=0, description="how far the language model judges words that are not whole yet"
    )
    nbest: int = Field(1, ge=1, le=1000, description="hypotheses given for an utterance")
    hotwords: dict[str, Weight] | list[str] = Field(
        default_factory=list,
        description="words to listen for, each with a weight of its own or `hotword_weight`",
    )
    hotword_weight: Weight = Field(6.0, description="added for each hotword (nats)")
    threads: int = Field(0, ge=0, description="utterances at once; 0: the cores it may use")


class Beam:
    """CTC prefix beam search with an n-gram language model.

    A hypothesis' score is the natural logarithm of its probability under the emissions, plus the
    weighted one under the language model, plus bonuses and penalties; those of blanks count in each
    frame. Its words begin in the frame
    in which the search wrote their first label, and end with their last label; their confidence is
    the geometric mean of the posteriors of their labels: it ranks words, and is no probability of
    being right.

    >>> import torch
    >>> log_probs = torch.tensor([[[0.1, 0.9], [0.2, 0.8], [0.9, 0.1], [0.4, 0.6]]]).log()
    >>> emissions = Emissions(log_probs, torch.tensor([4]), frame_shift_seconds=0.5)
    >>> [[best]] = Beam(BeamConfig(), vocabulary=Vocabulary(("", "a")))(emissions)
    >>> best.text, best.words[0].start_seconds, best.words[0].end_seconds
    ('aa', 0.0, 2.0)

    Speech that comes piece by piece gives the same as in one piece:

    >>> decoder = Beam(BeamConfig(), vocabulary=Vocabulary(("", "a")))
    >>> state = decoder.begin(frame_shift_seconds=0.5)
    >>> decoder.step(state, log_probs[0, :3])
    >>> decoder.step(state, log_probs[0, 3:])
    >>> decoder.end(state) == [best]
    True
    """

    device: Literal["cpu", "any"] = "cpu"

    def __init__(
        self,
        config: BeamConfig,
        *,
        vocabulary: Vocabulary,
        language_model: LanguageModel | None = None,
    ) -> None:
        from speechkit_beam.searching import Search  # noqa: PLC0415 - numba is slow to import

        self.config = config
        self.vocabulary = vocabulary
        self._language_model = language_model
        self._search = Search(config, vocabulary, language_model)
        self._threads = config.threads or usable_cores()

    @property
    def tunable(self) -> dict[str, tuple[float, float]]:
        """Weights to be searched for, and from where to where; none without language model."""
        if not self._search.uses_language_model:
            return {}
        weights = {"lm_weight": (0.1, 1.3), "word_bonus": (-1.0, 5.0)}
        if self.config.vocabulary == "open":
            weights["oov_penalty"] = (4.0, 24.0)
        weights["blank_penalty"] = (0.0, 2.0)
        return weights

    def retuned(self, **settings: float) -> "Beam":
        """The same decoder with other weights; the lexicon is shared, so this is cheap.

        Raises:
            ValueError: a weight is none that the settings allow.
        """
        config = BeamConfig(**{**self.config.model_dump(), **settings})
        return Beam(config, vocabulary=self.vocabulary, language_model=self._language_model)

    def __call__(self, emissions: Emissions) -> list[list[Hypothesis]]:
        """Give each utterance its n-best list."""
        rows = range(len(emissions.lengths))
        if self._threads == 1 or len(rows) <= 1:
            return [self._decode(emissions, row) for row in rows]
        with ThreadPoolExecutor(min(self._threads, len(rows))) as pool:
            return list(pool.map(lambda row: self._decode(emissions, row), rows))

    def _decode(self, emissions: Emissions, row: int) -> list[Hypothesis]:
        length = int(emissions.lengths[row])
        state = self.begin(frame_shift_seconds=emissions.frame_shift_seconds)
        times = None if emissions.frame_times is None else emissions.frame_times[row, :length]
        self.step(state, emissions.log_probs[row, :length], frame_times=times)
        return self.end(state)

    def begin(self, *, frame_shift_seconds: float = 1.0) -> "SearchState":
        """Begin an utterance whose emissions come piece by piece.

        Args:
            frame_shift_seconds: from one frame to the next; 1 gives times in frames.
        """
        return self._search.begin(frame_shift_seconds)

    def step(
        self, state: "SearchState", log_probs: "Tensor", *, frame_times: "Tensor | None" = None
    ) -> None:
        """Read the next frames.

        Args:
            state: of the utterance, changed in place.
            log_probs: (T, V) float32.
            frame_times: (T,) start of each frame in seconds, where frames were dropped.

        Raises:
            DataError: not log probabilities of this vocabulary.
        """
        times = None if frame_times is None else frame_times.cpu().numpy()
        self._search.step(state, log_probs.detach().cpu().numpy(), times)

    def end(self, state: "SearchState") -> list[Hypothesis]:
        """Give the hypotheses as if the utterance ended here, best first; it may still go on."""
        return self._search.end(state)
