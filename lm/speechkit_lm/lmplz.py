"""The estimator of KenLM, where it is installed: the same model from another program."""

import re
import shutil
import subprocess
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from speechkit import DataError
from speechkit_lm.arpa_reading import read_arpa
from speechkit_lm.building import FALLBACK_DISCOUNTS, MEMORY_GIGABYTES, as_blocks, full_cutoffs
from speechkit_lm.model import NgramModel
from speechkit_lm.progress import Progress, silent
from speechkit_lm.storage import temporary_folder
from speechkit_lm.text import Block

_BLANK_LINE = re.compile(rb"(?m)^[\0\t\r ]*\n")  # to lmplz these are sentences
_LAST_LINES = 3


def build_with_lmplz(
    text: Iterable[str] | Iterable[Block],
    *,
    temporary: Path,
    order: int = 3,
    cutoffs: Sequence[int] = (),
    vocabulary: Collection[str] | None = None,
    fallback_discounts: tuple[float, float, float] | None = FALLBACK_DISCOUNTS,
    memory_gigabytes: float = MEMORY_GIGABYTES,
    progress: Progress = silent,
) -> NgramModel:
    """Estimate a model with the program `lmplz`; the arguments are those of `build`.

    Raises:
        DataError: the program is not on the PATH, or fails; its last words are in the message.
        ValueError: settings out of their range.
    """
    program = shutil.which("lmplz")
    if program is None:
        raise DataError(
            "there is no lmplz on the PATH", hint='without it: engine = "speechkit", same model'
        )
    with temporary_folder(temporary) as folder:
        arpa = folder / "lm.arpa"
        command = [program, "--order", str(order), "--arpa", str(arpa)]
        command += ["--temp_prefix", f"{folder}/", "--memory", f"{int(memory_gigabytes * 2**20)}K"]
        command += ["--prune", *map(str, full_cutoffs(cutoffs, order))]
        if fallback_discounts is not None:
            command += ["--discount_fallback", *map(str, fallback_discounts)]
        if vocabulary is not None:
            listed = folder / "vocabulary"
            listed.write_text("\n".join(vocabulary), encoding="utf-8")
            command += ["--limit_vocab_file", str(listed)]
        log = folder / "log"
        with log.open("wb") as errors:
            running = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=errors)  # noqa: S603 - found on the user's PATH
            try:
                _feed(running, as_blocks(text, progress))
                progress("waiting for lmplz", None)
                failed = running.wait()
            finally:
                running.kill()
                running.wait()
        if failed:
            said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            raise DataError(
                f"lmplz failed: {' / '.join(said[-_LAST_LINES:])}",
                hint='engine = "speechkit" makes the same model and says what it does not like',
            )
        model = read_arpa(arpa, progress=progress)
    model.path = None  # the file is gone
    model.facts = {"estimated by": "lmplz", "cutoffs": " ".join(map(str, cutoffs))}
    return model


def _feed(running: "subprocess.Popen[bytes]", blocks: Iterable[Block]) -> None:
    assert running.stdin is not None
    with suppress(BrokenPipeError), running.stdin as text:  # then it has failed, and says why
        for block in blocks:
            lines = block.data if block.data.endswith(b"\n") else block.data + b"\n"
            text.write(_BLANK_LINE.sub(b"", lines))
