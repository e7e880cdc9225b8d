"""Corpora: transcribed speech from files, from the Hugging Face hub, and made by a synthesiser."""

from collections.abc import Iterable

from speechkit import Component, Speech, hookimpl
from speechkit_corpora.files import FilesConfig, build_files

__all__ = ["FilesConfig", "build_files", "speechkit_corpora"]


@hookimpl
def speechkit_corpora() -> Iterable[Component[Speech]]:
    """What `[corpus.*] use = ...` can name."""
    return [Component("files", FilesConfig, build_files)]
