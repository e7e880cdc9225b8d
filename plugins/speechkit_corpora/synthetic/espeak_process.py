"""A program of its own that speaks: `python -P espeak_process.py`, started by `speak.py`.

It reads all its jobs from standard input, a JSON list of {text, voice, speed, pitch, seed}, and
writes each one's sound to standard output: the number of bytes (4, little-endian), then 16-bit
samples at 22,050 Hz. Nothing of speechkit is imported here.

espeak-ng is under the GNU GPL, version 3 or later. It comes as a library of its own, in the package
`espeakng-loader`, and is loaded here when the program runs; no part of it is part of speechkit.
"""

import _ctypes
import contextlib
import ctypes
import json
import os
import signal
import sys
import tempfile
from pathlib import Path

import espeakng_loader

SAMPLE_RATE = 22_050
_SYNCHRONOUS = 2  # AUDIO_OUTPUT_SYNCHRONOUS
_DO_NOT_EXIT = 1 << 15  # espeakINITIALIZE_DONT_EXIT
_CHARACTERS = 1  # POS_CHARACTER
_UTF8 = 1  # espeakCHARS_UTF8
_RATE, _VOLUME, _PITCH = 1, 2, 3  # espeak_PARAMETER
_QUIET = 70  # of 100, at which some voices are clipped
_LONGEST = 120  # bytes; espeak-ng keeps its data path in 160

_Heard = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)


def speak(data: Path, *, text: str, voice: str, speed: int, pitch: int, seed: int) -> bytes:
    """One sentence, as 16-bit samples: a function of the arguments alone.

    The library is loaded anew for each sentence, in 2 ms. It has a state that outlives its own
    re-initialisation (the phase of a voice's flutter), and would speak a sentence otherwise after
    one than after another.
    """
    heard: list[bytes] = []

    def listen(samples: int | None, count: int, _events: int | None) -> int:
        if samples and count > 0:
            heard.append(ctypes.string_at(samples, count * 2))
        return 0

    listener = _Heard(listen)  # kept until the end: ctypes does not hold on to it
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    rate = library.espeak_Initialize(_SYNCHRONOUS, 0, os.fsencode(data), _DO_NOT_EXIT)
    if rate != SAMPLE_RATE:
        raise SystemExit(f"espeak-ng does not start with its data in {data}")
    library.espeak_ng_SetRandSeed(ctypes.c_long(seed))  # of the noise in breathy voices
    library.espeak_SetSynthCallback(listener)
    if library.espeak_SetVoiceByName(voice.encode()):
        raise SystemExit(f"espeak-ng cannot load the voice {voice}")
    library.espeak_SetParameter(_VOLUME, _QUIET, 0)
    library.espeak_SetParameter(_RATE, speed, 0)
    library.espeak_SetParameter(_PITCH, pitch, 0)
    written = text.encode()
    failed = library.espeak_Synth(
        written, ctypes.c_size_t(len(written) + 1), 0, _CHARACTERS, 0, _UTF8, None, None
    )
    library.espeak_Terminate()
    _ctypes.dlclose(library._handle)
    if failed:
        raise SystemExit(f"espeak-ng cannot speak {text!r} with the voice {voice}")
    return b"".join(heard)


def main() -> None:
    """Speak what standard input asks for."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # whoever started it says that it was stopped
    jobs = json.load(sys.stdin)
    data = Path(espeakng_loader.get_data_path())
    with contextlib.ExitStack() as stack:
        if len(os.fsencode(data)) > _LONGEST:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="speechkit-"))
            data = Path(folder) / data.name
            data.symlink_to(espeakng_loader.get_data_path())
        for job in jobs:
            sound = speak(data, **job)
            sys.stdout.buffer.write(len(sound).to_bytes(4, "little") + sound)


if __name__ == "__main__":
    main()
