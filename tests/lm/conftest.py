"""Texts the tests build models of."""

import random
from collections.abc import Callable

import pytest
from textbook import DATA


@pytest.fixture
def russian() -> list[str]:
    return (DATA / "russian.txt").read_text(encoding="utf-8").splitlines()


@pytest.fixture
def made_up() -> Callable[..., list[str]]:
    """Sentences of a made-up language in which some words follow others."""

    def make(sentences: int, *, words: int = 30, seed: int = 0) -> list[str]:
        drawn = random.Random(seed)
        names = [f"{'бвгд'[i % 4]}{'aeiou'[i % 5]}{i}" for i in range(words)]
        lines = []
        for _ in range(sentences):
            at = drawn.randrange(words)
            line = []
            for _ in range(drawn.randint(1, 9)):
                line.append(names[at])
                at = (at * 7 + int(drawn.expovariate(0.3))) % words
            lines.append(" ".join(line))
        return lines

    return make
