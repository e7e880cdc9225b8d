"""The parts of a recogniser, and the shapes that pass between them.

Axes: B utterances, N samples, T frames, D features a frame, V labels, U target labels.
Label 0 is the CTC blank. Times are in seconds, sample rates in hertz, logarithms natural.

The parts are protocols: a plugin's class has these members, and need not inherit from them.
"""

import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import datasets
    import numpy as np
    from torch import Tensor

Speech: TypeAlias = "datasets.Dataset | datasets.IterableDataset"
"""What a corpus gives: a Hugging Face dataset with a row per utterance and these columns.

id                string, unique in the corpus
audio             {"bytes", "path"} as `datasets.Audio(decode=False)` gives it, or instead of it
features          float list, the (T, D) matrix frame after frame, D fixed by the corpus
text              string, as written; the recipe's text rules are applied later
speaker           string; optional
duration_seconds  float; optional, measured where absent
start_seconds, end_seconds, channel: optional, a part of a longer recording
"""


@dataclass(frozen=True)
class Vocabulary:
    """The labels a model scores.

    labels         V strings; `labels[0]` is the CTC blank, `""`
    word_boundary  the label (or, for word pieces, the first character of a label) that parts words
    """

    labels: tuple[str, ...]
    word_boundary: str = " "

    def __post_init__(self) -> None:
        if not self.labels or self.labels[0] != "":
            raise ValueError("a vocabulary's label 0 is the CTC blank, an empty string")
        if len(set(self.labels)) != len(self.labels):
            twice = sorted({each for each in self.labels if self.labels.count(each) > 1})
            raise ValueError(f"a vocabulary has no label twice: {twice}")

    def __len__(self) -> int:
        return len(self.labels)

    def text(self, labels: Iterable[int]) -> str:
        """Words of `labels` (no blanks, repeats already merged), parted by single spaces.

        >>> Vocabulary(("", "a", "b", " ")).text([3, 1, 3, 3, 2])
        'a b'
        """
        written = "".join(self.labels[label] for label in labels)
        return " ".join(written.replace(self.word_boundary, " ").split())


@dataclass(frozen=True)
class Emissions:
    """Log probabilities of the labels at each frame: what a decoder reads.

    log_probs            (B, T, V) float32
    lengths              (B,) int64, frames; what is past a row's length means nothing
    frame_shift_seconds  from one frame to the next
    frame_times          (B, T) start of each frame in seconds, where frames were dropped; else None
    """

    log_probs: "Tensor"
    lengths: "Tensor"
    frame_shift_seconds: float
    frame_times: "Tensor | None" = None

    def __post_init__(self) -> None:
        if self.log_probs.dim() != 3 or self.lengths.shape != self.log_probs.shape[:1]:
            shapes = f"{tuple(self.log_probs.shape)} and {tuple(self.lengths.shape)}"
            raise ValueError(f"emissions are (B, T, V) with lengths (B,), not {shapes}")
        if self.frame_times is not None and self.frame_times.shape != self.log_probs.shape[:2]:
            raise ValueError(f"frame times are (B, T), not {tuple(self.frame_times.shape)}")

    def cpu(self) -> "Emissions":
        """The same in main memory."""
        times = None if self.frame_times is None else self.frame_times.cpu()
        return Emissions(self.log_probs.cpu(), self.lengths.cpu(), self.frame_shift_seconds, times)

    def start_seconds(self, row: int, frame: int) -> float:
        """When `frame` of `row` begins."""
        if self.frame_times is None:
            return frame * self.frame_shift_seconds
        return float(self.frame_times[row, frame])


@dataclass(frozen=True)
class Word:
    """A word of a hypothesis: when it is spoken, and how sure the decoder is of it (0 to 1)."""

    text: str
    start_seconds: float
    end_seconds: float
    confidence: float


@dataclass(frozen=True)
class Hypothesis:
    """A text the decoder found, with its score (higher is better) and its words."""

    text: str
    score: float
    words: tuple[Word, ...] = ()


class FeatureExtractor(Protocol):
    """Turns samples into frames of features: an `nn.Module` that runs on the device.

    Padding never changes a row, and a row too short for a frame gives 0 frames. It may have
    a state fitted on training data: buffers, saved with the model.
    """

    sample_rate: int  # Hz, of the waveforms it takes
    dim: int  # D
    frame_shift_seconds: float

    def __call__(
        self, waveforms: "Tensor", lengths: "Tensor"
    ) -> "tuple[Tensor, Tensor] | tuple[Tensor, Tensor, Tensor]":
        """(B, N) samples in [-1, 1], (B,) in samples -> (B, T, D) features, (B,) in frames.

        One that drops frames gives a third: (B, T) start of each frame in seconds.
        """


class Augmentation(Protocol):
    """A random change of waveforms or features, in training only."""

    stage: Literal["waveform", "features"]

    def __call__(
        self, values: "Tensor", lengths: "Tensor", draws: "Sequence[np.random.Generator]"
    ) -> "tuple[Tensor, Tensor, Tensor]":
        """(B, N) or (B, T, D), (B,), a random stream per row -> the same kind, (B',), (B',).

        The last result is the row each result was made from, `arange(B)` where none is copied.
        Every random number for a row comes from its stream, so that neither the batch a row is
        in, nor workers, nor a resumed run change it. The input is left as it is.
        """


class Units(Protocol):
    """Text to labels, and the vocabulary they are of."""

    vocabulary: Vocabulary

    def encode(self, text: str) -> list[int]:
        """Labels of a text to which the text rules were applied. No blanks."""


class AcousticModel(Protocol):
    """Scores every label at every frame: an `nn.Module`. Padding never changes a row in eval mode.

    The engine knows the time a frame lasts; a model knows by how much it makes frames fewer.
    """

    subsampling: int  # frames in for a frame out

    def __call__(self, features: "Tensor", lengths: "Tensor") -> "tuple[Tensor, Tensor]":
        """(B, T, D) features, (B,) frames -> (B, T', V) log probabilities, (B,) frames."""

    def loss(
        self, features: "Tensor", lengths: "Tensor", labels: "Tensor", label_lengths: "Tensor"
    ) -> "dict[str, Tensor]":
        """What training minimises, `"loss"`, and parts of it to show: each (B,), in nats.

        One number per utterance, summed over its labels, not averaged: the engine divides by the
        number of labels of the whole batch, over all processes, and can name an utterance whose
        loss is not finite. `labels` is (B, U), padded with 0.

        A loss that has to know beforehand what is said gets it by a further method, which a model
        need not have: `expect(texts)`, with a list of the labels of each utterance of an epoch. It
        is called before a training, in each of its processes, and again before one that goes on;
        never of a stream, which nobody knows whole.
        """


class LanguageModel(Protocol):
    """The probability of a text, held in a folder."""

    order: int
    folder: Path

    def score(self, text: str) -> float:
        """Natural logarithm of the probability of a sentence (already under the text rules)."""


class Decoder(Protocol):
    """Finds the text behind emissions. Batched or one by one gives the same."""

    device: Literal["cpu", "any"]  # where it wants to read emissions from

    def __call__(self, emissions: Emissions) -> list[list[Hypothesis]]:
        """For each utterance its hypotheses, best first: at least one, though its text be ''."""


class LanguageModelTrainer(Protocol):
    """Builds a language model from text, and loads it again."""

    def train(self, lines: Iterator[str], folder: Path) -> None:
        """Write a model of `lines` (already under the text rules) into the empty `folder`."""

    def load(self, folder: Path) -> LanguageModel:
        """Read what `train` wrote."""


@dataclass(frozen=True)
class Archive:
    """A packed piece of a corpus (tar, plain or as gzip, bzip2 or xz): to be fetched and unpacked.

    url       http or https
    folder    what it becomes, below the folder that downloads go to: "LibriSpeech/dev-clean"
    inside    which folder of the archive that is; None: the one at its top. The files beside it
              come along, where there are none of their names
    size      bytes of the archive, about, to see that the disk has room; None: not known
    growth    bytes unpacked for each of the archive's, about
    checksum  "md5:..." or "sha256:...", as the source gives it; empty if it gives none
    """

    url: str
    folder: str
    inside: str | None = None
    size: int | None = None
    growth: float = 2.0
    checksum: str = ""

    def __post_init__(self) -> None:
        if urlsplit(self.url).scheme not in {"http", "https"} or not urlsplit(self.url).netloc:
            raise ValueError(f"{self.url!r} is no http or https address")
        for path in {self.folder, self.inside or self.folder}:
            pure = PurePosixPath(path)
            if not pure.name or pure.is_absolute() or ".." in pure.parts:
                raise ValueError(f"{path!r} is no path below a folder")
        algorithm, _, value = self.checksum.partition(":")
        if self.checksum and (algorithm not in {"md5", "sha256"} or not value):
            raise ValueError(f"{self.checksum!r} is neither md5:... nor sha256:...")


class Download(Protocol):
    """Where a corpus is to be had, and which corpus part reads it afterwards."""

    def archives(self, read: Callable[[str], str]) -> Sequence[Archive]:
        """What to fetch. `read(url)` gives a page, such as an index of the archives, as text."""

    def corpora(self, folder: Path) -> Mapping[str, Mapping[str, Any]]:
        """Tables of a recipe that read it below `folder`: "train" or "test.NAME" -> its keys."""


class TextRule(Protocol):
    """A rule that [text] can name: it writes a text anew before the other rules see it."""

    def __call__(self, text: str) -> str:
        """A text as it was written -> one with other words, or the same.

        It depends on the text alone, and not on whether an accented letter is written as one
        character or as two. Of a text without words it makes none. Transcripts, LM text and
        references pass through it.
        """


class ScoreProtocol(Protocol):
    """Measures beside the usual ones: `[score] protocol = NAME` has them in every row."""

    def __call__(self, pairs: Sequence[tuple[str, str]]) -> Mapping[str, float]:
        """(reference, hypothesis) of every utterance of a test -> measures by name.

        Texts are under the text rules, and may be empty; the order of the pairs is no matter. The
        measures are finite numbers, by the same names for every test; what counts errors is 0
        where there are none. `{"wer": 0.1}` of the protocol `n2` is `n2_wer` in scores.json.
        """


@dataclass(frozen=True)
class RunInfo:
    """A run, as trackers are told of it.

    name      of its folder
    folder    runs/NAME: whatever a tracker writes of its own stays there from call to call
    recipe    the whole recipe with every default, TOML
    training  "new": it begins; "resumed": it goes on where an earlier call of the command was
              stopped; "none": there is nothing to train, the run decodes and scores
    """

    name: str
    folder: Path
    recipe: str
    training: Literal["new", "resumed", "none"]

    def settings(self) -> dict[str, Any]:
        """The recipe as nested tables: {"train": {"epochs": 30, ...}, ...}."""
        return tomllib.loads(self.recipe)


@dataclass(frozen=True)
class StepEnd:
    """A step of the training: one change of the weights.

    step           how many were made, from 1
    epoch          it belongs to, from 1
    losses         "loss", nats a label, and the parts of it that the model shows
    learning_rate  it was made with
    gradient_norm  before it was clipped
    """

    step: int
    epoch: int
    losses: Mapping[str, float]
    learning_rate: float
    gradient_norm: float


@dataclass(frozen=True)
class EpochEnd:
    """A pass over the training data.

    epoch          from 1
    epochs         that are planned; a time budget, or patience, can still change it
    step           steps made since training began
    loss           of the training data, nats a label
    learning_rate  at its end
    validation     "loss" (nats a label), "wer" and "cer" (fractions) of the validation part;
                   empty where it was not validated after this epoch
    is_best        whether these are the best weights up to now
    speech_seconds learnt from, padding left out
    seconds        it took
    padding        share of the batches
    waiting        share of the time spent waiting for data
    """

    epoch: int
    epochs: float
    step: int
    loss: float
    learning_rate: float
    validation: Mapping[str, float]
    is_best: bool
    speech_seconds: float
    seconds: float
    padding: float
    waiting: float


@dataclass(frozen=True)
class RunEnd:
    """How a run ended.

    status  "finished"; "stopped": it was asked to end, and can go on; "failed"
    error   why it failed or stopped; empty where it finished
    scores  rows of scores.json
    model   the trained model's file; None where there is none yet
    report  the report's page; None where there is none yet
    """

    status: Literal["finished", "stopped", "failed"]
    error: str
    scores: tuple[Mapping[str, Any], ...]
    model: Path | None
    report: Path | None
