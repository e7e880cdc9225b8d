"""What a step of a training learns from."""

from collections.abc import Sequence
from dataclasses import dataclass

from speechkit.data.batches import Batch


@dataclass(frozen=True)
class Step:
    """A step's batches, and where in its epoch it is.

    batches  this process' share of them; none where there is nothing for it
    pass_    over the data, from 0: it decides the random numbers of augmentation
    begins   share of the epoch that is done before it, 0 to 1
    number   of the step in the epoch, from 0
    total    steps of the epoch; of a stream, as it seems now
    after    batches of the epoch that are learnt from after it
    seconds  of speech in it, in all processes
    padded   the same, padding included
    """

    batches: Sequence[Batch]
    pass_: int
    begins: float
    number: int
    total: int
    after: int
    seconds: float
    padded: float
