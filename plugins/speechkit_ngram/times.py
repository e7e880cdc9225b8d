"""Frames to seconds."""

from speechkit import Emissions


def end_seconds(emissions: Emissions, row: int, end: int) -> float:
    """When the frame before `end` is over: as the next begins, where none were dropped between."""
    if emissions.frame_times is None:
        return emissions.start_seconds(row, end)
    over = emissions.start_seconds(row, end - 1) + emissions.frame_shift_seconds
    if end < int(emissions.lengths[row]):
        return min(over, emissions.start_seconds(row, end))
    return over
