import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from speechkit_corpora import FilesConfig, build_files


@pytest.fixture(autouse=True)
def own_caches(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """No test reads or leaves anything in the caches of the user."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("SPEECHKIT_CACHE", f"{folder}")
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", f"{folder}/datasets")
    return folder


@pytest.fixture(scope="session")
def real_data() -> Path:
    folder = os.environ.get("SPEECHKIT_DATA")
    if not folder:
        pytest.skip("SPEECHKIT_DATA is not set: the folder of real corpora")
    return Path(folder)


@pytest.fixture
def files(tmp_path: Path) -> Callable[..., Any]:
    """The corpus that a recipe in `tmp_path` asks for."""

    def build(path: str | list[str], **settings: object) -> Any:
        written = json.dumps({"path": path, **settings})
        return build_files(FilesConfig.model_validate_json(written, context={"folder": tmp_path}))

    return build
