"""A corpus is decoded once, and what cannot be used is named."""

import io

import datasets
import numpy as np
import pytest
import soundfile

from speechkit import DataError
from speechkit.data.sound import read_sound
from speechkit.data.store import prepare


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SPEECHKIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def wav(samples, rate=16_000) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="WAV")
    return file.getvalue()


def rows(count=3, rate=16_000):
    return [
        {
            "id": f"u{n}",
            "audio": {"bytes": wav(np.full(100 * (n + 1), 0.25), rate), "path": f"{n}.wav"},
            "text": f"text {n}",
            "speaker": "s",
        }
        for n in range(count)
    ]


def dataset(given):
    found = datasets.Dataset.from_list(given)
    if "audio" in found.column_names:
        found = found.cast_column("audio", datasets.Audio(decode=False))
    return found


def made(speech, **given):
    settings = {"sample_rate": 16_000, "skip_bad": False, "name": "train"}
    return prepare(speech, {"use": "toy"}, progress=lambda *_: None, **(settings | given))


def test_rows_in_order_with_their_samples():
    store = made(dataset(rows()))
    assert store.ids == ["u0", "u1", "u2"]
    assert store.texts == ["text 0", "text 1", "text 2"]
    assert store.lengths.tolist() == [100, 200, 300]
    assert np.allclose(store.row(1), 0.25)
    assert np.allclose(store.seconds, [100 / 16e3, 200 / 16e3, 300 / 16e3])


def test_a_second_call_reads_nothing(cache):
    speech = dataset(rows())
    made(speech)
    values = next(cache.glob("prepared/*/values.bin"))
    stamp = values.stat().st_mtime_ns
    made(speech)
    assert values.stat().st_mtime_ns == stamp
    assert not list(cache.glob("prepared/.*"))


def test_another_rate_or_other_rows_are_made_anew(cache):
    made(dataset(rows()))
    assert made(dataset(rows()), sample_rate=8_000).lengths.tolist() == [50, 100, 150]
    assert len(made(dataset(rows(2)))) == 2
    assert len(list(cache.glob("prepared/*/meta.json"))) == 3


def test_bad_utterances_stop_with_their_names_or_are_left_out():
    given = rows()
    given[1]["audio"] = {"bytes": b"broken", "path": "1.wav"}
    given[2]["audio"] = {"bytes": wav(np.zeros(0)), "path": "2.wav"}
    with pytest.raises(DataError, match=r"2 utterances cannot be used:\n  u1 \(1.wav\): cannot"):
        made(dataset(given))
    store = made(dataset(given), skip_bad=True)
    assert store.ids == ["u0"]
    assert [name for name, _ in store.meta.skipped] == ["u1", "u2"]
    with pytest.raises(DataError, match="2 utterances cannot be used"):  # from the cache, too
        made(dataset(given))


def test_nothing_half_made_is_left_after_an_error(cache):
    given = [*rows(), {**rows(1)[0]}]
    with pytest.raises(DataError, match="the id 'u0' stands twice"):
        made(dataset(given))
    assert not list((cache / "prepared").iterdir())


def test_a_missing_column_and_no_rows():
    speech = dataset(rows()).remove_columns("text")
    with pytest.raises(DataError, match="has no column text; its columns: audio, id, speaker"):
        made(speech)
    with pytest.raises(DataError, match="holds no utterance"):
        made(dataset(rows()).select([]))


def test_ready_features():
    given = [
        {"id": "a", "features": [0.0, 1, 2, 3, 4, 5], "feature_dim": 2, "text": "x"},
        {"id": "b", "features": [6.0, 7], "feature_dim": 2, "text": "y"},
    ]
    store = made(dataset(given))
    assert store.meta.kind == "features"
    assert store.row(0).tolist() == [[0, 1], [2, 3], [4, 5]]
    assert np.allclose(store.seconds, [0.03, 0.01])
    given[0]["features"] = given[0]["features"][:-1]
    with pytest.raises(DataError, match="5 numbers are no whole frames of 2"):
        made(dataset(given))


def test_a_stream_is_read_once():
    stream = dataset(rows()).to_iterable_dataset()
    assert made(stream).ids == ["u0", "u1", "u2"]


def test_sound_is_measured_while_it_is_prepared(cache):
    given = rows(4)
    given[1]["audio"] = given[0]["audio"]
    for place, samples in ((2, [0.0, 1.0, -1.0, 1.0, 0.5]), (3, [0.001, -0.5])):
        given[place]["audio"] = {"bytes": wav(np.array(samples)), "path": f"{place}.wav"}
    sound = made(dataset(given)).sound()
    assert sound.digests[0] == sound.digests[1]
    assert len(set(sound.digests)) == 3
    assert sound.peaks.tolist() == pytest.approx([0.25, 0.25, 1.0, 0.5], abs=1e-4)
    assert sound.full_scale.tolist() == [0, 0, 3, 0]
    assert (sound.clipped.tolist(), sound.silent("audio").tolist()) == ([0, 0, 1, 0], [0] * 4)


@pytest.mark.parametrize("left", [b"", b"broken", None])
def test_sound_of_an_older_store_is_measured_once(cache, left):
    store = made(dataset(rows()))
    file = store.folder / "sound.parquet"
    before = store.sound()
    file.unlink() if left is None else file.write_bytes(left)
    after = store.sound()
    assert after.digests == before.digests
    assert np.array_equal(after.peaks, before.peaks)
    assert read_sound(store.folder) is not None


def test_sound_of_ready_features(cache):
    given = [
        {"id": name, "text": "a", "features": values, "feature_dim": 2}
        for name, values in (("flat", [1.0, 2.0] * 3), ("u", [1.0, 2.0, 1.5, 4.0]))
    ]
    sound = made(dataset(given)).sound()
    assert sound.peaks.tolist() == [0.0, 2.0]
    assert sound.silent("features").tolist() == [True, False]


def features(name, values, dim, **more):
    return {"id": name, "text": "a", "features": values, "feature_dim": dim, **more}


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (features("b", [1.0, 2, 3], 3), "b has 3 features every 0.01 s in float32, those before "),
        (features("b", [1.0, 2], 2, frame_shift_seconds=0.02), "b has 2 features every 0.02 s"),
    ],
)
def test_features_that_are_made_differently_are_refused(other, told):
    first = features("a", [1.0, 2], 2, **dict.fromkeys(other.keys() - features("", [], 2).keys()))
    with pytest.raises(DataError, match=told):
        made(dataset([first, other]))
