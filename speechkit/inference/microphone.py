"""Recording from a microphone, and playing back.

`sounddevice` does it, an optional package, which needs the library PortAudio: both are looked for
when something is recorded, and what is missing is told with its remedy.
"""

import queue
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from math import log10
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speechkit.data.audio import from_int16, resample, to_int16
from speechkit.data.sound import CLIPPED, FULL_SCALE, SILENT_DECIBELS
from speechkit.errors import DeviceError

_BLOCKS = 20  # a second: how often the level is told, and whether to stop is asked
_PATIENCE_SECONDS = 5.0  # without a sound from the device

_INSTALL = 'pip install "speechkit[mic]"'
_PORTAUDIO = (
    "install it: `apt install libportaudio2` on Debian and Ubuntu, `dnf install portaudio` on "
    "Fedora, `pacman -S portaudio` on Arch"
)


@dataclass(frozen=True)
class Recording:
    """What was heard.

    samples  (N,) 16 bits, one channel
    lost     the computer was too slow at times, and samples are missing
    """

    samples: NDArray[np.int16]
    sample_rate: int
    lost: bool = False

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return len(self.samples) / self.sample_rate

    @property
    def peak_decibels(self) -> float:
        """Its loudest sample: 0 is full scale, -inf digital silence."""
        return peak_decibels(self.samples)

    @property
    def is_clipped(self) -> bool:
        """Whether it was louder than can be recorded."""
        return int((np.abs(self.samples.astype(np.int32)) >= FULL_SCALE).sum()) >= CLIPPED

    @property
    def is_silent(self) -> bool:
        """Whether it is too quiet for speech."""
        return self.peak_decibels < SILENT_DECIBELS


def peak_decibels(samples: NDArray[np.int16]) -> float:
    """The loudest of (N,) samples: 0 is full scale, -inf digital silence, or no sample."""
    peak = int(np.abs(samples.astype(np.int32)).max(initial=0))
    return 20 * log10(peak / 32768) if peak else -np.inf


class Microphone:
    """A device that records.

    Args:
        device: its number, or a part of its name; None: the system's usual one.
        sample_rate: hertz of what `record` gives, whatever rates the device has.

    Raises:
        DeviceError: the package, the library or the device is missing.
    """

    def __init__(self, device: str | None, sample_rate: int) -> None:
        self.sample_rate = sample_rate
        self._sounddevice = _sounddevice()
        self._errors = (self._sounddevice.PortAudioError, ValueError, OverflowError)
        found = self._found(device)
        self.name = str(found["name"])
        self._index = int(found["index"])
        given = {"device": self._index, "channels": 1, "dtype": "int16"}
        try:
            self._sounddevice.check_input_settings(samplerate=sample_rate, **given)
            self._own_rate = sample_rate
        except self._errors:  # many record at their own rate alone
            self._own_rate = round(found["default_samplerate"])

    def _found(self, device: str | None) -> Any:  # noqa: ANN401 - sounddevice's dictionary
        asked = int(device) if device and device.isdecimal() else device
        try:
            return self._sounddevice.query_devices(asked, "input")
        except self._errors as error:
            there = [
                f"{place} {each['name']}"
                for place, each in enumerate(self._sounddevice.query_devices())
                if each["max_input_channels"] > 0
            ]
            if not there:
                raise DeviceError(
                    "there is no microphone: PortAudio finds no device that records",
                    hint="plug one in, or allow its use; a container and a remote machine have "
                    "none of their own",
                ) from None
            why = str(error).splitlines()[0]
            which = "the usual microphone" if device is None else f"--device {device}"
            raise DeviceError(
                f"{which}: no such device, or not a single one ({why})",
                hint=f"those that record, by number or a part of the name: {', '.join(there)}",
            ) from None

    def record(
        self,
        *,
        seconds_limit: float,
        stopped: Callable[[], bool],
        heard: Callable[[float, NDArray[np.int16]], None],
    ) -> Recording:
        """Record until `stopped` says so, or the limit is reached.

        Args:
            seconds_limit: record no longer than this.
            stopped: asked many times a second.
            heard: called as often with the seconds recorded and the latest samples, for a meter.

        Raises:
            DeviceError: the device cannot be opened, or gives no sound.
        """
        blocks: queue.SimpleQueue[NDArray[np.int16]] = queue.SimpleQueue()
        kept: list[NDArray[np.int16]] = []
        lost = False

        def take(samples: NDArray[np.int16], frames: int, time: object, status: Any) -> None:  # noqa: ANN401, ARG001 - sounddevice calls it so
            nonlocal lost
            lost |= bool(status.input_overflow)
            blocks.put(samples[:, 0].copy())

        limit, count = round(seconds_limit * self._own_rate), 0
        try:
            with self._sounddevice.InputStream(
                device=self._index,
                channels=1,
                dtype="int16",
                samplerate=self._own_rate,
                blocksize=self._own_rate // _BLOCKS,
                callback=take,
            ):
                while count < limit and not stopped():
                    kept.append(blocks.get(timeout=_PATIENCE_SECONDS))
                    count += len(kept[-1])
                    heard(count / self._own_rate, kept[-1])
        except self._errors as error:
            raise DeviceError(
                f"the microphone {self.name} cannot be opened: {error}",
                hint="does another program use it? `--device` names another one",
            ) from None
        except queue.Empty:
            raise DeviceError(
                f"the microphone {self.name} has given no sound for {_PATIENCE_SECONDS:g} s",
                hint="was it unplugged? `--device` names another one",
            ) from None
        while not blocks.empty():
            kept.append(blocks.get())
        samples = np.concatenate(kept)[:limit] if kept else np.zeros(0, np.int16)
        return Recording(self._at_rate(samples), self.sample_rate, lost)

    def _at_rate(self, samples: NDArray[np.int16]) -> NDArray[np.int16]:
        if self._own_rate == self.sample_rate or not len(samples):
            return samples
        return to_int16(resample(from_int16(samples), self._own_rate, self.sample_rate))

    def play(self, recording: Recording) -> None:
        """Play `recording` on the system's usual loudspeaker, to its end.

        Raises:
            DeviceError: it cannot be played.
        """
        try:
            self._sounddevice.play(recording.samples, recording.sample_rate, blocking=True)
        except self._errors as error:
            raise DeviceError(f"cannot be played: {error}") from None


def _sounddevice() -> Any:  # noqa: ANN401 - a module without types
    try:
        return import_module("sounddevice")
    except ImportError as error:
        raise DeviceError(
            f"recording needs the package sounddevice, which is not there: {error}", hint=_INSTALL
        ) from None
    except OSError as error:  # what it raises where the library is missing
        raise DeviceError(
            "recording needs the library PortAudio, which the package sounddevice does not find: "
            f"{error}",
            hint=_PORTAUDIO,
        ) from None
