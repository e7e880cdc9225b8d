"""Parts of a recipe's speech, made of texts."""

from itertools import count

import numpy as np
import pytest

from speechkit.audit.leaks import Speech
from speechkit.data.store import Meta, Store
from speechkit.data.text import TextRules
from speechkit.settings import TextSettings

RULES = TextRules(TextSettings(alphabet="abcdefghijklmnopqrstuvwxyz"))


@pytest.fixture
def part(tmp_path):
    """Make a part; every recording is another, but for those that are `heard`."""
    numbers = count()

    def make(texts, speakers=None, heard=None, seconds=None, skipped=()) -> Speech:
        number = next(numbers)
        folder = tmp_path / f"store{number}"
        folder.mkdir()
        lengths = [int(16_000 * each) for each in seconds or [0.01] * len(texts)]
        sounds = np.random.default_rng(number).integers(-9999, 9999, sum(lengths), np.int16)
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        for place, samples in (heard or {}).items():
            sounds[offsets[place] : offsets[place + 1]] = samples
        store = Store(
            folder=folder,
            meta=Meta("audio", "int16", 16_000, 1, 0.0, "", skipped),
            ids=[f"{number}-{place}" for place in range(len(texts))],
            texts=list(texts),
            speakers=speakers or [""] * len(texts),
            lengths=np.array(lengths),
            offsets=offsets,
            values=sounds,
        )
        return Speech(store, [RULES.normalize(text) for text in texts])

    return make
