"""How long work says how far it is."""

from typing import Protocol


class Progress(Protocol):
    """Is told what is done and how much of it; may raise to stop the work."""

    def __call__(self, stage: str, share: float | None) -> None:
        """`share` is from 0 to 1, or None where it is not known."""


def silent(stage: str, share: float | None) -> None:
    """No progress is shown."""
