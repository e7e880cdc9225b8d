"""Corpora: transcribed speech from files, from the Hugging Face hub, and made by a synthesiser."""

from collections.abc import Iterable

from speechkit import Component, Download, Speech, hookimpl
from speechkit_corpora import files, hub, librispeech, ljspeech, synthetic, voxforge
from speechkit_corpora.downloads import (
    LibriSpeechDownload,
    LibriSpeechDownloadConfig,
    LJSpeechDownload,
    LJSpeechDownloadConfig,
    VoxForgeDownload,
    VoxForgeDownloadConfig,
)
from speechkit_corpora.files import FilesConfig, build_files
from speechkit_corpora.hub import HubConfig, build_hub
from speechkit_corpora.librispeech import LibriSpeechConfig, build_librispeech
from speechkit_corpora.ljspeech import LJSpeechConfig, build_ljspeech
from speechkit_corpora.synthetic import SyntheticConfig, build_synthetic
from speechkit_corpora.voxforge import VoxForgeConfig, build_voxforge

__all__ = [
    "FilesConfig",
    "HubConfig",
    "LJSpeechConfig",
    "LJSpeechDownload",
    "LJSpeechDownloadConfig",
    "LibriSpeechConfig",
    "LibriSpeechDownload",
    "LibriSpeechDownloadConfig",
    "SyntheticConfig",
    "VoxForgeConfig",
    "VoxForgeDownload",
    "VoxForgeDownloadConfig",
    "build_files",
    "build_hub",
    "build_librispeech",
    "build_ljspeech",
    "build_synthetic",
    "build_voxforge",
    "speechkit_corpora",
    "speechkit_downloads",
]


@hookimpl
def speechkit_corpora() -> Iterable[Component[Speech]]:
    """What `[corpus.*] use = ...` can name."""
    return [
        Component("files", FilesConfig, build_files, revision=files.REVISION),
        Component("hub", HubConfig, build_hub, revision=hub.REVISION),
        Component(
            "librispeech", LibriSpeechConfig, build_librispeech, revision=librispeech.REVISION
        ),
        Component("ljspeech", LJSpeechConfig, build_ljspeech, revision=ljspeech.REVISION),
        Component("synthetic", SyntheticConfig, build_synthetic, revision=synthetic.REVISION),
        Component("voxforge", VoxForgeConfig, build_voxforge, revision=voxforge.REVISION),
    ]


@hookimpl
def speechkit_downloads() -> Iterable[Component[Download]]:
    """What `speechkit data get` can fetch."""
    return [
        Component("librispeech", LibriSpeechDownloadConfig, LibriSpeechDownload),
        Component("ljspeech", LJSpeechDownloadConfig, LJSpeechDownload),
        Component("voxforge", VoxForgeDownloadConfig, VoxForgeDownload),
    ]
