"""Corpora: transcribed speech from files, from the Hugging Face hub, and made by a synthesiser."""

from collections.abc import Iterable

from speechkit import Component, Speech, hookimpl
from speechkit_corpora import files, synthetic
from speechkit_corpora.files import FilesConfig, build_files
from speechkit_corpora.synthetic import SyntheticConfig, build_synthetic

__all__ = [
    "FilesConfig",
    "SyntheticConfig",
    "build_files",
    "build_synthetic",
    "speechkit_corpora",
]


@hookimpl
def speechkit_corpora() -> Iterable[Component[Speech]]:
    """What `[corpus.*] use = ...` can name."""
    return [
        Component("files", FilesConfig, build_files, revision=files.REVISION),
        Component("synthetic", SyntheticConfig, build_synthetic, revision=synthetic.REVISION),
    ]
