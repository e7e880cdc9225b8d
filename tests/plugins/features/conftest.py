import os
from pathlib import Path

import pytest
import soundfile
import torch
from torch import Tensor


@pytest.fixture(scope="session")
def recordings_folder() -> Path:
    """Four recordings at 16 and 8 kHz, with their reference features."""
    if "SPEECHKIT_DATA" not in os.environ:
        pytest.skip("SPEECHKIT_DATA, the folder of the data, is not set")
    return Path(os.environ["SPEECHKIT_DATA"]) / "voxforge_ru" / "wav"


@pytest.fixture(scope="session")
def recordings(recordings_folder: Path) -> dict[str, Tensor]:
    """Name -> (N,) samples at 16 kHz in [-1, 1]."""
    return {
        name: torch.from_numpy(
            soundfile.read(recordings_folder / f"{name}.wav", dtype="float32")[0]
        )
        for name in ("test", "mikr", "mikr2", "ru_test")
    }
