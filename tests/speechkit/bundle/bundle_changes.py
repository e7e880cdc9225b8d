"""Bundles that are not as they were written."""

from hashlib import sha256
from pathlib import Path

from speechkit.bundle.archive import MANIFEST, open_archive, write_archive
from speechkit.bundle.contents import manifest


def files_of(bundle: Path) -> dict[str, bytes]:
    with open_archive(bundle) as archive:
        return {name: archive.read(name) for name in archive.sizes}


def pack(place: Path, files: dict[str, bytes], *, folder: str = "run") -> Path:
    """Write files as a bundle, whatever they hold."""
    write_archive(place, folder, files)
    return place


def signed(files: dict[str, bytes], *, name: str = "run") -> dict[str, bytes]:
    """The same with a manifest that says what they are, as whoever changes one can make it."""
    sums = {
        each: (len(content), sha256(content).hexdigest())
        for each, content in files.items()
        if each != MANIFEST
    }
    return {**files, MANIFEST: manifest(name, sums)}
