"""A synthetic corpus: which sentences are spoken how, and the file they are kept in."""

import gzip
import hashlib
import itertools
import json
import os
import random
import time
import zlib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from speechkit import DataError
from speechkit_corpora.cache import cache_folder, content_digest, written_whole
from speechkit_corpora.canonical import canonical
from speechkit_corpora.reading import read_tables
from speechkit_corpora.settings import ColumnConfig
from speechkit_corpora.synthetic import SyntheticConfig
from speechkit_corpora.synthetic.grammar import from_grammar, from_lines
from speechkit_corpora.synthetic.speak import Job, speak
from speechkit_corpora.synthetic.variants import VARIANTS
from speechkit_corpora.synthetic.voices import voice_file

_GRAMMAR_WORDS = (3, 6)
_ANY_WORDS = (1, 10**9)
_ROWS = 100  # of a row group: what is in memory at a time
_PATIENCE_SECONDS = 2.0
_SCHEMA = pa.schema(
    {
        "id": pa.string(),
        "audio": pa.struct({"bytes": pa.binary(), "path": pa.string()}),
        "text": pa.string(),
        "speaker": pa.string(),
        "duration_seconds": pa.float64(),
    }
)


def corpus(config: SyntheticConfig, revision: int) -> datasets.Dataset:
    """The corpus from the cache, made first where it is not there.

    Raises:
        DataError: a voice that espeak-ng has not, no sentence that fits, a damaged file in the
            cache.
    """
    text = "" if config.sentences is None else _digest(config.sentences)
    settings = config.model_dump_json(exclude={"sentences"})
    key = json.dumps([revision, settings, text, metadata.version("espeakng-loader")])
    folder = cache_folder() / "synthetic" / hashlib.sha256(key.encode()).hexdigest()[:20]
    path = folder / f"{config.language}-{config.part}.parquet"
    if not path.is_file():
        jobs = plan(config)
        try:
            with written_whole(path) as unfinished:
                _write(jobs, config.part, unfinished)
        except OSError as error:
            raise DataError(
                f"{path}: {error.strerror or error}",
                hint="free some space there, or let SPEECHKIT_CACHE name a folder with more",
            ) from None
    try:
        table = read_tables([path], "parquet")
        return canonical(table, ColumnConfig.model_validate({}), settings=f"synthetic {revision}")
    except DataError as error:
        raise DataError(f"{error}", hint="delete it: it is then made again") from None


def plan(config: SyntheticConfig) -> list[Job]:
    """What is spoken, by whom, and how; the voices take turns.

    Raises:
        DataError: a voice that espeak-ng has not, or no sentence that fits.
    """
    variants = VARIANTS[config.part][: config.num_voices]
    voices = config.voices or [f"{config.language}+{variant}" for variant in variants]
    for voice in voices:
        voice_file(voice)  # says now which one there is not
    draw = random.Random(f"{config.seed} {config.language} {config.part}")  # noqa: S311 - speech, no secret
    if config.sentences is None:
        words = config.words or _GRAMMAR_WORDS
        drawn = from_grammar(config.base_language, config.part, words, draw)
    else:
        words = config.words or _ANY_WORDS
        drawn = from_lines(_lines(config.sentences), config.part, words, draw)
    sentences = list(itertools.islice(drawn, config.utterances))
    if not sentences:
        raise DataError(
            f"{config.sentences or 'the grammar'}: no sentence of {words[0]} to {words[1]} words "
            f"for part {config.part!r}",
            hint="a tenth of all sentences is for test, a tenth for validation; give more, or "
            "other words",
        )
    return [
        Job(
            text=sentence,
            voice=voices[number % len(voices)],
            speed=_between(config.speed, draw),
            pitch=_between(config.pitch, draw),
            seed=number,
        )
        for number, sentence in enumerate(sentences)
    ]


def _between(limits: tuple[int, int], draw: random.Random) -> int:
    return limits[0] + int(draw.random() * (limits[1] - limits[0] + 1))


def _lines(path: Path) -> list[str]:
    """The different sentences of a text file, plain or .gz."""
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8-sig") as file:
            lines = [" ".join(line.split()) for line in file]
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise DataError(f"{path}: {error}", hint="sentences is a text file in UTF-8") from None
    return list(dict.fromkeys(line for line in lines if any(map(str.isalnum, line))))


def _digest(path: Path) -> str:
    try:
        return content_digest(path)
    except OSError as error:
        raise DataError(
            f"{path}: {error.strerror}", hint="paths are relative to the recipe's file"
        ) from None


def _write(jobs: list[Job], part: str, path: Path) -> None:
    """Speak all jobs into a Parquet file, a few rows at a time."""
    # Here, since torchaudio is not needed for a corpus that was made before.
    from speechkit_corpora.synthetic import sound  # noqa: PLC0415

    spoken = speak(jobs, processes=min(os.cpu_count() or 1, 8))
    wavs = (sound.to_wav(each, seed=number) for number, each in enumerate(spoken))
    rows = _shown(_rows(jobs, part, wavs), len(jobs))
    with sound.one_thread(), pq.ParquetWriter(path, _SCHEMA, compression="NONE") as writer:
        while group := list(itertools.islice(rows, _ROWS)):
            writer.write_table(pa.Table.from_pylist(group, _SCHEMA))


def _rows(
    jobs: list[Job], part: str, wavs: Iterator[tuple[bytes, float]]
) -> Iterator[dict[str, object]]:
    for number, (job, (contents, seconds)) in enumerate(zip(jobs, wavs, strict=True)):
        name = f"{part}-{number:06d}"
        yield {
            "id": name,
            "audio": {"bytes": contents, "path": f"{name}.wav"},
            "text": job.text,
            "speaker": job.voice,
            "duration_seconds": seconds,
        }


def _shown(rows: Iterator[dict[str, object]], total: int) -> Iterator[dict[str, object]]:
    """The rows, with a bar on stderr once they take longer than two seconds."""
    console = Console(stderr=True)
    columns = (TextColumn("speaking"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    task = bar.add_task("", total=total)
    began = time.monotonic()
    try:
        for row in rows:
            yield row
            bar.advance(task)
            if time.monotonic() - began > _PATIENCE_SECONDS:
                bar.start()
    finally:
        bar.stop()
