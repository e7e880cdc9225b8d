"""Hypotheses beside references: error rates over a corpus."""
