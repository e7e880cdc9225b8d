"""The chain of augmentations, and the random numbers each of its places is given."""

import hashlib
from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from speechkit.interfaces import Augmentation


class Chain:
    """Augmentations in the recipe's order; waveform ones come before features are made."""

    def __init__(self, augmentations: Sequence[Augmentation], *, seed: int) -> None:
        self._seed = seed
        self._places = list(enumerate(augmentations))

    def apply(
        self, stage: str, values: Tensor, lengths: Tensor, ids: Sequence[str], *, epoch: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Change a batch by the augmentations of one stage.

        Args:
            stage: "waveform" or "features".
            values: (B, N) or (B, T, D).
            lengths: (B,).
            ids: names of the rows; a row that comes from a copy has its source's.
            epoch: random numbers are a function of seed, epoch, id and place in the chain.

        Returns:
            The changed batch (B', ...), its lengths (B',), and the row each was made from (B',).
        """
        rows = torch.arange(len(ids))
        for place, augmentation in self._places:
            if augmentation.stage != stage:
                continue
            draws = self._draws([ids[row] for row in rows.tolist()], epoch=epoch, place=place)
            values, lengths, sources = augmentation(values, lengths, draws)
            rows = rows[sources.cpu()]
        return values, lengths, rows

    def _draws(self, ids: Sequence[str], *, epoch: int, place: int) -> list[np.random.Generator]:
        copies: Counter[str] = Counter()
        draws = []
        for each in ids:
            name = hashlib.blake2b(each.encode(), digest_size=8).digest()
            key = (self._seed, epoch, place, copies[each], int.from_bytes(name))
            draws.append(np.random.default_rng(key))
            copies[each] += 1
        return draws
