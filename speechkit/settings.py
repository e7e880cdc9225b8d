"""Settings of the engine itself: the tables, and keys of tables, that belong to no plugin."""

import unicodedata
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, ValidationInfo, field_validator, model_validator

from speechkit.component import Config, Field, RecipePath, absolute

STANDARD = "standard"  # the score protocol that is no plugin's

Share = Annotated[float, Field(ge=0, lt=1)]


class RecipeSettings(Config):
    """[recipe]"""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", description="names the run's folder")
    description: str = Field("", description="a line for people")
    language: str = Field("en", pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]+)*$", description="BCP 47 tag")
    seed: int = Field(17, ge=0, lt=2**32, description="of every random choice")


# A context of validation: a trained model's settings stay as it learnt by them, also where a recipe
# with them is refused since.
OF_A_MODEL = {"of": "a model"}


class TextSettings(Config):
    """[text]: the one set of rules for transcripts, LM text, references and hypotheses."""

    alphabet: str = Field(min_length=1, description="the characters a text may hold, and the space")
    case: Literal["lower", "upper", "keep"] = Field("lower", description="what letters become")
    normalization: Literal["NFC", "NFKC"] = Field("NFC", description="Unicode form")
    replace: dict[str, str] = Field(
        default_factory=dict, description="after case and form: this becomes that; longest first"
    )
    punctuation: Literal["space", "remove"] = Field(
        "space",
        description="what punctuation outside the alphabet becomes; apostrophes are removed",
    )
    outside: Literal["remove", "space", "error"] = Field(
        "remove", description="what any other character outside the alphabet becomes; counted"
    )

    @field_validator("alphabet")
    @classmethod
    def _letters_once(cls, alphabet: str, info: ValidationInfo) -> str:
        twice = sorted({each for each in alphabet if alphabet.count(each) > 1})
        if twice:
            raise ValueError(f"has {', '.join(map(repr, twice))} more than once")
        if unicodedata.normalize("NFC", alphabet) != alphabet:
            raise ValueError("is not in Unicode form NFC")
        if not alphabet.strip():
            raise ValueError("has no letter")
        spaces = [each for each in alphabet if each.isspace() and each != " "]
        if spaces and info.context != OF_A_MODEL:
            raise ValueError(f"has {spaces[0]!r}: the only white space of a text is the space")
        return alphabet if " " in alphabet else alphabet + " "

    @model_validator(mode="after")
    def _replaces_what_is_there(self, info: ValidationInfo) -> "TextSettings":
        for key in self.replace if info.context != OF_A_MODEL else ():
            if not key:
                raise ValueError('replace has an empty key, "": say what is to be replaced')
            if (becomes := self.folded(key)) != key:
                raise ValueError(
                    f"replace has {key!r}, which no text holds by then: case and normalization "
                    f"make it {becomes!r}; write it so"
                )
        return self

    def folded(self, text: str) -> str:
        """A text in the Unicode form and the case that these settings name."""
        text = unicodedata.normalize(self.normalization, text)
        if self.case == "keep":
            return text
        return text.lower() if self.case == "lower" else text.upper()

    @model_validator(mode="after")
    def _letters_of_the_case(self) -> "TextSettings":
        becomes = {"lower": self.alphabet.lower(), "upper": self.alphabet.upper()}
        kept = becomes.get(self.case, self.alphabet)
        if lost := [each for each in self.alphabet if each not in kept]:
            raise ValueError(
                f"alphabet has {''.join(lost)!r}, which no text will hold: case = {self.case!r} "
                "changes every letter; write the alphabet so, or set case"
            )
        return self


class DataSettings(Config):
    """[data]"""

    bad_utterances: Literal["error", "skip"] = Field(
        "error", description="what to do with audio that cannot be read: stop, or leave it out"
    )
    workers: int = Field(
        2, gt=0, description="threads, or with train.streaming processes, that decode audio"
    )


class FeaturesSettings(Config):
    """Keys of [features] beside those of the extractor."""

    normalization: Literal["utterance", "global", "none"] = Field(
        "utterance",
        description="each feature minus its mean, over its standard deviation: of the utterance, "
        "of the training data (kept with the model), or not at all",
    )


def _path_or_name(given: str, info: ValidationInfo) -> str:
    """A path, absolute as in all recipes that are kept; a name as it is."""
    path = absolute(Path(given), info)
    is_name = given == Path(given).name and not path.exists()
    return given if is_name else str(path)


class ModelSettings(Config):
    """Keys of [model] beside those of the model."""

    start_from: Annotated[str, AfterValidator(_path_or_name)] | None = Field(
        None,
        description="whose weights training starts from: a run's folder, a model file, or the "
        "name of a run or of an installed model; labels may be others, of another language",
    )


class Lesson(Config):
    """An entry of `train.curriculum`."""

    epochs: int = Field(gt=0, description="passes before the next lesson")
    max_labels: int = Field(gt=0, description="longer transcripts are left out")
    batch_seconds: float | None = Field(
        None, gt=0, description="speech in a batch of this lesson; default: train.batch_seconds"
    )


class TrainSettings(Config):
    """[train]"""

    epochs: int = Field(30, gt=0, description="passes over the training data")
    minutes: float | None = Field(
        None,
        gt=0,
        description="time for training, validations included: sets the epochs, whatever `epochs` "
        "says, from the speed of the first steps",
    )
    batch_seconds: float = Field(
        120.0,
        gt=0,
        description="speech in a batch, padding included; processes that train together share it",
    )
    batch_utterances: int | None = Field(
        None, gt=0, description="utterances in a batch at most; default: as the seconds allow"
    )
    accumulate: int = Field(
        1, gt=0, description="batches learnt from at once, in one step: what memory does not hold"
    )
    order: Literal["random", "fixed"] = Field(
        "random",
        description="random: alike in length, another order each epoch; fixed: the corpus' order",
    )
    same_text: int = Field(
        0,
        ge=0,
        description="recordings of one transcript in an epoch at most, drawn anew for each: for "
        "corpora of few sentences read by many, which would be learnt by heart; 0: all",
    )
    curriculum: list[Lesson] = Field(
        default_factory=list,
        description="the first epochs, on short transcripts: "
        "[{ epochs = 5, max_labels = 75, batch_seconds = 300 }, ...]; the others take all",
    )
    streaming: bool = Field(
        default=False,
        description="learn from the corpus while it is read, for one larger than the disk: nothing "
        "of it is prepared or kept; the corpus must be a stream, too",
    )
    epoch_hours: float | None = Field(
        None, gt=0, description="speech in an epoch of a stream; default: a pass over the corpus"
    )
    window_minutes: float = Field(
        120.0,
        gt=0,
        description="speech of a stream that is mixed and batched by length at a time; each "
        "process holds twice as much in memory, 115 MB an hour at 16 kHz",
    )
    learning_rate: float = Field(1e-3, gt=0, description="the highest")
    schedule: Literal["cosine", "one_cycle", "constant"] = Field(
        "cosine", description="of the learning rate, after warm-up"
    )
    warmup: float = Field(0.1, ge=0, lt=1, description="share of the steps that warm up")
    weight_decay: float = Field(1e-2, ge=0, description="of AdamW, on matrices only")
    betas: tuple[Share, Share] = Field((0.9, 0.98), description="of AdamW")
    clip_norm: float = Field(5.0, gt=0, description="limit of the gradient's norm")
    average: float = Field(
        0.999, ge=0, lt=1, description="decay of the running average of the weights; 0: none"
    )
    best_by: Literal["wer", "loss"] = Field(
        "wer", description="of the validation part: which weights are the best, and are kept"
    )
    patience: int = Field(
        0, ge=0, description="stop after so many validations without a better one; 0: never"
    )
    patience_from: int = Field(1, gt=0, description="the epoch from which patience counts")
    validate_every: int = Field(1, gt=0, description="epochs from one validation to the next")
    keep: int = Field(2, gt=0, description="checkpoints kept")
    checkpoint_minutes: float = Field(10.0, gt=0, description="at most from one to the next")
    min_seconds: float = Field(0.1, ge=0, description="shorter utterances are left out of training")
    max_seconds: float = Field(30.0, gt=0, description="longer utterances are left out of training")
    device: str = Field(
        "auto", pattern=r"^(auto|cpu|cuda)$", description="auto: a GPU if there is one"
    )
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto", description="auto: bf16 where the hardware computes in it, else fp32"
    )
    decoder: str = Field("greedy", description="what decodes the validations while training")
    threads: int = Field(
        0, ge=0, description="CPU threads; 0: OMP_NUM_THREADS, else the cores there are"
    )

    @model_validator(mode="after")
    def _epochs_are_left(self) -> "TrainSettings":
        short = sum(lesson.epochs for lesson in self.curriculum)
        if short >= self.epochs:
            raise ValueError(
                f"curriculum takes {short} of {self.epochs} epochs, and leaves none for all of the "
                "data: raise epochs"
            )
        return self

    @model_validator(mode="after")
    def _a_stream_can_do_it(self) -> "TrainSettings":
        if not self.streaming:
            if self.epoch_hours is not None:
                raise ValueError("epoch_hours is of a stream: set streaming = true, too")
            return self
        unable = {
            "minutes": (self.minutes is not None, "how much there is to learn"),
            "same_text": (bool(self.same_text), "which texts stand twice"),
            "curriculum": (bool(self.curriculum), "which transcripts are short"),
            'order = "fixed"': (self.order == "fixed", "an order: shards are read side by side"),
        }
        for name, (asked, why) in unable.items():
            if asked:
                raise ValueError(
                    f"streaming = true and {name} do not go together: of a corpus that is read "
                    f"only while it is learnt nobody knows {why}; leave one of them out"
                )
        if 60 * self.window_minutes < self.batch_seconds * self.accumulate:
            raise ValueError(
                f"window_minutes = {self.window_minutes:g} holds less than one step of "
                f"{self.batch_seconds * self.accumulate:g} s: raise it, ten steps or more mix well"
            )
        return self


class TuneSettings(Config):
    """[tune]: the decoder's weights are searched on the validation part, never on a test."""

    enabled: bool = Field(default=True, description="search them; else the recipe's are used")
    settings: int = Field(60, gt=0, description="tried at most")
    utterances: int = Field(
        300, gt=0, description="of the validation part, decoded at most for each setting"
    )
    minutes: float = Field(
        10.0,
        gt=0,
        description="at most, about: where a decoder is slow, fewer settings are tried on fewer "
        "utterances",
    )


class ScoreSettings(Config):
    """[score]"""

    protocol: str = Field(
        STANDARD,
        description="standard: errors over words of the whole test set; else what a plugin offers "
        "beside that: n2, the mean of each utterance's rate with hypothesis and reference swapped, "
        "as N2's notebook has it",
    )


class LanguageModelSettings(Config):
    """Keys of [lm] beside those of the language model."""

    text: list[RecipePath] = Field(default_factory=list, description="text files, plain or .gz")
    train_text: bool = Field(default=True, description="add the training corpus' transcripts")
