import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from speechkit import DataError
from speechkit_corpora import FilesConfig

AUDIO = b"not decoded, so anything will do"
PACKED = gzip.compress(b"path,text\na.wav,x\n", mtime=0)


def write_parquet(path: Path, **columns: list) -> None:
    pq.write_table(pa.table(columns), path)


def rows(ids: list[str]) -> dict[str, list]:
    return {
        "utt_id": ids,
        "audio": [{"bytes": AUDIO, "path": f"{each}.wav"} for each in ids],
        "file": [f"/elsewhere/{each}.flac" for each in ids],
        "sentence": [f"text of {each}" for each in ids],
        "speaker_id": list(range(len(ids))),
        "duration": [1.5] * len(ids),
        "chapter": [7] * len(ids),
    }


def test_columns_are_found_and_named_as_the_interface_says(files, tmp_path):
    write_parquet(tmp_path / "a.parquet", **rows(["x", "y"]))
    corpus = files("a.parquet")
    assert corpus.features == datasets.Features(
        {
            "id": datasets.Value("string"),
            "audio": datasets.Audio(decode=False),
            "text": datasets.Value("string"),
            "speaker": datasets.Value("string"),
            "duration_seconds": datasets.Value("float64"),
        }
    )
    assert corpus[1] == {
        "id": "y",
        "audio": {"bytes": AUDIO, "path": "y.wav"},
        "text": "text of y",
        "speaker": "1",
        "duration_seconds": 1.5,
    }
    assert corpus.cache_files, "recordings stay on disk"


def test_settings_name_other_columns_and_fewer_rows(files, tmp_path):
    given = rows(["x", "y", "z"]) | {"clean": ["1", "2", "3"], "who": ["p", None, "q"]}
    write_parquet(tmp_path / "a.parquet", **given)
    corpus = files(
        "a.parquet", text_column="clean", speaker_column="who", id_column="file", limit=2
    )
    assert corpus["text"][:] == ["1", "2"]
    assert corpus["speaker"][:] == ["p", None]
    assert corpus["id"][1] == "/elsewhere/y.flac"


def test_files_come_in_the_order_given_and_a_pattern_sorted(files, tmp_path):
    for name in ("b-10", "b-2", "a"):
        write_parquet(tmp_path / f"{name}.parquet", **rows([f"{name}/{each}" for each in "xy"]))
    corpus = files(["b-*.parquet", "a.parquet", "b-2.parquet"])
    assert corpus["id"][:] == ["b-10/x", "b-10/y", "b-2/x", "b-2/y", "a/x", "a/y"]


def test_a_name_may_hold_what_is_special_in_a_pattern(files, tmp_path):
    write_parquet(tmp_path / "a[1]?.parquet", **rows(["x"]))
    assert len(files("a[1]?.parquet")) == 1


def recordings(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(AUDIO)


def test_json_lines_name_recordings_relative_to_their_file(files, tmp_path):
    recordings(tmp_path, "set/wav/one.wav", "set/wav/two.wav")
    lines = [
        {"audio_filepath": "wav/one.wav", "text": "null", "duration": 2},
        {"audio_filepath": "wav/two.wav", "text": "NA", "duration": 0.5, "speaker": 4},
    ]
    text = "\ufeff" + "\n\n".join(json.dumps(line) for line in lines) + "\n"
    (tmp_path / "set" / "a.jsonl.gz").write_bytes(gzip.compress(text.encode()))
    corpus = files("set/a.jsonl.gz")
    assert corpus["id"][:] == ["one", "two"]
    assert corpus["text"][:] == ["null", "NA"]
    assert corpus["speaker"][:] == [None, "4"]
    assert corpus["duration_seconds"][:] == [2.0, 0.5]
    assert corpus[0]["audio"] == {"bytes": None, "path": f"{tmp_path}/set/wav/one.wav"}
    assert corpus.features["audio"] == datasets.Audio(decode=False)


def test_a_json_list_is_read_as_lines_are(files, tmp_path):
    recordings(tmp_path, "a.wav")
    (tmp_path / "a.json").write_text('[{"audio": "a.wav",\n "text": "x"}]')
    assert files("a.json")["text"][:] == ["x"]


def test_csv_keeps_strings_as_they_are(files, tmp_path):
    recordings(tmp_path, "a.wav", "b.wav")
    (tmp_path / "a.csv").write_text(
        '\ufeffid,path,text,duration\n0017,a.wav,"a, b",1.25\n18,b.wav,NA,2\n'
    )
    corpus = files("a.csv")
    assert corpus["id"][:] == ["0017", "18"]
    assert corpus["text"][:] == ["a, b", "NA"]
    assert corpus["duration_seconds"][:] == [1.25, 2.0]


def test_ids_of_any_number_of_digits_stay_as_they_are(files, tmp_path):
    (tmp_path / "a.wav").touch()
    (tmp_path / "a.jsonl").write_text(
        '{"id": 1234567890123456789012345, "audio": "a.wav", "text": "x"}\n'
    )
    assert files("a.jsonl")["id"] == ["1234567890123456789012345"]


def test_unpaired_quotes_of_a_tsv_do_not_swallow_rows(files, tmp_path):
    recordings(tmp_path, "a.wav", "b.wav")
    (tmp_path / "a.tsv").write_text('path\tsentence\na.wav\t"so\nb.wav\tshe said\n')
    assert files("a.tsv")["text"][:] == ['"so', "she said"]


def test_a_folder_with_metadata_is_a_corpus(files, tmp_path):
    recordings(tmp_path, "set/p/1.wav", "set/q/1.wav")
    (tmp_path / "set" / "metadata.csv").write_text("file_name,text\np/1.wav,x\nq/1.wav,y\n")
    corpus = files("set")
    assert corpus["id"][:] == ["p/1", "q/1"], "the file's name alone is not unique"
    assert Path(corpus[1]["audio"]["path"]) == tmp_path / "set" / "q" / "1.wav"


def test_ids_are_row_numbers_where_recordings_have_no_names_of_their_own(files, tmp_path):
    recordings(tmp_path, "long.wav")
    table = "file_name,text,start_seconds,end_seconds\nlong.wav,x,0,1.5\nlong.wav,y,1.5,4\n"
    (tmp_path / "a.csv").write_text(table)
    corpus = files("a.csv")
    assert corpus["id"][:] == ["00000000", "00000001"]
    assert corpus["end_seconds"][:] == [1.5, 4.0]


def test_one_column_can_have_two_roles(files, tmp_path):
    recordings(tmp_path, "a.wav")
    (tmp_path / "a.csv").write_text("file_name,text\na.wav,x\n")
    assert files("a.csv", id_column="file_name")["id"][:] == ["a.wav"]
    write_parquet(tmp_path / "a.parquet", **rows(["x"]))
    assert files("a.parquet", speaker_column="utt_id")[0]["speaker"] == "x"


def test_recordings_as_plain_bytes_or_partly_outside(files, tmp_path):
    recordings(tmp_path, "b.wav")
    write_parquet(tmp_path / "bytes.parquet", audio=[AUDIO], text=["x"])
    assert files("bytes.parquet")[0]["audio"] == {"bytes": AUDIO, "path": None}
    mixed = [{"bytes": AUDIO, "path": "a.wav"}, {"bytes": None, "path": "b.wav"}]
    write_parquet(tmp_path / "mixed.parquet", audio=mixed, text=["x", "y"])
    corpus = files("mixed.parquet")
    assert corpus[0]["audio"] == {"bytes": AUDIO, "path": "a.wav"}
    assert corpus[1]["audio"] == {"bytes": None, "path": f"{tmp_path}/b.wav"}


def test_durations_of_which_some_are_missing_are_left_to_be_measured(files, tmp_path):
    write_parquet(tmp_path / "a.parquet", **(rows(["x", "y"]) | {"duration": [1.0, None]}))
    assert "duration_seconds" not in files("a.parquet").column_names


@pytest.mark.parametrize("number", [pa.float16(), pa.float32()])
def test_ready_features_say_their_shape(files, tmp_path, number):
    values = [np.arange(6, dtype=np.float16), np.arange(3, dtype=np.float16), np.zeros(0, "f2")]
    table = {
        "id": ["x", "y", "z"],
        "mfcc": pa.array(values, pa.list_(pa.float16())).cast(pa.list_(number)),
        "text": ["1", "2", "3"],
        "audio": ["", "", ""],
    }
    pq.write_table(pa.table(table), tmp_path / "a.parquet")
    settings = {"features_column": "mfcc", "feature_dim": 3}
    corpus = files("a.parquet", **settings, frame_shift_seconds=0.02)
    assert corpus.column_names == [
        *("id", "features", "text", "duration_seconds", "feature_dim", "frame_shift_seconds")
    ]
    assert corpus[0]["features"] == [0, 1, 2, 3, 4, 5]
    assert corpus["duration_seconds"][:] == [0.04, 0.02, 0.0]
    assert set(corpus["feature_dim"][:]) == {3}
    assert set(corpus["frame_shift_seconds"][:]) == {0.02}
    with pytest.raises(DataError, match=r"row 1: 6 numbers .* feature_dim = 4"):
        files("a.parquet", features_column="mfcc", feature_dim=4)
    with pytest.raises(ValidationError, match="go together"):
        files("a.parquet", features_column="mfcc")


FEATURES = {"features_column": "mfcc", "feature_dim": 2}


@pytest.mark.parametrize(
    ("columns", "settings", "message", "hint"),
    [
        (rows([]), {}, r"a\.parquet: no rows", ""),
        (rows(["x"]), {"text_column": "sentense"}, r"columns are utt_id, audio", "'sentence'"),
        ({"audio": [AUDIO], "lyrics": ["la"]}, {}, "transcripts; the columns are", "text_column"),
        ({"text": ["a"], "sound": [AUDIO]}, {}, "the recordings; the columns are", "audio_column"),
        (rows(["x", "y", "x"]), {}, "row 3: id 'x' is also that of .*row 1", "unique"),
        (rows(["x", ""]), {}, "row 2: no id", "id_column"),
        ({"audio": [AUDIO, b""], "text": ["a", "b"]}, {}, "row 2: no recording", ""),
        ({"audio": ["there.wav", " "], "text": ["a", "b"]}, {}, "row 2: no recording", ""),
        ({"audio": ["there.wav", "b.wav"], "text": ["a", "b"]}, {}, r"row 2: no file .*b\.wav", ""),
        ({"audio": [[0.1]], "text": ["a"]}, {}, "'audio' holds list", "bytes"),
        ({"audio": [AUDIO], "text": [[1]]}, {}, "'text' holds list", ""),
        (rows(["x"]), {"duration_column": "sentence"}, "does not hold numbers: 'text of x'", ""),
        ({"text": ["a"], "mfcc": [[[1.0, 2.0]]]}, FEATURES, "not lists of numbers", "flat"),
        ({"text": ["a"], "mfcc": [None]}, FEATURES, "0 numbers", ""),
    ],
)
def test_what_cannot_be_used_is_said_with_file_row_and_remedy(
    files, tmp_path, columns, settings, message, hint
):
    recordings(tmp_path, "there.wav")
    if "mfcc" in columns:
        kind = pa.list_(pa.list_(pa.float32())) if columns["mfcc"][0] else pa.list_(pa.float32())
        columns = columns | {"mfcc": pa.array(columns["mfcc"], kind)}
    write_parquet(tmp_path / "a.parquet", **columns)
    with pytest.raises(DataError, match=message) as caught:
        files("a.parquet", **settings)
    assert "a.parquet" in f"{caught.value}"
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.parquet", b"PAR1 but no more", "not a Parquet file"),
        ("a.parquet", b"", "not a Parquet file"),
        ("a.jsonl", b'{"audio": "a.wav", "text": "x"}\n{"audio": \n', r"a\.jsonl:2: not JSON"),
        ("a.jsonl", b'"x"\n', r"a\.jsonl:1: str, not an object"),
        ("a.json", b'[{"text": 1}, 2]', "object 2: int, not an object"),
        ("a.csv", b"path,text\na.wav,x,y\n", r"a\.csv:2: 3 fields, but the header has 2"),
        ("a.csv", b"path,text\na.wav\n", r"a\.csv:2: 1 fields, but the header has 2"),
        ("a.csv", b"path,text\na.wav,\xff\n", "not UTF-8"),
        ("a.csv", b"", "no rows"),
        ("a.csv", b"path,text,text\na.wav,x,y\n", r"a\.csv:1: two columns are called 'text'"),
        ("a.csv", b"path;text\na.wav;x\n", r"a\.csv:1: one column, .*: parted by semicolons\?"),
        ("a.jsonl", b"[" * 100_000, r"a\.jsonl: nested too deep"),
        ("a.jsonl", b'{"a": ' + b"[" * 100_000 + b"\n", r"a\.jsonl:1: nested too deep"),
        ("a.jsonl.gz", b"not gzip", "gzip"),
        ("a.csv.gz", PACKED[:-9], "cannot be unpacked: Compressed file ended"),
        ("a.csv.gz", PACKED[:10] + b"\xff" * 20, "cannot be unpacked: Error -3"),
        ("a.jsonl.gz", PACKED[:10] + b"\xff" * 20, "cannot be unpacked: Error -3"),
        ("a.xyz", b"", "no known suffix"),
    ],
)
def test_broken_files_are_named(files, tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        files(name)
    assert name in f"{caught.value}"


@pytest.mark.parametrize(("path", "what"), [("b*.csv", "pattern"), ("b.csv", "no such file")])
def test_files_that_are_not_there_are_named(files, tmp_path, path, what):
    with pytest.raises(DataError, match=what) as caught:
        files(path)
    assert f"{tmp_path / path}" in f"{caught.value}"


@pytest.mark.parametrize("limit", [None, 3, 4])
def test_of_several_files_the_one_with_the_fault_is_named(files, tmp_path, limit):
    write_parquet(tmp_path / "a.parquet", **rows(["x", "y"]))
    write_parquet(tmp_path / "b.parquet", **rows(["x", "z", "w"]))
    write_parquet(tmp_path / "c.parquet", **rows(["v"]))
    with pytest.raises(DataError, match=r"b\.parquet: row 1: id 'x' .* of .*a\.parquet: row 1"):
        files(["a.parquet", "b.parquet", "c.parquet"], limit=limit)
    more = {None: " and 2 more", 3: " and 1 more", 4: " and 1 more"}[limit]
    with pytest.raises(DataError, match=rf"a\.parquet{more}: text_column"):
        files(["a.parquet", "b.parquet", "c.parquet"], limit=limit, text_column="words")
    corpus = files(["a.parquet", "b.parquet"], limit=2)
    assert corpus["id"][:] == ["x", "y"]


def test_a_folder_without_a_table_says_what_it_needs(files, tmp_path):
    recordings(tmp_path, "set/a.wav")
    with pytest.raises(DataError, match=r"metadata\.csv"):
        files("set")


def test_a_parquet_file_broken_inside_is_named_without_noise(files, tmp_path, capfd):
    for name in ("a", "b"):
        write_parquet(tmp_path / f"{name}.parquet", **rows([f"{name}{i}" for i in range(500)]))
    content = bytearray((tmp_path / "b.parquet").read_bytes())
    content[4:2000] = b"\xff" * 1996
    (tmp_path / "b.parquet").write_bytes(content)
    with pytest.raises(DataError, match=r"b\.parquet: broken inside"):
        files(["a.parquet", "b.parquet"])
    assert capfd.readouterr() == ("", "")


def test_files_of_one_corpus_are_alike(files, tmp_path):
    write_parquet(tmp_path / "a.parquet", **rows(["x"]))
    write_parquet(tmp_path / "b.parquet", audio=[AUDIO], text=["y"])
    (tmp_path / "c.csv").write_text("path,text\n")
    with pytest.raises(DataError, match="other columns than"):
        files(["a.parquet", "b.parquet"])
    with pytest.raises(DataError, match=r"is csv and .* is parquet"):
        files(["a.parquet", "c.csv"])


FINGERPRINT = """
import json, sys
from speechkit_corpora import FilesConfig, build_files
print(build_files(FilesConfig.model_validate_json(sys.argv[1]))._fingerprint)
"""


def fingerprint_elsewhere(cache: Path, **settings: object) -> str:
    done = subprocess.run(
        [sys.executable, "-c", FINGERPRINT, json.dumps(settings)],
        env=os.environ | {"HF_HOME": f"{cache}", "PYTHONHASHSEED": "1", "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == "", "quiet"
    return done.stdout.strip()


def test_the_fingerprint_is_that_of_content_and_settings(files, tmp_path):
    write_parquet(tmp_path / "a.parquet", **rows(["x", "y"]))
    first = files("a.parquet")._fingerprint
    path = f"{tmp_path / 'a.parquet'}"
    assert fingerprint_elsewhere(tmp_path / "other", path=path) == first
    assert len(first) == 16

    (tmp_path / "copy.parquet").write_bytes((tmp_path / "a.parquet").read_bytes())
    assert files("copy.parquet")._fingerprint == first, "a copy is the same corpus"
    assert files("a.parquet", limit=1)._fingerprint != first
    assert files("a.parquet", text_column="file")._fingerprint != first

    changed = rows(["x", "y"]) | {"sentence": ["text of x", "text of z"]}
    write_parquet(tmp_path / "a.parquet", **changed)
    corpus = files("a.parquet")
    assert corpus._fingerprint != first
    assert corpus["text"][1] == "text of z", "not what datasets remembers of the old file"


def test_the_fingerprint_sees_another_recording_of_the_same_name(files, tmp_path):
    recordings(tmp_path, "a.wav")
    (tmp_path / "a.csv").write_text("file_name,text\na.wav,x\n")
    first = files("a.csv")._fingerprint
    assert files("a.csv")._fingerprint == first
    (tmp_path / "a.wav").write_bytes(AUDIO * 2)
    assert files("a.csv")._fingerprint != first


def test_progress_bars_and_log_level_are_left_as_they_were(files, tmp_path):
    write_parquet(tmp_path / "a.parquet", **rows(["x"]))
    level = datasets.logging.get_verbosity()
    assert not datasets.are_progress_bars_disabled()
    files("a.parquet")
    assert not datasets.are_progress_bars_disabled()
    assert datasets.logging.get_verbosity() == level


def test_settings_are_closed_and_typed():
    for wrong in ('{"path": []}', '{"path": 3}', '{"path": "a", "limit": 0}', '{"pth": "a"}'):
        with pytest.raises(ValidationError):
            FilesConfig.model_validate_json(wrong)


@pytest.mark.parametrize(
    ("name", "settings", "count", "columns"),
    [
        ("mini_librispeech/train", {}, 1237, "id audio text speaker duration_seconds"),
        ("mini_librispeech/dev", {}, 92, "id audio text speaker duration_seconds"),
        ("mini_librispeech/test", {}, 98, "id audio text speaker duration_seconds"),
        (
            "ljspeech/test",
            {"text_column": "normalized_text"},
            200,
            "id audio text duration_seconds",
        ),
        (
            "voxforge_ru/dev",
            {"features_column": "mfcc", "feature_dim": 13},
            260,
            "id features text speaker duration_seconds feature_dim frame_shift_seconds",
        ),
    ],
)
def test_real_corpora(files, real_data, name, settings, count, columns):
    corpus = files(f"{real_data}/{name}.parquet", **settings)
    assert len(corpus) == count
    assert corpus.column_names == columns.split()
    original = pq.read_table(real_data / f"{name}.parquet")
    assert corpus["id"][:] == original["id"].to_pylist()
    last = corpus[count - 1]
    if "audio" in last:
        assert last["audio"] == original["audio"][count - 1].as_py()
        assert last["text"] == original[settings.get("text_column", "text")][count - 1].as_py()
    else:
        frames = original["num_frames"][count - 1].as_py()
        assert len(last["features"]) == frames * 13
        assert last["duration_seconds"] == pytest.approx(frames / 100)
        assert last["speaker"] == original["speaker"][count - 1].as_py()


def test_importing_the_plugin_loads_neither_datasets_nor_torch():
    code = "import speechkit_corpora, sys; sys.exit(bool({'torch', 'datasets'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_shares_part_speakers_or_utterances(files, tmp_path):
    table = rows([f"u{number}" for number in range(40)])
    table["speaker_id"] = [f"s{number % 8}" for number in range(40)]
    write_parquet(tmp_path / "a.parquet", **table)
    for share_by, deciding in (("speaker", "speaker"), ("utterance", "id")):
        kept, rest = (
            files("a.parquet", share=each, share_by=share_by) for each in ([0, 0.6], [0.6, 1])
        )
        assert sorted([*kept["id"], *rest["id"]]) == sorted(table["utt_id"])
        assert not set(kept[deciding]) & set(rest[deciding])
        first = files("a.parquet", share=[0, 0.6], share_by=share_by, limit=3)
        assert first["id"][:] == kept["id"][:3]
        assert len({each._fingerprint for each in (kept, rest, first)}) == 3
    both = set(kept["speaker"]) & set(rest["speaker"])
    assert both  # parts by utterance share speakers


@pytest.mark.parametrize("speakers", [None, ["s1", None], ["s1", ""], ["s1", " "]])
def test_a_share_of_speakers_needs_speakers(files, tmp_path, speakers):
    table = rows(["x", "y"])
    del table["speaker_id"]
    write_parquet(tmp_path / "a.parquet", **table, **({"speaker": speakers} if speakers else {}))
    with pytest.raises(
        DataError, match=r"a\.parquet: no speaker, and a share is of speakers"
    ) as it:
        files("a.parquet", share=[0.0, 0.5])
    assert 'share_by = "utterance"' in it.value.hint
