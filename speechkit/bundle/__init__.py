"""A run in one file, for others: what it was, what it heard, and whether its scores hold."""

from speechkit.bundle.contents import Contents, read_contents
from speechkit.bundle.verifying import Measures, Rescored, Verified, verify
from speechkit.bundle.writing import write_bundle

__all__ = [
    "Contents",
    "Measures",
    "Rescored",
    "Verified",
    "read_contents",
    "verify",
    "write_bundle",
]
