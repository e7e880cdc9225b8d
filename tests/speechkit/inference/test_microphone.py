"""Recording, and what is said where it cannot be done."""

import sys

import numpy as np
import pytest

from speechkit.errors import DeviceError
from speechkit.inference import microphone
from speechkit.inference.microphone import Microphone, Recording, peak_decibels


def never() -> bool:
    return False


def heard_nothing(seconds, samples) -> None:
    pass


def recorded(found: Microphone, *, limit=1.0, stopped=never, heard=heard_nothing) -> Recording:
    return found.record(seconds_limit=limit, stopped=stopped, heard=heard)


def test_a_missing_package_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(DeviceError, match="needs the package sounddevice") as caught:
        Microphone(None, 16_000)
    assert caught.value.hint == 'pip install "speechkit[mic]"'


def test_a_missing_library_says_how_to_install_it(monkeypatch, tmp_path):
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    with pytest.raises(DeviceError, match=r"library PortAudio, .*: PortAudio libr") as caught:
        Microphone(None, 16_000)
    assert "apt install libportaudio2" in caught.value.hint


def test_no_device_at_all(sounddevice):
    sounddevice.devices = sounddevice.devices[:1]
    for asked in (None, "usb", "7"):
        with pytest.raises(DeviceError, match="there is no microphone"):
            Microphone(asked, 16_000)


@pytest.mark.parametrize("asked", ["usb", "7", "0", "9" * 30])
def test_another_device_than_there_is_names_those(sounddevice, asked):
    with pytest.raises(DeviceError, match=f"--device {asked}: no such device") as caught:
        Microphone(asked, 16_000)
    assert caught.value.hint.endswith("1 Desk mic")


@pytest.mark.parametrize("asked", [None, "desk", "1"])
def test_records_until_the_limit_and_tells_the_level(sounddevice, asked):
    sounddevice.says = [np.full(8_000, value) for value in (1, 2, 3)]
    told = []
    found = Microphone(asked, 16_000)
    recording = recorded(found, heard=lambda *given: told.append(given))
    assert found.name == "Desk mic"
    assert recording.seconds == 1.0
    assert recording.samples.tolist() == [1] * 8_000 + [2] * 8_000
    assert [seconds for seconds, _ in told] == [0.5, 1.0]
    assert told[1][1].tolist() == [2] * 8_000
    assert not recording.lost


def test_stops_when_asked_and_keeps_what_has_come(sounddevice):
    sounddevice.says = [np.full(800, value) for value in (1, 2, 3)]
    answers = iter([False, True])
    recording = recorded(Microphone(None, 16_000), stopped=lambda: next(answers))
    assert recording.samples.tolist() == [1] * 800 + [2] * 800 + [3] * 800


def test_another_rate_than_the_device_has_is_made(sounddevice):
    sounddevice.rates = {48_000}
    sine = np.sin(np.arange(48_000) * 2 * np.pi * 440 / 48_000)
    sounddevice.says = [sine * 16_000]
    recording = recorded(Microphone(None, 16_000))
    assert sounddevice.opened[0]["samplerate"] == 48_000
    assert (recording.sample_rate, len(recording.samples)) == (16_000, 16_000)
    crossings = np.diff(np.sign(recording.samples[1000:-1000].astype(int)) >= 0).sum()
    assert crossings == pytest.approx(2 * 440 * 14_000 / 16_000, abs=2)


def test_a_device_that_gives_nothing_or_does_not_open(sounddevice, monkeypatch):
    monkeypatch.setattr(microphone, "_PATIENCE_SECONDS", 0.01)
    found = Microphone(None, 16_000)
    with pytest.raises(DeviceError, match="Desk mic has given no sound"):
        recorded(found)
    sounddevice.rates = set()
    with pytest.raises(DeviceError, match="Desk mic cannot be opened: Invalid sample rate"):
        recorded(found)


def test_what_is_wrong_with_a_recording(sounddevice):
    tone = np.sin(np.arange(1_600) * 0.3)
    fine, faint, loud = (
        Recording((tone * peak).astype(np.int16), 16_000) for peak in (3_000, 100, 32_767.99)
    )
    loud.samples[10:20] = -32_768
    assert [(each.is_silent, each.is_clipped) for each in (fine, faint, loud)] == [
        (False, False),
        (True, False),
        (False, True),
    ]
    assert Recording(np.zeros(10, np.int16), 16_000).is_silent
    assert peak_decibels(np.array([16_384], np.int16)) == pytest.approx(-6.02, abs=0.01)
    assert peak_decibels(np.array([-32_768], np.int16)) == 0
    sounddevice.says, sounddevice.overflows = [np.ones(16_000)], True
    assert recorded(Microphone(None, 16_000)).lost


def test_plays(sounddevice, monkeypatch):
    recording = Recording(np.ones(10, np.int16), 16_000)
    found = Microphone(None, 16_000)
    found.play(recording)
    assert sounddevice.played == [(recording.samples, 16_000)]

    def fail(*_, **__) -> None:
        raise sounddevice.PortAudioError("Error querying device -1")

    monkeypatch.setattr(sounddevice, "play", fail)
    with pytest.raises(DeviceError, match="cannot be played: Error querying device -1"):
        found.play(recording)
