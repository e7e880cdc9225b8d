import json
import logging
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from speechkit import DataError
from speechkit.cli import app
from speechkit_corpora import VoxForgeConfig, build_voxforge
from speechkit_corpora.voxforge import decode, parse_prompt, speaker_of

ANNA = "Anna-20110507-jum"
TEXTS = {"ru_0001": "Над этой машиной, - он ткнул.", "ru_0002": "В междузвёздном пространстве."}


def session(
    root: Path,
    name: str,
    *,
    texts: dict[str, str] = TEXTS,
    recordings: list[str] | None = None,
    kind: str = "wav",
    files: tuple[str, ...] = ("PROMPTS", "prompts-original"),
    encoding: str = "utf-8",
) -> Path:
    """A session under `root`, each recording 0.1 s."""
    lines = {
        "PROMPTS": [f"{name}/mfc/{each} {text.upper()}" for each, text in texts.items()],
        "prompts-original": [f"{each} {text} " for each, text in texts.items()],
    }
    (root / name / "etc").mkdir(parents=True)
    for file in files:
        content = "\n".join(lines[file]) + "\n"
        (root / name / "etc" / file).write_bytes(content.encode(encoding))
    (root / name / "etc" / "README").write_text("User Name:someone\n\nGender: Мужской\n")
    (root / name / kind).mkdir()
    for each in texts if recordings is None else recordings:
        soundfile.write(root / name / kind / f"{each}.{kind}", np.zeros(1600), 16000)
    return root / name


def build(path, **settings):
    written = json.dumps({"path": f"{path}", **settings})
    return build_voxforge(VoxForgeConfig.model_validate_json(written))


def told(caplog) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]


def test_rows_are_by_session_with_the_columns_of_speech(tmp_path, caplog):
    session(tmp_path, "anonymous-20110505-ibv", kind="flac", files=("PROMPTS",))
    session(tmp_path, ANNA)
    (tmp_path / "GPL_license.txt").touch()
    corpus = build(tmp_path)
    assert corpus.column_names == ["id", "audio", "text", "speaker"]
    assert corpus[0] == {
        "id": f"{ANNA}/ru_0001",
        "audio": {"bytes": None, "path": f"{tmp_path}/{ANNA}/wav/ru_0001.wav"},
        "text": "Над этой машиной, - он ткнул.",
        "speaker": "anna",
    }
    assert corpus[3] == {
        "id": "anonymous-20110505-ibv/ru_0002",
        "audio": {
            "bytes": None,
            "path": f"{tmp_path}/anonymous-20110505-ibv/flac/ru_0002.flac",
        },
        "text": "В МЕЖДУЗВЁЗДНОМ ПРОСТРАНСТВЕ.",
        "speaker": "anonymous-20110505-ibv",
    }
    assert told(caplog) == []


@pytest.mark.parametrize(
    ("name", "speaker"),
    [
        ("natali-20110507-jum", "natali"),
        ("MaratNazarov-20090917-ygg", "maratnazarov"),
        ("1-20121125-pgp", "1"),
        ("jean-luc-20100101-abc", "jean-luc"),
        ("ariyan-20100909a_b", "ariyan"),
        ("urp", "urp"),
        ("anonymous-20110505-ibv", "anonymous-20110505-ibv"),
        ("Anonymous-20110505-Ibv", "Anonymous-20110505-Ibv"),
        ("anonymouse-20110505-ibv", "anonymouse"),
    ],
)
def test_a_speaker_is_the_name_before_the_date(name, speaker):
    assert speaker_of(name) == speaker


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("ru_0024 текст", ("ru_0024", "текст")),
        ("  ru_0024\tтекст  и ещё \r", ("ru_0024", "текст  и ещё")),
        ("anna-20110507-jum/mfc/ru_0024 ТЕКСТ", ("ru_0024", "ТЕКСТ")),
        ("*/mfc/a0405 IT SEEMED", ("a0405", "IT SEEMED")),
        ("*/a0405.wav IT SEEMED", ("a0405", "IT SEEMED")),
        ("../../Audio/MFCC/x-20080101-abc/mfc/a0405.mfc IT", ("a0405", "IT")),
        ("Anna Maria-20110507-jum/mfc/ru_0024 ТЕКСТ", ("ru_0024", "ТЕКСТ")),
        ("mar_ru_0024 12/30 и/или", ("mar_ru_0024", "12/30 и/или")),
        ("de5-001 mit Strich", ("de5-001", "mit Strich")),
        ("ru_0024", ("ru_0024", "")),
        ("anna-20110507-jum/mfc/ru_0024", ("ru_0024", "")),
        ("anna-20110507-jum/mfc/ ", ("", "")),
        ("/", ("", "")),
    ],
)
def test_prompt_lines(line, expected):
    assert parse_prompt(line) == expected


@given(
    st.from_regex(r"[A-Za-z0-9_-]+", fullmatch=True),
    st.text(st.characters(categories=["L", "N", "P", "Zs"]), min_size=1)
    .map(str.strip)
    .filter(lambda text: text and "/mfc/" not in text),
    st.sampled_from(["", "*/mfc/", "*/", "anna-20110507-jum/mfc/", "a b-20110507-jum/mfc/"]),
)
def test_every_form_of_a_line_gives_its_name_and_text(name, text, before):
    assert parse_prompt(f"{before}{name} {text}") == (name, text)


@given(st.text(st.characters(blacklist_categories=["Cs"])))
def test_any_line_can_be_parsed_and_utf8_is_read_as_it_is(text):
    content, encoding = decode(text.encode())
    assert (content, encoding) == (text.removeprefix("\ufeff"), "UTF-8")
    for line in filter(str.strip, content.splitlines()):
        parse_prompt(line)


@given(st.binary())
def test_any_bytes_can_be_decoded(content):
    assert decode(content)[1] in {"UTF-8", "cp1251", "koi8-r", "cp1252"}


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("anna-20110507-jum/mfc/ru_0001 ПЁС ЕЩЁ СПИТ", "cp1251"),
        ("ru_0001 Ещё «три» №5\r\nru_0002 да", "cp1251"),
        ("anna-20110507-jum/mfc/ru_0001 ПЁС ЕЩЁ СПИТ", "koi8-r"),
        ("ru_0001 Ещё три\r\nru_0002 да", "koi8-r"),
        ("de_1 Fünf Äpfel für die Größe", "cp1252"),
        ("fr_1 L’été, où est-ce ?", "cp1252"),
    ],
)
def test_older_encodings_are_told_apart(text, encoding):
    assert decode(text.encode(encoding)) == (text, encoding)


def test_a_file_in_an_older_encoding_is_read_and_told(tmp_path, caplog):
    session(tmp_path, ANNA, encoding="cp1251")
    session(tmp_path, "boris-20110507-aaa", encoding="utf-8-sig")
    assert build(tmp_path)["text"][:] == [*TEXTS.values()] * 2
    assert told(caplog) == [
        f"{tmp_path}: prompts not in UTF-8, read as cp1251: 1 ({ANNA}/etc/prompts-original)"
    ]


def test_a_prompt_with_a_lost_letter_is_left_out(tmp_path, caplog):
    folder = session(tmp_path, ANNA)
    prompts = folder / "etc/prompts-original"
    prompts.write_bytes(prompts.read_bytes().replace("ё".encode(), b"\xd1"))
    assert build(tmp_path)["id"][:] == [f"{ANNA}/ru_0001"]
    assert told(caplog) == [f"{tmp_path}: left out prompts with lost letters: 1 ({ANNA}/ru_0002)"]


def test_a_link_to_nothing_is_no_recording(tmp_path, caplog):
    wav = session(tmp_path, ANNA) / "wav"
    (wav / "ru_0002.wav").unlink()
    (wav / "ru_0002.wav").symlink_to(tmp_path / "gone.wav")
    assert build(tmp_path)["id"][:] == [f"{ANNA}/ru_0001"]
    assert told(caplog) == [f"{tmp_path}: left out prompts without a recording: 1 ({ANNA}/ru_0002)"]


def test_prompts_that_one_file_lacks_are_in_the_other(tmp_path):
    folder = session(tmp_path, ANNA)
    (folder / "etc/prompts-original").write_text("ru_0001 Над этой машиной\n")
    assert build(tmp_path)["text"][:] == ["Над этой машиной", TEXTS["ru_0002"].upper()]
    assert build(tmp_path, prompts="PROMPTS")["text"][0] == TEXTS["ru_0001"].upper()
    assert len(build(tmp_path, prompts="prompts-original")) == 1


def test_all_that_is_broken_is_left_out_in_one_warning(tmp_path, caplog):
    session(tmp_path, ANNA)
    session(tmp_path, "noprompts-20110507-aaa", files=())
    session(tmp_path, "noaudio-20110507-aaa", recordings=[])
    odd = session(
        tmp_path,
        "odd-20110507-aaa",
        texts={
            "ru_0001": "есть",
            "ru_0002": "",
            "ru_0003": "без записи",
            "ru_0004": "пусто",
            "ru_0005": "одно",
        },
        recordings=["ru_0001", "ru_0002", "ru_0004", "ru_0005", "ru_0006"],
        files=("prompts-original",),
    )
    (odd / "wav/ru_0004.wav").write_bytes(b"")
    (odd / "wav/._ru_0001.wav").write_bytes(b"left by a Mac")
    with (odd / "etc/prompts-original").open("a") as file:
        file.write("\nru_0005 другое\nru_0001 есть\n")
    (tmp_path / "lost+found").mkdir()
    (tmp_path / "packed-20110507-aaa.tgz").touch()
    (tmp_path / f"{ANNA}.tgz").touch()  # and unpacked
    corpus = build(tmp_path)
    assert corpus["id"][:] == [f"{ANNA}/ru_0001", f"{ANNA}/ru_0002", "odd-20110507-aaa/ru_0001"]
    (message,) = told(caplog)
    where, _, reasons = message.partition(": left out ")
    assert where == f"{tmp_path}"
    assert dict(each.split(": ") for each in reasons.split("; ")) == {
        "sessions without recordings in wav/ or flac/": "2 (lost+found, noaudio-20110507-aaa)",
        "sessions without prompts in etc/PROMPTS or etc/prompts-original": (
            "1 (noprompts-20110507-aaa)"
        ),
        "prompts without a recording": "1 (odd-20110507-aaa/ru_0003)",
        "recordings without a prompt": "2 (odd-20110507-aaa/ru_0002, odd-20110507-aaa/ru_0006)",
        "empty recordings": "1 (odd-20110507-aaa/ru_0004)",
        "recordings with two prompts that differ": "1 (odd-20110507-aaa/ru_0005)",
        "sessions that are still packed": "1 (packed-20110507-aaa.tgz)",
    }


def test_if_nothing_is_left_an_error_says_what_is_expected(tmp_path):
    session(tmp_path, ANNA, files=())
    with pytest.raises(DataError, match="none of 1 sessions can be used") as e:
        build(tmp_path)
    assert "etc/PROMPTS" in e.value.hint


def test_only_what_is_selected_is_read_and_told(tmp_path, caplog):
    for name in (ANNA, "anna-20120101-xyz", "boris-20110507-aaa", "anonymous-20110507-bbb"):
        session(tmp_path, name)
    session(tmp_path, "broken-20110507-aaa", files=())
    assert set(build(tmp_path, speakers=["anna"])["speaker"][:]) == {"anna"}
    assert len(build(tmp_path, speakers=["Anna", "anon*"])) == 6
    assert len(build(tmp_path, sessions=["*-2011*"], speakers=["a*"])) == 4
    assert len(build(tmp_path, sessions=[ANNA], limit=1)) == 1
    assert told(caplog) == []
    with pytest.raises(DataError, match="speakers: 'carl' fits none; there are anna, anonym"):
        build(tmp_path, speakers=["anna", "carl"])
    with pytest.raises(DataError, match="sessions: 'boris' fits none"):
        build(tmp_path, sessions=["boris"])


def test_shares_have_no_speaker_in_common(tmp_path):
    for number in range(12):
        for date in ("20110507", "20120101"):
            session(tmp_path, f"speaker{number}-{date}-aaa", texts={"ru_1": "да"})
    parts = [build(tmp_path, share=each) for each in ([0, 0.5], [0.5, 1])]
    speakers = [set(each["speaker"][:]) for each in parts]
    assert all(speakers)
    assert not speakers[0] & speakers[1]
    assert sum(map(len, parts)) == 24


def test_where_there_are_both_the_wav_file_is_taken(tmp_path):
    folder = session(tmp_path, ANNA, texts={"ru_1": "да", "ru_2": "нет", "ru_3": "да"})
    (folder / "flac").mkdir()
    for name in ("ru_1", "ru_3"):
        soundfile.write(folder / f"flac/{name}.flac", np.zeros(1600), 16000)
    (folder / "wav/ru_3.wav").unlink()
    (folder / "wav/ru_2.wav").rename(folder / "wav/ru_2.WAV")
    audio = build(tmp_path)["audio"][:]
    assert [Path(each["path"]).name for each in audio] == ["ru_1.wav", "ru_2.WAV", "ru_3.flac"]


def test_wrong_levels_are_told(tmp_path):
    root = tmp_path / "voxforge" / "ru"
    session(root, ANNA)
    with pytest.raises(DataError, match="no sessions in it; it holds ru") as e:
        build(tmp_path / "voxforge")
    assert e.value.hint == f"is {root} the one meant?"
    with pytest.raises(DataError, match="one session, not a folder of them") as e:
        build(root / ANNA)
    assert f"give {root}; " in e.value.hint
    with pytest.raises(DataError, match=r"no sessions in it; it holds ru_0001\.wav"):
        build(root / ANNA / "wav")
    with pytest.raises(DataError, match="no such folder"):
        build(root / "de")


def test_packed_sessions_alone_are_told(tmp_path):
    for name in "abcd":
        (tmp_path / f"{name}-20110507-aaa.tgz").touch()
    with pytest.raises(
        DataError, match=r"4 sessions are packed, none is unpacked \(a-.*, \.\.\.\)"
    ) as e:
        build(tmp_path)
    assert "tar xf" in e.value.hint


def test_a_recipe_can_use_it(tmp_path):
    recipe = tmp_path / "small.toml"
    recipe.write_text(
        """
[recipe]
name = "small"
language = "ru"
[corpus.train]
use = "voxforge"
path = "voxforge/ru"
share = [0.0, 0.9]
[corpus.validation]
use = "voxforge"
path = "voxforge/ru"
share = [0.9, 1.0]
prompts = "prompts-original"
[text]
alphabet = "абвгдеёжзийклмнопрстуфхцчшщъыьэюя"
[features]
use = "mfcc"
[model]
use = "bilstm"
[decoder]
use = "greedy"
"""
    )
    result = CliRunner().invoke(app, ["recipe", "check", f"{recipe}"])
    assert result.exit_code == 0, result.output
    assert "OK: 2 corpora" in result.output


def test_a_name_that_is_not_utf8_is_told(tmp_path):
    session(tmp_path, ANNA)
    (tmp_path / ANNA).rename(tmp_path / "Ann\udce9-20110507-jum")
    with pytest.raises(DataError, match=r"'ann\\udce9': a name .* not UTF-8"):
        build(tmp_path)
