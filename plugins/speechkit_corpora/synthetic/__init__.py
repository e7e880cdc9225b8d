"""`use = "synthetic"`: sentences spoken by a synthesiser, for trying things out without data.

Nothing is downloaded: espeak-ng and its voices come with the package `espeakng-loader`. Synthetic
speech is far easier than people's; error rates on it say that things work, and no more.

The parts of a corpus, train, validation and test, share no sentence, whatever their other settings,
and, unless the voices are named, no voice. The same settings give the same bytes.
"""

from typing import Self

from pydantic import model_validator

from speechkit import Config, Field, RecipePath, Speech
from speechkit_corpora.synthetic.grammar import Part, grammars
from speechkit_corpora.synthetic.variants import VARIANTS

REVISION = 2  # goes up when the same settings give other sentences or other sounds


class SyntheticConfig(Config):
    """Speech made by espeak-ng, 16 kHz, made once and kept in `$SPEECHKIT_CACHE`."""

    language: str = Field("en", description="a language of espeak-ng: en, en-us, ru, uk, ...")
    part: Part = Field("train", description="which sentences and voices: parts share none")
    utterances: int = Field(1000, gt=0, description="how many")
    seed: int = Field(0, ge=0, description="of the choice of sentences, speeds and pitches")
    sentences: RecipePath | None = Field(
        None, description="a text file, a sentence a line; default: made by a built-in grammar"
    )
    words: tuple[int, int] | None = Field(
        None, description="fewest and most words of a sentence; default: 3 to 6 built-in, any read"
    )
    voices: list[str] | None = Field(
        None, min_length=1, description="espeak-ng voices such as en+m1; default: varied, by part"
    )
    num_voices: int | None = Field(None, gt=0, description="the first so many default voices")
    speed: tuple[int, int] = Field((140, 190), description="slowest and fastest, words a minute")
    pitch: tuple[int, int] = Field(
        (35, 65), description="lowest and highest; 50 is the voice's own"
    )

    @property
    def base_language(self) -> str:
        """The language without its region: en for en-us."""
        return self.language.split("-", maxsplit=1)[0]

    @model_validator(mode="after")
    def _possible(self) -> Self:
        limits = {"words": (1, 1000), "speed": (80, 450), "pitch": (0, 99)}  # espeak-ng's own
        for name, (lowest, highest) in limits.items():
            low, high = getattr(self, name) or (lowest, highest)
            if not lowest <= low <= high <= highest:
                raise ValueError(
                    f"{name} = [{low}, {high}]: two numbers from {lowest} to {highest}, "
                    "the smaller first"
                )
        if self.sentences is None and self.base_language not in grammars():
            raise ValueError(
                f"there are no built-in sentences for language {self.language!r}, only for "
                f"{', '.join(grammars())}: give sentences, a text file"
            )
        if self.voices is not None and self.num_voices is not None:
            raise ValueError("num_voices counts the default voices: leave it out, or voices")
        if self.num_voices is not None and self.num_voices > len(VARIANTS[self.part]):
            raise ValueError(
                f"num_voices = {self.num_voices}: there are {len(VARIANTS[self.part])} voices "
                f"for part {self.part!r}"
            )
        return self


def build_synthetic(config: SyntheticConfig) -> Speech:
    """Spoken sentences, with the columns of `speechkit.Speech`; `speaker` is the voice.

    Raises:
        DataError: a voice that espeak-ng has not, or no sentence that fits.
    """
    # Here, since it imports `datasets` and torchaudio, which `speechkit --help` must not wait for.
    from speechkit_corpora.synthetic.making import corpus  # noqa: PLC0415

    return corpus(config, REVISION)
