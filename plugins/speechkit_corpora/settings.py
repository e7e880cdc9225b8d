"""Settings that corpora share: which column of a table is what."""

import os
from pathlib import Path
from typing import Literal, Self

from pydantic import ValidationInfo, model_validator

from speechkit import Config, Field
from speechkit_corpora.share import WHOLE, Share

CANDIDATES: dict[str, tuple[str, ...]] = {
    "id": ("id", "utt_id", "utterance_id", "key"),
    # A recording before a name of one: the tables of LibriSpeech on the hub have `file`, too, the
    # name of a recording that is elsewhere.
    "audio": ("audio", "wav", "audio_path", "audio_filepath", "file_name", "path", "file"),
    "text": ("text", "sentence", "transcript", "transcription"),
    "speaker": ("speaker", "speaker_id", "client_id"),
    "duration": ("duration_seconds", "duration"),
    "features": (),
}
"""Role -> the columns taken for it where the settings name none, best first, in any case."""


def absolute(path: str, info: ValidationInfo) -> str:
    """A path as `speechkit.RecipePath` takes it, for a setting that can be something else, too."""
    folder = (info.context or {}).get("folder", Path())
    return os.path.normpath(Path(folder) / Path(path).expanduser())


class ColumnConfig(Config):
    """Which column is what; a column that is not named is found by its usual names."""

    id_column: str | None = Field(None, description="unique ids; default: id, utt_id, key, ...")
    audio_column: str | None = Field(
        None, description="recordings or their paths; default: audio, wav, file_name, path, ..."
    )
    text_column: str | None = Field(
        None, description="transcripts; default: text, sentence, transcript, transcription"
    )
    speaker_column: str | None = Field(
        None, description="who speaks; default: speaker, speaker_id, client_id"
    )
    duration_column: str | None = Field(
        None, description="length in seconds; default: duration_seconds, duration"
    )
    features_column: str | None = Field(
        None, description="ready features, instead of recordings: (T, D), frame after frame"
    )
    feature_dim: int | None = Field(None, gt=0, description="D of the ready features")
    frame_shift_seconds: float = Field(
        0.01, gt=0, description="from one frame of the ready features to the next"
    )
    share: Share = Field(
        WHOLE, description="whose speech: [0.0, 0.9] and [0.9, 1.0] have no speaker in common"
    )
    share_by: Literal["speaker", "utterance"] = Field(
        "speaker",
        description="what a share counts; parts by utterance share their speakers: an error rate "
        "on one of them says little of other voices",
    )
    limit: int | None = Field(None, gt=0, description="take the first rows only")

    @model_validator(mode="after")
    def _features_have_a_size(self) -> Self:
        if (self.features_column is None) != (self.feature_dim is None):
            raise ValueError("features_column and feature_dim go together: give both or neither")
        return self
