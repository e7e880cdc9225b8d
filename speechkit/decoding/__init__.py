"""Emissions to hypotheses: storing the first, decoding them, storing the second."""
