"""Settings of the two decoders. Logarithms are natural; scores are log probabilities."""

from typing import Self

from speechkit import Config, Field, RecipePath


class NgramDecoderConfig(Config):
    """What both searches have."""

    beam: int = Field(100, gt=0, le=100_000, description="hypotheses kept from frame to frame")
    lm_weight: float = Field(
        0.5, ge=0, description="of the language model's log probability; 0: search without it"
    )
    word_bonus: float = Field(
        1.5, description="added for each word, against the language model's liking for few words"
    )
    beam_threshold: float = Field(
        10.0,
        gt=0,
        description="hypotheses worse than the best by more than this are dropped (nats)",
    )
    nbest: int = Field(1, gt=0, description="hypotheses given for an utterance, at most")
    lm_file: RecipePath | None = Field(
        None,
        description="a model made elsewhere, instead of [lm]: an ARPA file (.gz, too), a KenLM "
        "binary, or what `speechkit lm build` wrote",
    )
    words_file: RecipePath | None = Field(
        None,
        description="the words known, parted by white space; none: those of the language model",
    )

    def retuned(self, **settings: float) -> Self:
        """The same with other weights.

        Raises:
            ValueError: a weight is none that is allowed.
        """
        return type(self)(**{**self.model_dump(), **settings})


class KenlmConfig(NgramDecoderConfig):
    """[decoder.kenlm]"""

    oov_penalty: float = Field(
        10.0,
        ge=0,
        description="taken off for each word the language model does not know, from the letter on "
        "with which no word it knows can begin so; beside what it says of unknown words",
    )
    token_threshold: float = Field(
        -5.0, lt=0, description="labels of a lower log probability in a frame are not tried"
    )
    hotwords: list[str] = Field(
        default_factory=list, description="words to favour, whether the language model has them"
    )
    hotword_weight: float = Field(
        10.0, ge=0, description="added for each hotword, letter by letter as it is spelt"
    )
    cut_seconds: float = Field(
        30.0,
        ge=0,
        description="longer utterances are searched part by part, cut where a space is certain; "
        "0: in one piece, in a time that grows faster than the length",
    )
    processes: int = Field(0, ge=0, description="that search at once; 0: the cores there are")


class FlashlightConfig(NgramDecoderConfig):
    """[decoder.flashlight]"""

    labels_per_frame: int = Field(
        0, ge=0, description="labels tried in each frame, the most probable; 0: all"
    )
    log_add: bool = Field(
        default=False, description="add the probabilities of paths to the same text, not the best"
    )
