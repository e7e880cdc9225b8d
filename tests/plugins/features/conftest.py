import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

RATE = 16_000


def _speechlike(samples: int, seed: int = 0) -> Tensor:
    random = np.random.default_rng(seed)
    seconds = np.arange(samples) / RATE
    tones = sum(
        random.uniform(0.02, 0.1) * np.sin(2 * np.pi * hertz * seconds + random.uniform(0, 6))
        for hertz in random.uniform(100, 4000, 12)
    )
    wave = tones * (1.2 + np.sin(2 * np.pi * 3 * seconds)) + 0.02 * random.standard_normal(samples)
    return torch.from_numpy(np.round(wave.clip(-0.99, 0.99) * 32768) / 32768).float()


@pytest.fixture(scope="session")
def speechlike() -> Callable[..., Tensor]:
    """`speechlike(samples, seed)`: (samples,) tones that come and go in noise, of 16 bits."""
    return _speechlike


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
