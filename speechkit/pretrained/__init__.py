"""Trained models for others: made of a run, with a card, and loaded by name.

What their folders hold is in `speechkit.trained`.
"""
