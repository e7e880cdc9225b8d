"""`speechkit mic`, spoken to by a fake microphone."""

import sys

import numpy as np
import pytest
from typer.testing import CliRunner

from speechkit import cli
from speechkit.cli import listen
from speechkit.errors import DataError
from speechkit.inference import microphone
from speechkit.interfaces import Hypothesis


class FakeTranscriber:
    """Says how many samples it heard, and at which rate."""

    class recogniser:  # noqa: N801 - an attribute of the real one
        sample_rate = 8_000

    def transcribe(self, samples, sample_rate, *, name) -> Hypothesis:
        if len(samples) < 1_000:
            raise DataError(f"{name}: too short")
        assert samples.dtype == np.float32
        return Hypothesis(f"{len(samples)} at {sample_rate}, up to {abs(samples).max():.2f}", 0.0)


class FakeKeyboard:
    def __init__(self, lines, while_recording=None) -> None:
        self.lines = iter(lines)
        self.while_recording = while_recording

    def line(self):
        line = next(self.lines, None)
        if isinstance(line, BaseException):
            raise line
        return line

    def line_typed(self):
        return self.while_recording

    def unseen(self):
        from contextlib import nullcontext

        return nullcontext()


@pytest.fixture
def call(monkeypatch, sounddevice):
    def call(*lines, options=(), while_recording=None):
        monkeypatch.setattr(listen, "open_transcriber", lambda *_, **__: FakeTranscriber())
        monkeypatch.setattr(listen, "Keyboard", lambda: FakeKeyboard(lines, while_recording))
        result = CliRunner().invoke(cli.app, ["mic", "--model", "runs/x", *options])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.stdout, result.stderr

    sounddevice.rates = {8_000, 16_000}
    sounddevice.says = [np.full(8_000, 16_384)] * 3
    return call


def test_texts_go_to_stdout_until_it_ends(call):
    said = "16000 at 8000, up to 0.50\n"
    for lines in (["", "q"], [""], ["", KeyboardInterrupt()]):
        code, out, error = call(*lines, options=["--seconds", "2"])
        assert (code, out) == (0, 2 * said)
        assert error.startswith("listening with Desk mic")


@pytest.mark.parametrize(("typed", "rounds"), [("", 2), ("q", 1), ("Quit", 1)])
def test_a_line_stops_the_recording_and_q_ends(call, typed, rounds):
    code, out, _ = call("", "q", while_recording=typed)
    assert (code, out) == (0, rounds * "24000 at 8000, up to 0.50\n")


def test_what_is_too_short_or_silent_is_told(call, sounddevice, monkeypatch):
    monkeypatch.setattr(microphone, "_PATIENCE_SECONDS", 0.01)
    sounddevice.says = [np.full(500, 1)] * 2
    code, out, error = call("q", options=["--seconds", "0.5"])
    assert (code, out) == (2, "")
    assert "given no sound" in error
    sounddevice.says = [np.full(8_000, 0)]
    code, out, error = call("q", options=["--seconds", "1"])
    assert code == 0
    assert "warning: almost silent, at most digital silence" in error


def test_a_missing_package_is_told_before_a_model_is_loaded(call, monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    code, out, error = call()
    assert (code, out) == (2, "")
    assert error.startswith("error: recording needs the package sounddevice")
