"""Sentences to sound, by several processes, in order."""

import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from speechkit import DataError
from speechkit_corpora.synthetic.voices import voice_file

_PROGRAM = Path(__file__).with_name("espeak_process.py")
_AHEAD = 2**20  # bytes a process may be ahead of the reader: a dozen sentences


@dataclass(frozen=True)
class Job:
    """A sentence to speak.

    text   the sentence
    voice  espeak-ng's name of the voice
    speed  words a minute
    pitch  0 to 99, 50 being the voice's own
    seed   of the noise in a breathy voice
    """

    text: str
    voice: str
    speed: int
    pitch: int
    seed: int


def speak(jobs: Sequence[Job], *, processes: int) -> Iterator[NDArray[np.int16]]:
    """The sound of each job, in order: (N,) samples at 22,050 Hz.

    It does not depend on `processes`.

    Raises:
        DataError: espeak-ng ended without having spoken a sentence.
    """
    processes = min(processes, len(jobs))
    with contextlib.ExitStack() as stack:
        running = [
            stack.enter_context(_speaker(jobs[first::processes])) for first in range(processes)
        ]
        for number, job in enumerate(jobs):
            process, complaints = running[number % processes]
            assert process.stdout is not None
            size = process.stdout.read(4)
            sound = process.stdout.read(int.from_bytes(size, "little"))
            if len(size) < 4 or len(sound) < int.from_bytes(size, "little"):
                process.wait()
                complaints.seek(0)
                said = complaints.read().decode(errors="replace").strip().splitlines()
                raise DataError(
                    f"espeak-ng ended ({process.returncode}) at {job.text!r}, voice {job.voice}: "
                    f"{said[-1] if said else 'without a word'}",
                    hint="leave out the sentence or the voice",
                )
            yield np.frombuffer(sound, np.int16)


@contextlib.contextmanager
def _speaker(jobs: Sequence[Job]) -> Iterator[tuple[subprocess.Popen[bytes], IO[bytes]]]:
    """A process that speaks `jobs`, and what it says on standard error."""
    asked = [asdict(job) | {"voice": voice_file(job.voice)} for job in jobs]
    with (
        tempfile.TemporaryFile() as complaints,
        subprocess.Popen(  # noqa: S603 - our own program, under the Python that runs this
            [sys.executable, "-P", _PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            pipesize=_AHEAD,
        ) as process,
    ):
        try:
            assert process.stdin is not None
            with contextlib.suppress(BrokenPipeError):  # reading its sound says why it ended
                process.stdin.write(json.dumps(asked).encode())
                process.stdin.close()
            yield process, complaints
        finally:
            process.kill()
