"""Emissions of a whole corpus in one file, so that decoding again needs no model."""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from speechkit.data.files import written_whole
from speechkit.errors import RunError
from speechkit.interfaces import Emissions

_FORMAT = "speechkit emissions 1"


@dataclass(frozen=True)
class StoredEmissions:
    """Emissions of utterances in their corpus' order.

    log_probs    (all frames, V) float32, utterances end to end
    lengths      (utterances,) frames
    frame_times  (all frames,) seconds, where frames were dropped; else None
    """

    ids: tuple[str, ...]
    log_probs: Tensor
    lengths: Tensor
    frame_shift_seconds: float
    frame_times: Tensor | None

    def __len__(self) -> int:
        return len(self.ids)

    def select(self, chosen: Sequence[int]) -> "StoredEmissions":
        """The utterances at these places, in the order given."""
        ends = self.lengths.cumsum(0)
        spans = [
            slice(int(ends[index] - self.lengths[index]), int(ends[index])) for index in chosen
        ]
        times = self.frame_times
        return StoredEmissions(
            tuple(self.ids[index] for index in chosen),
            torch.cat([self.log_probs[span] for span in spans]),
            self.lengths[list(chosen)],
            self.frame_shift_seconds,
            None if times is None else torch.cat([times[span] for span in spans]),
        )

    def batches(self, size: int) -> Iterator[Emissions]:
        """`size` utterances at a time, in order."""
        ends = self.lengths.cumsum(0)
        for first in range(0, len(self), size):
            lengths = self.lengths[first : first + size]
            spans = [
                (int(end - length), int(end))
                for end, length in zip(ends[first : first + size], lengths, strict=True)
            ]
            yield Emissions(
                _padded(self.log_probs, spans),
                lengths,
                self.frame_shift_seconds,
                None if self.frame_times is None else _padded(self.frame_times, spans),
            )


def _padded(values: Tensor, spans: list[tuple[int, int]]) -> Tensor:
    return torch.nn.utils.rnn.pad_sequence(
        [values[first:last] for first, last in spans], batch_first=True
    )


def save_emissions(
    place: Path, made: Iterable[tuple[list[int], Emissions]], ids: tuple[str, ...]
) -> None:
    """Write the emissions of a corpus.

    Args:
        place: the file.
        made: places in the corpus of each batch's rows, and their emissions; any order of batches.
        ids: of all utterances.
    """
    log_probs: list[Tensor] = [torch.empty(0)] * len(ids)
    times: list[Tensor] = [torch.empty(0)] * len(ids)
    shift, have_times = 0.0, False
    for places, emissions in made:
        shift, have_times = emissions.frame_shift_seconds, emissions.frame_times is not None
        for row, index in enumerate(places):
            length = int(emissions.lengths[row])
            log_probs[index] = emissions.log_probs[row, :length].float().cpu().clone()
            if emissions.frame_times is not None:
                times[index] = emissions.frame_times[row, :length].float().cpu().clone()
    tensors = {
        "log_probs": torch.cat(log_probs),
        "lengths": torch.tensor([len(each) for each in log_probs]),
    }
    if have_times:
        tensors["frame_times"] = torch.cat(times)
    about = {"format": _FORMAT, "ids": ids, "frame_shift_seconds": shift}
    with written_whole(place) as beside:
        save_file(tensors, beside, metadata={"speechkit": json.dumps(about)})


def load_emissions(place: Path) -> StoredEmissions:
    """Read what `save_emissions` wrote.

    Raises:
        RunError: it is not there, or damaged.
    """
    with _opened(place) as (about, opened):
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    return StoredEmissions(
        tuple(about["ids"]),
        tensors["log_probs"],
        tensors["lengths"],
        about["frame_shift_seconds"],
        tensors.get("frame_times"),
    )


def emissions_of(place: Path, id_: str) -> Emissions | None:
    """Those of one utterance, the others not read; None where it is not among them.

    Raises:
        RunError: the file is not there, or damaged.
    """
    with _opened(place) as (about, opened):
        if id_ not in about["ids"]:
            return None
        index = about["ids"].index(id_)
        lengths = opened.get_tensor("lengths")
        first = int(lengths[:index].sum())
        span = slice(first, first + int(lengths[index]))
        times = None
        if "frame_times" in opened.keys():  # noqa: SIM118 - it is no mapping
            times = opened.get_slice("frame_times")[span][None]
        return Emissions(
            opened.get_slice("log_probs")[span][None],
            lengths[index : index + 1],
            about["frame_shift_seconds"],
            times,
        )


@contextmanager
def _opened(place: Path) -> Iterator[tuple[dict[str, Any], Any]]:
    """What the file says of itself, and the file."""
    try:
        with safe_open(place, framework="pt") as opened:
            yield json.loads((opened.metadata() or {})["speechkit"]), opened
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise RunError(f"{place}: no emissions to decode: {error}", hint="delete it") from None
