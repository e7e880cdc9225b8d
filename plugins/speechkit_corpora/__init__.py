"""Corpora: transcribed speech from files, from the Hugging Face hub, and made by a synthesiser."""

from collections.abc import Iterable

from speechkit import Component, Speech, hookimpl
from speechkit_corpora import files, hub, synthetic
from speechkit_corpora.files import FilesConfig, build_files
from speechkit_corpora.hub import HubConfig, build_hub
from speechkit_corpora.synthetic import SyntheticConfig, build_synthetic

__all__ = [
    "FilesConfig",
    "HubConfig",
    "SyntheticConfig",
    "build_files",
    "build_hub",
    "build_synthetic",
    "speechkit_corpora",
]


@hookimpl
def speechkit_corpora() -> Iterable[Component[Speech]]:
    """What `[corpus.*] use = ...` can name."""
    return [
        Component("files", FilesConfig, build_files, revision=files.REVISION),
        Component("hub", HubConfig, build_hub, revision=hub.REVISION),
        Component("synthetic", SyntheticConfig, build_synthetic, revision=synthetic.REVISION),
    ]
