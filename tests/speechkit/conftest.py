"""A microphone that says what a test tells it to."""

import sys
import types

import numpy as np
import pytest


class FakeSounddevice(types.ModuleType):
    """What speechkit uses of the package sounddevice.

    devices  as `query_devices` lists them
    rates    that the microphone records at
    says     blocks of samples, given one by one as they are asked for; then it is quiet
    """

    class PortAudioError(Exception):
        pass

    def __init__(self) -> None:
        super().__init__("sounddevice")
        self.devices = [
            {"index": 0, "name": "Loud", "max_input_channels": 0, "default_samplerate": 48_000.0},
            {"index": 1, "name": "Desk mic", "max_input_channels": 1, "default_samplerate": 48e3},
        ]
        self.rates = {16_000, 48_000}
        self.says: list[np.ndarray] = []
        self.overflows = False
        self.played: list[tuple[np.ndarray, int]] = []
        self.opened: list[dict] = []
        fake = self

        class InputStream:
            def __init__(self, *, callback, **given) -> None:
                if given["samplerate"] not in fake.rates:
                    raise fake.PortAudioError("Invalid sample rate [PaErrorCode -9997]")
                fake.opened.append(given)
                self.callback = callback

            def __enter__(self):
                status = types.SimpleNamespace(input_overflow=fake.overflows)
                for block in fake.says:
                    samples = np.asarray(block, np.int16)[:, None]
                    self.callback(samples, len(samples), None, status)

            def __exit__(self, *_) -> None:
                pass

        self.InputStream = InputStream

    def query_devices(self, device=None, kind=None):
        if kind is None:
            return self.devices
        inputs = [each for each in self.devices if each["max_input_channels"]]
        if device is None and not inputs:
            raise self.PortAudioError("Error querying device -1")
        if isinstance(device, str):
            inputs = [each for each in inputs if device.lower() in each["name"].lower()]
            if len(inputs) != 1:
                raise ValueError(f"No input device matching {device!r}")
        elif device is not None:
            device.to_bytes(4)  # an OverflowError, as of the library's int
            inputs = [each for each in inputs if each["index"] == device]
            if not inputs:
                raise self.PortAudioError(f"Error querying device {device}")
        return inputs[0]

    def check_input_settings(self, *, samplerate, **given) -> None:
        if samplerate not in self.rates:
            raise self.PortAudioError("Invalid sample rate [PaErrorCode -9997]")

    def play(self, samples, rate, *, blocking) -> None:
        assert blocking
        self.played.append((samples, rate))


@pytest.fixture
def sounddevice(monkeypatch):
    fake = FakeSounddevice()
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    return fake
