import collections
import gzip
import hashlib
import io
import itertools
import json
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import espeakng_loader
import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from speechkit import DataError
from speechkit_corpora import SyntheticConfig, build_synthetic
from speechkit_corpora.synthetic import grammar, making, speak, variants, voices
from speechkit_corpora.synthetic.sound import to_wav

ALPHABETS = {
    "en": "abcdefghijklmnopqrstuvwxyz",
    "ru": "абвгдеёжзийклмнопрстуфхцчшщъыьэюя",
    "uk": "абвгґдеєжзиіїйклмнопрстуфхцчшщьюя’",
}


def config(folder: Path | None = None, **settings: object) -> SyntheticConfig:
    return SyntheticConfig.model_validate_json(json.dumps(settings), context={"folder": folder})


def build(**settings: object):
    return build_synthetic(config(**settings))


def made(cache: Path) -> Path:
    (file,) = cache.glob("synthetic/*/*")
    return file


def test_a_corpus_has_the_columns_of_the_interface_and_sound_in_them():
    corpus = build(utterances=6, num_voices=4)
    assert corpus.column_names == ["id", "audio", "text", "speaker", "duration_seconds"]
    assert corpus["id"][:] == [f"train-{number:06d}" for number in range(6)]
    assert corpus["speaker"][:] == ["en+m3", "en+f1", "en+edward", "en+Annie", "en+m3", "en+f1"]
    for row in corpus:
        samples, rate = soundfile.read(io.BytesIO(row["audio"]["bytes"]), dtype="int16")
        assert rate == 16_000
        assert samples.ndim == 1
        assert len(samples) / rate == row["duration_seconds"]
        words = len(row["text"].split())
        assert 3 <= words <= 6
        assert 0.12 < row["duration_seconds"] / words < 0.9
        margin = samples[:1500]
        assert 0 < np.abs(margin).max() <= 1, "the margins are faint noise, not zeros"
        assert np.abs(samples).max() > 3000


SAY = """
import json, sys, hashlib
from speechkit_corpora import SyntheticConfig, build_synthetic
corpus = build_synthetic(SyntheticConfig.model_validate_json(sys.argv[1]))
sounds = b"".join(row["audio"]["bytes"] for row in corpus)
print(corpus._fingerprint, hashlib.sha256(sounds).hexdigest())
"""


def say_elsewhere(cache: Path, **settings: object) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", SAY, json.dumps(settings)],
        env=os.environ | {"SPEECHKIT_CACHE": f"{cache}", "HF_HOME": f"{cache}/hf"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_same_settings_give_the_same_bytes_in_two_processes_at_once(tmp_path, own_caches):
    settings = {"utterances": 20, "voices": ["en+f2", "en+whisper", "en+m1"]}
    running = [say_elsewhere(tmp_path, **settings) for _ in range(2)]
    said = [process.communicate() for process in running]
    assert said[0] == said[1], "breathy voices too, whose noise is random"
    assert said[0][1] == "", "quiet"
    made(tmp_path)

    time.sleep(1.1)  # espeak-ng seeds itself by the clock, in seconds
    corpus = build(**settings)
    sounds = b"".join(row["audio"]["bytes"] for row in corpus)
    assert said[0][0].split() == [corpus._fingerprint, hashlib.sha256(sounds).hexdigest()]
    assert made(own_caches).read_bytes() == made(tmp_path).read_bytes()


def test_sound_depends_neither_on_processes_nor_on_what_was_said_before():
    jobs = making.plan(config(utterances=14))
    first, *others = [list(speak.speak(jobs, processes=each)) for each in (1, 2, 5)]
    for other in others:
        assert all(itertools.starmap(np.array_equal, zip(first, other, strict=True)))
    (alone,) = speak.speak(jobs[-1:], processes=1)
    assert np.array_equal(first[-1], alone)


def test_it_is_spoken_once_and_again_when_settings_or_sentences_change(
    monkeypatch, tmp_path, own_caches
):
    lines = tmp_path / "lines.txt"
    lines.write_text("".join(f"this is line number {number}\n" for number in range(30)))

    def corpus(**settings):
        return build_synthetic(
            config(tmp_path, utterances=3, sentences="lines.txt", voices=["en+m1"], **settings)
        )

    first = corpus()
    with monkeypatch.context() as patch:
        patch.setattr(making, "speak", None)
        assert corpus()._fingerprint == first._fingerprint
    assert corpus(speed=[80, 80])[0]["duration_seconds"] > 1.5 * first[0]["duration_seconds"]
    lines.write_text(lines.read_text().replace("line", "row"))
    assert "row" in corpus()[0]["text"]
    assert len(list(own_caches.glob("synthetic/*/*"))) == 3


def test_what_was_not_finished_is_not_taken_for_whole(monkeypatch, own_caches):
    def cut_off(jobs, *, processes):
        yield from itertools.islice(speak.speak(jobs, processes=processes), 2)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(making, "speak", cut_off)
        with pytest.raises(KeyboardInterrupt):
            build(utterances=4)
    assert not list(own_caches.glob("synthetic/*/*"))
    (folder,) = own_caches.glob("synthetic/*")
    (folder / ".en-train.parquet.killed").write_bytes(b"PAR1, left by a process that was killed")
    assert len(build(utterances=4)) == 4


def test_a_damaged_file_in_the_cache_says_what_to_do(own_caches):
    build(utterances=2)
    made(own_caches).write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"en-train\.parquet: not a Parquet file") as caught:
        build(utterances=2)
    assert "delete it" in caught.value.hint


@pytest.mark.parametrize("language", ALPHABETS)
def test_parts_share_no_sentence_and_no_voice_and_use_the_whole_alphabet(language):
    jobs = {
        part: making.plan(config(language=language, part=part, utterances=count, seed=seed))
        for seed, (part, count) in enumerate([("train", 1200), ("validation", 200), ("test", 200)])
    }
    for one, other in itertools.combinations(jobs.values(), 2):
        for name in ("text", "voice"):
            shared = {getattr(job, name) for job in one} & {getattr(job, name) for job in other}
            assert not shared
    texts = {part: [job.text for job in chosen] for part, chosen in jobs.items()}
    assert len(set(texts["test"])) == 200
    assert len(set(texts["train"])) == 1200
    words = {part: {word for text in all_ for word in text.split()} for part, all_ in texts.items()}
    assert not words["test"] - words["train"], "words are known, sentences are not"
    assert len(words["train"]) >= 120
    assert len(words["test"]) >= 100
    assert {letter for word in words["train"] for letter in word} == set(ALPHABETS[language])


@pytest.mark.parametrize("language", ALPHABETS)
def test_every_word_comes_often_enough_to_be_learnt(language):
    jobs = making.plan(config(language=language, utterances=1200))
    often = collections.Counter(word for job in jobs for word in job.text.split())
    assert often.most_common()[-1][1] >= 3


@given(st.text(), st.sampled_from(["", " ", "!", "…"]))
def test_the_part_of_a_sentence_is_its_own(sentence, mark):
    part = grammar.part_of(sentence)
    assert part in {"train", "validation", "test"}
    assert grammar.part_of(f" {sentence}{mark}") == part


def test_lines_are_all_taken_before_one_comes_again():
    lines = [f"line {number}" for number in range(40)]
    mine = [line for line in lines if grammar.part_of(line) == "train"]
    drawn = grammar.from_lines([*lines, "short"], "train", (2, 2), random.Random(1))
    rounds = [list(itertools.islice(drawn, len(mine))) for _ in range(3)]
    for each in rounds:
        assert sorted(each) == sorted(mine)
    assert rounds[0] != rounds[1]


def test_a_grammar_gives_most_of_its_sentences_before_one_comes_again():
    drawn = grammar.from_grammar("ru", "test", (3, 3), random.Random(1))
    sentences = list(itertools.islice(drawn, 150))
    different = set(sentences)
    assert len(different) < 120, "so that they do come again"
    repeated = next(n for n in range(150) if sentences[n] in sentences[:n])
    assert repeated > 0.75 * len(different)


def test_default_voices_are_there_and_sound_apart():
    chosen = [variant for part in variants.VARIANTS.values() for variant in part]
    assert len(set(chosen)) == len(chosen) == 43
    for language in ("en", "en-us", "ru", "uk", "de"):
        assert {voices.voice_file(f"{language}+{variant}") for variant in chosen}
    jobs = [speak.Job("a plain sentence", f"en+{each}", 160, 50, 0) for each in chosen]
    sounds = {sound.tobytes() for sound in speak.speak(jobs, processes=2)}
    assert len(sounds) == len(jobs)


@pytest.mark.parametrize(
    ("settings", "message", "hint"),
    [
        ({"voices": ["en+m9"]}, "no variant 'm9'", "m8"),
        ({"voices": ["eng+m1"]}, "no language 'eng'", "en"),
        ({"voices": ["m1"]}, "no language 'm1'", '"en+m1"'),
        ({"voices": ["fo"]}, "no language 'fo'", "languages: "),
        ({"sentences": "none.txt"}, "none.txt: No such file", "relative"),
        ({"sentences": "empty.txt"}, "no sentence", "a tenth"),
        ({"sentences": "latin1.txt"}, "latin1.txt: .*utf-8", "UTF-8"),
        ({"sentences": "cut.txt.gz"}, "cut.txt.gz: Compressed file ended", "UTF-8"),
        ({"sentences": "damaged.txt.gz"}, "damaged.txt.gz: Error -3", "UTF-8"),
        ({"words": [40, 50]}, "the grammar: no sentence of 40 to 50 words", "a tenth"),
    ],
)
def test_what_cannot_be_spoken_is_said_with_a_remedy(tmp_path, settings, message, hint):
    (tmp_path / "empty.txt").write_text("\n - \n")
    (tmp_path / "latin1.txt").write_bytes("é".encode("latin-1"))
    packed = gzip.compress(b"one two\n", mtime=0)
    (tmp_path / "cut.txt.gz").write_bytes(packed[:-9])
    (tmp_path / "damaged.txt.gz").write_bytes(packed[:10] + b"\xff" * 20)
    with pytest.raises(DataError, match=message) as caught:
        build_synthetic(config(tmp_path, utterances=2, **settings))
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    "settings",
    [
        {"language": "de"},
        {"words": [5, 3]},
        {"words": [0, 3]},
        {"speed": [10, 100]},
        {"pitch": [50, 120]},
        {"voices": []},
        {"voices": ["en+m1"], "num_voices": 1},
        {"part": "test", "num_voices": 5},
        {"part": "dev"},
        {"utterances": 0},
    ],
)
def test_impossible_settings_are_refused(settings):
    with pytest.raises(ValidationError):
        config(**settings)


def test_a_speaker_that_ends_early_is_an_error_that_names_the_sentence(monkeypatch, tmp_path):
    program = tmp_path / "program.py"
    program.write_text("import sys; sys.stdin.read(); sys.exit('no voice today')")
    monkeypatch.setattr(speak, "_PROGRAM", program)
    with pytest.raises(DataError, match=r"'hello', voice en\+m1: no voice today"):
        list(speak.speak([speak.Job("hello", "en+m1", 160, 50, 0)], processes=2))


def test_espeak_is_at_home_in_a_long_path(tmp_path):
    """It keeps the path of its data in 160 bytes and cuts off the rest."""
    deep = tmp_path.joinpath(*["a folder of a long name"] * 8)
    deep.mkdir(parents=True)
    shutil.copytree(espeakng_loader.get_data_path(), deep / "espeak-ng-data", symlinks=True)
    (tmp_path / "espeakng_loader.py").write_text(
        f"def get_library_path(): return {espeakng_loader.get_library_path()!r}\n"
        f"def get_data_path(): return {str(deep / 'espeak-ng-data')!r}\n"
    )
    job = {"text": "hello", "voice": "gmw/en+m1", "speed": 160, "pitch": 50, "seed": 1}
    done = subprocess.run(
        [sys.executable, "-P", speak._PROGRAM],
        input=json.dumps([job]).encode(),
        env=os.environ | {"PYTHONPATH": f"{tmp_path}"},
        capture_output=True,
        check=True,
    )
    (near,) = speak.speak([speak.Job("hello", "en+m1", 160, 50, 1)], processes=1)
    assert done.stdout[4:] == near.tobytes()


def spectrum(samples: np.ndarray, rate: int) -> tuple[np.ndarray, np.ndarray]:
    power = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
    return np.fft.rfftfreq(len(samples), 1 / rate), power


def wav(samples: np.ndarray) -> np.ndarray:
    contents, seconds = to_wav(samples.astype(np.int16), seed=3)
    read, rate = soundfile.read(io.BytesIO(contents), dtype="int16")
    assert rate == 16_000
    assert len(read) == round(seconds * rate)
    return read[1600:-1600].astype(float)


@pytest.mark.parametrize("hertz", [200, 1000, 5000, 6800])
def test_a_tone_keeps_its_frequency_and_strength(hertz):
    times = np.arange(22_050) / 22_050
    heard = wav(10_000 * np.sin(2 * np.pi * hertz * times))
    assert len(heard) == 16_000
    frequencies, power = spectrum(heard, 16_000)
    assert frequencies[power.argmax()] == pytest.approx(hertz, abs=1)
    assert np.sqrt((heard**2).mean()) == pytest.approx(10_000 / np.sqrt(2), rel=0.02)


def test_a_tone_that_16_khz_cannot_hold_is_gone():
    times = np.arange(22_050) / 22_050
    heard = wav(10_000 * np.sin(2 * np.pi * 9500 * times))[200:-200]
    assert np.sqrt((heard**2).mean()) < 2, "dither is what is left"


def test_loud_sound_is_made_to_fit_and_other_sound_is_left():
    heard = wav(np.where(np.arange(22_050) // 50 % 2, 32_767, -32_768))
    assert 32_000 < np.abs(heard).max() < 32_200
    quieter = np.where(np.arange(22_050) // 50 % 2, 16_384, -16_384)
    assert heard == pytest.approx(
        wav(quieter) * np.abs(heard).max() / np.abs(wav(quieter)).max(), abs=4
    )


def test_torch_has_its_threads_back():
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(3)
    build(utterances=1, seed=5)
    assert torch.get_num_threads() == 3
    torch.set_num_threads(before)
