"""Made in a thread while what was made before is used."""

from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Made = TypeVar("Made")


def ahead_of(made: Iterator[Made]) -> Generator[Made, None, None]:
    """The same, one ahead; no item is None."""
    pool = ThreadPoolExecutor(1)
    try:
        coming = pool.submit(next, made, None)
        while (each := coming.result()) is not None:
            coming = pool.submit(next, made, None)
            yield each
    finally:
        pool.shutdown()
