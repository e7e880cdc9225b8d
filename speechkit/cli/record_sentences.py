"""What `speechkit data record` does, apart from its options."""

from pathlib import Path

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from speechkit.cli.terminal import Ending, Keyboard, Studio, is_quit, level_of
from speechkit.data.lock import locked
from speechkit.data.recordings import RecordingFolder
from speechkit.data.text import read_lines
from speechkit.errors import DataError, DeviceError
from speechkit.inference.microphone import Microphone, Recording


def record_sentences(
    folder: Path,
    sentences: Path,
    *,
    speaker: str | None,
    device: str | None,
    sample_rate: int,
    seconds_limit: float,
) -> None:
    """Show the sentences that are left, one by one, and keep what is read."""
    wanted = [" ".join(line.split()) for line in read_lines(sentences)]
    wanted = [each for each in wanted if each]
    if not wanted:
        raise DataError(f"{sentences}: holds no sentence", hint="write one on each line")
    if speaker is not None:
        speaker = _name(speaker)
    console = Console(stderr=True, highlight=False)
    studio = Studio(Microphone(device, sample_rate), Keyboard(), console)
    with locked(
        folder,
        name=f"the folder of recordings {folder}",
        busy="end that recording first, or record into another folder",
        unwritable="name another folder",
    ):
        _record_into(folder, wanted, studio, speaker, seconds_limit)


def _name(speaker: str) -> str:
    name = " ".join(speaker.split())
    if not name or not name.isprintable():
        raise DataError(f"--speaker {speaker!r} is no name", hint="letters, digits and spaces")
    return name


def _record_into(
    folder: Path, wanted: list[str], studio: Studio, speaker: str | None, seconds_limit: float
) -> None:
    console, microphone = studio.console, studio.microphone
    recordings = RecordingFolder(folder)
    left = recordings.left(wanted, speaker)
    console.print(
        f"{len(wanted):,} sentences, {len(left):,} to record, with {microphone.name}", markup=False
    )
    before = len(recordings.rows)
    session = _Session(studio, recordings, speaker, seconds_limit)
    try:
        for place, sentence in enumerate(left, 1):
            if not session.read(sentence, f"{place:,} of {len(left):,}"):
                break
    except KeyboardInterrupt:
        console.print()
    rows = recordings.rows
    minutes = sum(row.get("duration_seconds") or 0 for row in rows) / 60
    console.print(
        f"{len(rows) - before:,} recorded now; {folder} holds {len(rows):,}, {minutes:.1f} minutes",
        markup=False,
    )


class _Session:
    """Sentences read by one speaker."""

    def __init__(
        self,
        studio: Studio,
        recordings: RecordingFolder,
        speaker: str | None,
        seconds_limit: float,
    ) -> None:
        self.studio = studio
        self.recordings = recordings
        self.speaker = speaker
        self.seconds_limit = seconds_limit

    def read(self, sentence: str, place: str) -> bool:
        """Have a sentence read until it is kept or skipped; gives whether to go on."""
        console = self.studio.console
        console.print()
        console.print(Text(place, "dim"))
        console.print(Padding(Text(sentence, "bold"), (0, 2), expand=False))
        answer = self._ask("Enter: record   s: skip   q: quit", known="s")
        while answer == "":
            recording, ending = self.studio.record(self.seconds_limit)
            if ending is Ending.QUIT:
                return False
            if ending is Ending.LIMIT:
                limit = f"stopped after {self.seconds_limit:g} s: --seconds-limit allows more"
                console.print(Text(f"warning: {limit}", "yellow"))
            answer = self._judge(recording)
            if answer == "":
                kept = self.recordings.add(
                    recording.samples, recording.sample_rate, sentence, self.speaker
                )
                console.print(Text(f"kept as {kept}", "green"))
                return True
            answer = "" if answer == "r" else answer
        return answer != "q"

    def _judge(self, recording: Recording) -> str:
        """Show what was recorded, play it if asked; gives `""` to keep it, r, s or q."""
        console = self.studio.console
        told = f"{recording.seconds:.1f} s, loudest {level_of(recording)}"
        console.print(Text(told, "dim"))
        self.studio.warn(recording)
        if not recording.seconds:
            return self._ask("r: record again   s: skip   q: quit", known="rs", enter="r")
        while True:
            question = "Enter: keep   p: play   r: record again   s: skip   q: quit"
            answer = self._ask(question, known="prs")
            if answer != "p":
                return answer
            try:
                self.studio.microphone.play(recording)
            except DeviceError as error:
                console.print(Text(f"warning: {error}", "yellow"))

    def _ask(self, question: str, *, known: str, enter: str = "") -> str:
        """One of the letters `known`, q, or `enter` where only Enter was pressed."""
        console = self.studio.console
        while True:
            console.print(Text(f"{question} ", "cyan"), end="")
            line = self.studio.keyboard.line()
            if is_quit(line):
                return "q"
            if not line:
                return enter
            if line[0].lower() in known:
                return line[0].lower()
