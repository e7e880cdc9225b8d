"""Datasets of the hub: loading them, saying why it did not work, and the rows of a stream."""

import functools
import textwrap
from pathlib import Path
from typing import Any

import datasets
import datasets.exceptions
import pyarrow as pa

from speechkit import DataError
from speechkit_corpora.canonical import Table, canonical
from speechkit_corpora.columns import find_columns
from speechkit_corpora.hub import HubConfig
from speechkit_corpora.reading import quiet
from speechkit_corpora.settings import ColumnConfig
from speechkit_corpora.share import BY_UTTERANCE, WHOLE, no_speaker, place

_PARQUET = 'many datasets have a copy in Parquet, revision = "refs/convert/parquet"'
_STRING, _FLOAT = datasets.Value("string"), datasets.Value("float64")


def load(config: HubConfig, revision: int) -> datasets.Dataset | datasets.IterableDataset:
    """The split's rows with the columns of `speechkit.Speech`.

    Raises:
        DataError: as `speechkit_corpora.hub.build_hub` says.
    """
    name = f"{config.path} ({config.config + ', ' if config.config else ''}{config.split})"
    try:
        # With its progress bars: this may download for hours. Its log lines repeat what we say.
        with quiet(bars=True):
            dataset = datasets.load_dataset(
                config.path,
                name=config.config,
                split=config.split,
                revision=config.revision,
                streaming=config.streaming,
            )
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        raise _explained(error, config, name) from None
    except pa.ArrowException as error:
        raise DataError(f"{name}: {_line(error)}", hint="download it again") from None
    if config.streaming:
        return _stream(dataset, config, name)
    settings = config.model_dump_json(exclude={"path", "config", "split", "revision", "streaming"})
    table = Table(dataset, ((Path(name), len(dataset)),), dataset._fingerprint)
    return canonical(table, config, settings=f"hub {revision} {settings}")


def _line(error: BaseException) -> str:
    return textwrap.shorten(f"{error.__cause__ or error}", 300)


def _explained(error: Exception, config: HubConfig, name: str) -> DataError:
    """What went wrong, and what to do about it."""
    said = f"{error} {error.__cause__}"
    if "torchcodec" in said:
        hint = f"install it, or do without: {_PARQUET}; for a folder of your own use = 'files'"
    elif isinstance(error, ConnectionError) or "OfflineMode" in said:
        hint = "check the connexion; HF_HUB_OFFLINE forbids it where it is set, HF_HOME is where "
        hint += "downloads are kept"
    elif "scripts are no longer supported" in said:
        hint = f"programs are not run; do without: {_PARQUET}"
    elif "gated" in said or "authenticat" in said:
        hint = "accept its terms on its page and log in: huggingface-cli login, or HF_TOKEN"
    elif "split" in said.lower():
        hint = "put split right"
    elif "BuilderConfig" in said or "Config name" in said:
        hint = "put config right: one of those named"
    elif isinstance(error, FileNotFoundError):
        hint = (
            f"owner/name as on the hub, or a folder that begins with / or ./; is {config.path!r} "
        )
        hint += "spelt right?"
    else:
        hint = "download it again, or look at it with datasets.load_dataset"
    return DataError(f"{name}: {_line(error)}", hint=hint)


def _stream(
    dataset: datasets.IterableDataset, config: HubConfig, name: str
) -> datasets.IterableDataset:
    """The rows as they come. What `canonical` checks beforehand is checked in each row."""
    known = dataset.features
    if known is None:  # of JSON and CSV, which say no types: those of the first row
        first = next(iter(dataset), None)
        if first is None:
            raise DataError(f"{name}: no rows", hint="a corpus needs at least one utterance")
        names = list(first)
    else:
        names = list(known)
    found = find_columns(names, config, name)
    if "audio" in found and known is not None and isinstance(known[found["audio"]], datasets.Audio):
        dataset = dataset.cast_column(found["audio"], datasets.Audio(decode=False))
        _check_readable(dataset, config, name)
    features = {"id": _STRING}
    if "features" in found:
        of_numbers = known[found["features"]] if known is not None else None
        features["features"] = of_numbers or datasets.List(datasets.Value("float32"))
    else:
        features["audio"] = datasets.Audio(decode=False)
    features["text"] = _STRING
    if "speaker" in found:
        features["speaker"] = _STRING
    if "duration" in found or "features" in found:
        features["duration_seconds"] = _FLOAT
    if "features" in found:
        features |= {"feature_dim": datasets.Value("int32"), "frame_shift_seconds": _FLOAT}
    row = functools.partial(_row, found=found, config=config, name=name)
    dataset = dataset.map(
        row, with_indices=True, remove_columns=names, features=datasets.Features(features)
    )
    if config.share != WHOLE:
        if config.share_by == "speaker" and "speaker" not in found:
            raise DataError(no_speaker(name), hint=BY_UTTERANCE)
        dataset = dataset.filter(functools.partial(_in_share, config=config, name=name))
    return dataset if config.limit is None else dataset.take(config.limit)


def _in_share(row: dict[str, Any], *, config: HubConfig, name: str) -> bool:
    deciding = row["id"] if config.share_by == "utterance" else row["speaker"]
    if deciding is None:
        raise DataError(no_speaker(f"{name}: {row['id']}"), hint=BY_UTTERANCE)
    return config.share[0] <= place(deciding) < config.share[1]


def _check_readable(dataset: datasets.IterableDataset, config: HubConfig, name: str) -> None:
    """Read a row of a stream now: `datasets` needs torchcodec for recordings that are single files.

    It says so when the first is read, which would be in the middle of a run. Recordings inside
    Parquet need nothing.
    """
    try:
        next(iter(dataset.take(1)), None)
    except ImportError as error:
        raise _explained(error, config, name) from None


def _row(
    given: dict[str, Any], number: int, *, found: dict[str, str], config: ColumnConfig, name: str
) -> dict[str, Any]:
    """A row with the columns of `speechkit.Speech`."""
    values = {role: given[column] for role, column in found.items()}
    where = f"{name}: row {number + 1}"
    # The number is counted anew in each process that reads: a recording's name is the better id.
    row: dict[str, Any] = {"id": f"{number:08d}"}
    row["text"] = "" if values["text"] is None else f"{values['text']}"
    if "audio" in found:
        row["audio"] = audio = _recording(values["audio"], where)
        row["id"] = (audio["path"] or "").rsplit(".", 1)[0] or row["id"]
    else:
        row |= _shaped(values["features"], config, where)
    if "id" in found:
        if values["id"] in {None, ""}:
            raise DataError(f"{where}: no id in column {found['id']!r}", hint="id_column = ...")
        row["id"] = f"{values['id']}"
    if "speaker" in found:
        row["speaker"] = None if values["speaker"] is None else f"{values['speaker']}"
    if "duration" in found:
        row["duration_seconds"] = values["duration"] and float(values["duration"])
    return row


def _recording(value: Any, where: str) -> dict[str, Any]:  # noqa: ANN401 - what a file holds
    if isinstance(value, bytes):
        value = {"bytes": value, "path": None}
    elif isinstance(value, str):
        value = {"bytes": None, "path": value}
    if not isinstance(value, dict) or not (value.get("bytes") or value.get("path")):
        raise DataError(
            f"{where}: no recording, but {value!r:.60}",
            hint="a recording is the bytes of an audio file, {bytes, path}, or a path",
        )
    return {"bytes": value.get("bytes"), "path": value.get("path")}


def _shaped(values: Any, config: ColumnConfig, where: str) -> dict[str, Any]:  # noqa: ANN401 - as above
    dim, shift = config.feature_dim, config.frame_shift_seconds
    assert dim is not None  # the settings see to it
    if values is None or len(values) % dim:
        raise DataError(
            f"{where}: {len(values or ())} numbers are no whole number of frames of "
            f"feature_dim = {dim}",
            hint="give feature_dim the number of features a frame",
        )
    seconds = len(values) // dim * shift
    return {
        "features": values,
        "duration_seconds": seconds,
        "feature_dim": dim,
        "frame_shift_seconds": shift,
    }
