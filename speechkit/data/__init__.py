"""Rows to batches: text rules, reading audio, the prepared store, batches by seconds."""
