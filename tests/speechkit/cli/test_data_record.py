"""`speechkit data record`, read to by a fake microphone and a fake keyboard."""

import json
import os

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from speechkit import cli
from speechkit.cli import record_sentences, terminal
from speechkit.cli.terminal import Keyboard
from speechkit.data.lock import locked
from speechkit.errors import DeviceError

TONE = (np.sin(np.arange(16_000) * 0.1) * 9_000).astype(np.int16)
BLOCKS = np.split(TONE, 20)


class FakeKeyboard(Keyboard):
    """Lines one after another; while something is recorded, a line comes after three blocks."""

    def __init__(self, lines: list[str]) -> None:
        reader, self.writer = os.pipe()
        super().__init__(reader)
        self.lines = iter(lines)
        self.asked = 0

    def line(self) -> str | None:
        line = next(self.lines, None)
        if isinstance(line, BaseException):
            raise line
        return line

    def line_typed(self) -> str | None:
        self.asked += 1
        return None if self.asked % 4 else next(self.lines, None)


@pytest.fixture
def say(tmp_path, monkeypatch, sounddevice):
    """Call the command with lines that are typed: (exit code, what it tells)."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sentences.txt").write_text("раз  два\n\nthree\nfour\n")
    sounddevice.says = BLOCKS

    def say(*lines: str, options=(), sentences="sentences.txt") -> tuple[int, str]:
        monkeypatch.setattr(record_sentences, "Keyboard", lambda: FakeKeyboard(list(lines)))
        command = ["data", "record", "mine", "--sentences", sentences, *options]
        result = CliRunner().invoke(cli.app, command)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.stdout == ""
        return result.exit_code, result.stderr

    return say


def rows(folder) -> list[dict]:
    return [json.loads(line) for line in (folder / "mine/metadata.jsonl").read_text().splitlines()]


def test_keeps_repeats_plays_skips_and_goes_on_later(say, tmp_path, sounddevice):
    # Enter, Enter (stop), Enter (keep); three is skipped; four is played and read again.
    code, told = say("", "", "", "s", "", "", "p", "r", "", "", options=["--speaker", "anna"])
    assert code == 0
    assert "3 sentences, 3 to record, with Desk mic" in told
    assert [row["text"] for row in rows(tmp_path)] == ["раз два", "four"]
    assert rows(tmp_path)[0] == {
        "file_name": "wavs/0001.wav",
        "text": "раз два",
        "duration_seconds": 1.0,
        "speaker": "anna",
    }
    samples, rate = soundfile.read(tmp_path / "mine/wavs/0001.wav", dtype="int16")
    assert rate == 16_000
    assert np.array_equal(samples, TONE)
    assert len(sounddevice.played) == 1
    assert "2 recorded now; mine holds 2, 0.0 minutes" in told
    code, told = say("", "", "", options=["--speaker", "anna"])
    assert "3 sentences, 1 to record" in told
    assert [row["text"] for row in rows(tmp_path)] == ["раз два", "four", "three"]
    code, told = say(options=["--speaker", "anna"])
    assert "3 sentences, 0 to record" in told


@pytest.mark.parametrize(
    "lines",
    [["q"], [], ["", "q"], ["", "", "q"], [KeyboardInterrupt()], ["", "", KeyboardInterrupt()]],
)
def test_quits_everywhere_and_keeps_what_was_kept(say, tmp_path, lines):
    code, told = say("", "", "", *lines)
    assert code == 0
    assert told.endswith("1 recorded now; mine holds 1, 0.0 minutes\n")
    assert len(rows(tmp_path)) == len(list((tmp_path / "mine/wavs").iterdir())) == 1


@pytest.mark.parametrize(
    ("blocks", "told"),
    [
        (BLOCKS, ""),
        ([block // 200 for block in BLOCKS], "almost silent, at most -57 dB"),
        ([block * 0 for block in BLOCKS], "almost silent, at most digital silence"),
        ([np.full(800, 32_767)] * 20, "clipped: it was too loud"),
    ],
)
def test_warns_of_what_cannot_be_used(say, sounddevice, blocks, told):
    sounddevice.says = blocks
    _, error = say("", "", "q")
    assert ("warning: " + told in error) if told else ("warning" not in error)


def test_stops_at_the_limit(say, tmp_path, sounddevice):
    sounddevice.says = np.split(TONE, 4)
    _, told = say("", "", "q", options=["--seconds-limit", "0.5"])
    assert "warning: stopped after 0.5 s: --seconds-limit allows more" in told
    assert rows(tmp_path)[0]["duration_seconds"] == 0.5


def test_what_cannot_be_recorded_is_told_before_a_folder_is_made(say, tmp_path, sounddevice):
    (tmp_path / "empty.txt").write_text("\n \n")
    assert say(sentences="empty.txt")[1].startswith("error: empty.txt: holds no sentence")
    assert say(sentences="none.txt")[1].startswith("error: none.txt: cannot be read")
    sounddevice.devices = []
    code, told = say()
    assert code == 2
    assert told.startswith("error: there is no microphone")
    assert not (tmp_path / "mine").exists()


@pytest.mark.parametrize("name", ["", " ", "a\udcff", "a\x1b[31m"])
def test_a_speaker_without_a_name(say, tmp_path, name):
    code, told = say(options=["--speaker", name])
    assert code == 2
    assert f"error: --speaker {name!r} is no name" in told
    assert not (tmp_path / "mine").exists()


def test_two_at_once_do_not_record_into_one_folder(say, tmp_path):
    with locked(tmp_path / "mine", name="it", busy="", unwritable=""):
        code, told = say("q")
    assert code == 2
    assert f"the folder of recordings mine is in use by process {os.getpid()}" in told


def test_without_an_input_nothing_can_be_typed(monkeypatch):
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(DeviceError, match="standard input is closed"):
        Keyboard()


def test_the_keyboard_gives_whole_lines_and_never_waits_for_one():
    reader, writer = os.pipe()
    keyboard = Keyboard(reader)
    assert keyboard.line_typed() is None
    os.write(writer, b"a")
    assert keyboard.line_typed() is None
    os.write(writer, b"b\n\n q \nlast")
    assert [keyboard.line_typed(), keyboard.line(), keyboard.line()] == ["ab", "", "q"]
    os.close(writer)
    assert [keyboard.line(), keyboard.line_typed(), keyboard.line()] == [None] * 3


def test_the_keyboard_hides_what_is_typed_into_the_meter_and_shows_it_again():
    import pty
    import termios

    master, slave = pty.openpty()
    keyboard = Keyboard(slave)

    def shows() -> bool:
        return bool(termios.tcgetattr(slave)[3] & termios.ECHO)

    def fail() -> None:
        with keyboard.unseen():
            assert not shows()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert shows()
    os.write(master, b"\x04")  # Ctrl-D
    assert keyboard.line() == "q"


@pytest.mark.parametrize(("decibels", "bar"), [(-60.0, 0), (-30.0, 15), (0.0, 30), (-6.0, 27)])
def test_the_meter_is_as_long_as_it_is_loud(decibels, bar):
    line = terminal.meter(2.0, decibels).plain
    assert line.count("█") == bar
    assert line.count("█") + line.count("░") == 30
    assert len(line) < 80
