"""Tests of the n-gram decoders."""
