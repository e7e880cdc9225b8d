import json
import subprocess
import sys
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from torch.utils.data import DataLoader

from speechkit import DataError
from speechkit_corpora import HubConfig, build_hub

AUDIO = b"not decoded, so anything will do"
COLUMNS = ["id", "audio", "text", "speaker", "duration_seconds"]


def config(folder: Path, **settings: object) -> HubConfig:
    return HubConfig.model_validate_json(json.dumps(settings), context={"folder": folder})


def build(folder: Path, **settings: object):
    return build_hub(config(folder, **settings))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder laid out like a dataset of the hub, with two splits."""
    features = datasets.Features(
        {
            "audio": datasets.Audio(sampling_rate=16_000),  # decoded, were it not cast
            "sentence": datasets.Value("string"),
            "client_id": datasets.Value("int64"),
            "utt_id": datasets.Value("string"),
            "duration": datasets.Value("float64"),
        }
    )
    data = tmp_path / "set" / "data"
    data.mkdir(parents=True)
    for split in ("train", "test"):
        ids = [f"{split}-{number}" for number in range(5)]
        table = {
            "audio": [{"bytes": AUDIO, "path": f"{each}.flac"} for each in ids],
            "sentence": [f"text of {each}" for each in ids],
            "client_id": range(5),
            "utt_id": ids,
            "duration": [1.5] * 5,
        }
        schema = features.arrow_schema
        pq.write_table(pa.table(table, schema=schema), data / f"{split}-00000-of-00001.parquet")
    return tmp_path


@pytest.mark.parametrize("streaming", [False, True])
def test_rows_have_the_columns_of_the_interface(folder, streaming):
    corpus = build(folder, path="./set", split="test", streaming=streaming, limit=3)
    assert isinstance(corpus, datasets.IterableDataset) is streaming
    assert list(corpus.features) == corpus.column_names == COLUMNS
    assert corpus.features["audio"] == datasets.Audio(decode=False)
    rows = list(corpus)
    assert [row["id"] for row in rows] == ["test-0", "test-1", "test-2"]
    assert rows[1] == {
        "id": "test-1",
        "audio": {"bytes": AUDIO, "path": "test-1.flac"},
        "text": "text of test-1",
        "speaker": "1",
        "duration_seconds": 1.5,
    }
    assert list(corpus) == rows, "the same again"


def test_both_ways_give_the_same_rows(folder):
    whole, streamed = (build(folder, path="./set", streaming=each) for each in (False, True))
    assert list(whole) == list(streamed)


@pytest.mark.parametrize("share_by", ["speaker", "utterance"])
def test_both_ways_give_the_same_share(folder, share_by):
    share = {"path": "./set", "share": [0.0, 0.5], "share_by": share_by, "limit": 2}
    whole, streamed = (build(folder, **share, streaming=each) for each in (False, True))
    assert list(whole) == list(streamed)
    assert 0 < len(whole) <= 2


def test_a_stream_can_be_read_by_other_processes(folder):
    corpus = build(folder, path="./set", streaming=True)
    loader = DataLoader(corpus, batch_size=None, num_workers=1)
    assert [row["id"] for row in loader] == [f"train-{number}" for number in range(5)]


@pytest.mark.parametrize("streaming", [False, True])
def test_ready_features(folder, tmp_path, streaming):
    (tmp_path / "ready").mkdir()
    table = {"mfcc": [[1.0, 2.0, 3.0, 4.0], [5.0, 6.0]], "text": ["x", "y"]}
    pq.write_table(pa.table(table), tmp_path / "ready" / "train.parquet")
    ready = {"path": "./ready", "streaming": streaming, "features_column": "mfcc"}
    first, second = build(folder, **ready, feature_dim=2)
    assert first == {
        "id": "00000000",
        "features": [1.0, 2.0, 3.0, 4.0],
        "text": "x",
        "duration_seconds": 0.02,
        "feature_dim": 2,
        "frame_shift_seconds": 0.01,
    }
    assert second["features"] == [5.0, 6.0]
    with pytest.raises(DataError, match=r"row 1: 4 numbers .* feature_dim = 3"):
        list(build(folder, **ready, feature_dim=3))


def test_a_stream_without_types_takes_those_of_its_first_row(tmp_path):
    (tmp_path / "lines").mkdir()
    line = {"path": "https://example.org/a.wav", "transcription": "x"}
    (tmp_path / "lines" / "train.jsonl").write_text(json.dumps(line))
    (row,) = build(tmp_path, path="./lines", streaming=True)
    assert row["audio"] == {"bytes": None, "path": "https://example.org/a.wav"}
    assert row["id"] == "https://example.org/a"


@pytest.mark.parametrize("streaming", [False, True])
def test_recordings_as_single_files_need_torchcodec_and_it_is_said(
    monkeypatch, tmp_path, streaming
):
    monkeypatch.setitem(sys.modules, "torchcodec.encoders", None)
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "a.wav").write_bytes(AUDIO)
    (tmp_path / "set" / "metadata.csv").write_text("file_name,transcription\na.wav,hello\n")
    with pytest.raises(DataError, match="torchcodec") as caught:
        build(tmp_path, path="./set", streaming=streaming)
    assert "use = 'files'" in caught.value.hint


def test_the_fingerprint_is_that_of_the_split_and_the_settings(folder):
    def fingerprint(**settings):
        return build(folder, path="./set", **settings)._fingerprint

    assert fingerprint() == fingerprint()
    assert len({fingerprint(), fingerprint(split="test"), fingerprint(limit=2)}) == 3


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize(
    ("settings", "message", "hint"),
    [
        ({"split": "dev"}, r"dev.*train", "put split right"),
        ({"config": "clean"}, r"'clean' not found.*default", "put config right"),
        ({"path": "./nowhere"}, "nowhere", "spelt right"),
        ({"path": "./program"}, "scripts are no longer supported", "refs/convert/parquet"),
        ({"text_column": "sentense"}, "the columns are audio, sentence", "'sentence'"),
    ],
)
def test_what_is_not_there_is_said_with_a_remedy(folder, streaming, settings, message, hint):
    (folder / "program").mkdir()
    (folder / "program" / "program.py").write_text("raise SystemExit('was run')")
    with pytest.raises(DataError, match=message) as caught:
        build(folder, **({"path": "./set", "streaming": streaming} | settings))
    assert hint in caught.value.hint
    assert settings.get("path", "set").strip("./") in f"{caught.value}"


@pytest.mark.parametrize(
    ("error", "message", "hint"),
    [
        (
            datasets.exceptions.DatasetNotFoundError(
                "Dataset 'a/b' is a gated dataset on the Hub. You must be authenticated to use it."
            ),
            "gated",
            "log in",
        ),
        (
            datasets.exceptions.DatasetNotFoundError("Dataset 'a/b' doesn't exist on the Hub."),
            "doesn't exist",
            "spelt right",
        ),
        (ConnectionError("Couldn't reach 'a/b' on the Hub (Timeout)"), "reach", "HF_HUB_OFFLINE"),
        (
            ValueError("Config name is missing.\nPlease pick one among: ['clean', 'other']"),
            "Config name is missing",
            "clean",
        ),
        (datasets.exceptions.DatasetGenerationError("An error occurred"), "An error", "again"),
    ],
)
def test_errors_of_the_hub_are_told_in_a_line(monkeypatch, tmp_path, error, message, hint):
    def load_dataset(*_args: object, **_settings: object) -> None:
        raise error

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    with pytest.raises(DataError, match=message) as caught:
        build(tmp_path, path="a/b", config="c", split="d")
    assert "a/b (c, d)" in f"{caught.value}"
    assert "\n" not in f"{caught.value}"
    assert hint in caught.value.hint + f"{caught.value}"


OFFLINE = """
import os
os.environ["HF_HUB_OFFLINE"] = "1"
from speechkit import DataError
from speechkit_corpora import HubConfig, build_hub
try:
    build_hub(HubConfig.model_validate_json('{"path": "no-such-owner/no-such-dataset"}'))
except DataError as error:
    print(error, error.hint)
"""


def test_offline_is_respected_and_said():
    done = subprocess.run(
        [sys.executable, "-c", OFFLINE], capture_output=True, text=True, check=True
    )
    assert "no-such-owner/no-such-dataset (train)" in done.stdout
    assert "HF_HUB_OFFLINE" in done.stdout
    assert done.stderr == ""


def test_a_path_is_a_folder_only_if_it_is_written_as_one(tmp_path):
    assert config(tmp_path, path="owner/name").path == "owner/name"
    assert config(tmp_path, path="./owner/name").path == f"{tmp_path}/owner/name"
    assert config(tmp_path, path="~/name").path == f"{Path.home()}/name"
