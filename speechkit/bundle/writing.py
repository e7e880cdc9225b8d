"""A run's folder to a bundle."""

from pathlib import Path

from speechkit.bundle.archive import (
    MANIFEST,
    MOST_BYTES,
    MOST_WEIGHTS_BYTES,
    WEIGHTS,
    write_archive,
)
from speechkit.bundle.contents import FOUND, NEEDED, decoded_name, manifest
from speechkit.bundle.verifying import Measures, Verified, usual_alone, verify
from speechkit.data.files import sha256, written_whole
from speechkit.errors import RunError
from speechkit.scoring.scores import read_scores


def write_bundle(
    folder: Path, place: Path, measures: Measures = usual_alone, *, weights: bool = False
) -> Verified:
    """Write the bundle of a run, whole or not at all; the same run gives the same bytes.

    It is verified before it is put in its place: what does not hold is not written.

    Args:
        folder: of the run.
        place: of the bundle.
        measures: counts as a protocol beside the usual one does.
        weights: put `model.safetensors` in, too.

    Raises:
        RunError: a file is missing or too large, or the scores do not follow from the texts.
    """
    files = _files(folder, weights=weights)
    name = folder.resolve().name
    sums = {each: (file.stat().st_size, sha256(file)) for each, file in files.items()}
    with written_whole(place) as beside:
        write_archive(beside, name, {MANIFEST: manifest(name, sums), **files})
        found = verify(beside, measures)
        if not found.holds:
            raise RunError(
                f"the scores of {folder} do not follow from what it has decoded: {_other(found)}",
                hint="have it scored again: speechkit run, with its recipe",
            )
    return found


def _files(folder: Path, *, weights: bool) -> dict[str, Path]:
    """What goes into the bundle, by name."""
    rows = read_scores(folder / "scores.json")
    if not rows:
        raise RunError(
            f"{folder} has no scores to bundle", hint="carry its recipe out first: speechkit run"
        )
    used = {row.decoder for row in rows}
    tunings = [f"tuning/{each}.json" for each in used]
    found = [each for each in (*FOUND, *tunings) if (folder / each).is_file()]
    needed = [*NEEDED, *(decoded_name(row.test, row.decoder) for row in rows)]
    needed += [WEIGHTS] if weights else []
    for each in needed:
        if not (folder / each).is_file():
            raise RunError(
                f"{folder / each} is missing",
                hint="carry the run's recipe out again: speechkit run",
            )
    files = {each: folder / each for each in sorted({*needed, *found})}
    for each, file in files.items():
        size, most = file.stat().st_size, MOST_WEIGHTS_BYTES if each == WEIGHTS else MOST_BYTES
        if size > most:
            raise RunError(f"{file} has {size:,} bytes, and a bundle holds {most:,} of it at most")
    return files


def _other(found: Verified) -> str:
    """What does not hold, in a line."""
    changed = [f"{name} {how}" for name, how in found.contents.changed.items()]
    counted = [
        f"{each.stored.test}, {each.stored.decoder}: {', '.join(each.other)}"
        for each in found.rows
        if each.other
    ]
    return "; ".join([*changed, *counted])
