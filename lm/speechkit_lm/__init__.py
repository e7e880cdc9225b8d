"""N-gram language models: built from text, stored, queried."""

from speechkit_lm.arpa_reading import read_arpa
from speechkit_lm.arpa_writing import write_arpa
from speechkit_lm.build import build
from speechkit_lm.model import NgramModel

__all__ = ["NgramModel", "build", "read_arpa", "write_arpa"]
