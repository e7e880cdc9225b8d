from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile


@pytest.fixture(scope="session")
def streams() -> Callable[..., list[np.random.Generator]]:
    """`streams(rows, seed)`: the random stream of each row."""

    def make(rows: Sequence[int], seed: int = 0) -> list[np.random.Generator]:
        return [np.random.default_rng([seed, row]) for row in rows]

    return make


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recordings of several kinds, rates, lengths and channels, and what is none."""
    random = np.random.default_rng(0)
    found = tmp_path_factory.mktemp("recordings")
    (found / "more").mkdir()
    soundfile.write(found / "long.wav", 0.1 * random.standard_normal(48_000), 16_000)
    soundfile.write(found / "short.flac", 0.3 * random.standard_normal((900, 2)).clip(-3, 3), 8_000)
    soundfile.write(found / "more" / "loud.ogg", 0.2 * random.standard_normal(30_000), 22_050)
    (found / "readme.txt").write_text("three files")
    return found
