"""What a search reads of emissions."""

import numpy as np
import numpy.typing as npt

from speechkit import DataError, Emissions, Vocabulary

_ROUNDING = 1e-2  # log probabilities may be so much more than 0


def frames_of(emissions: Emissions, vocabulary: Vocabulary) -> list[npt.NDArray[np.float32]]:
    """The (T, V) log probabilities of each utterance, its own frames only.

    The libraries do not look: with NaN one finds nothing, the other anything, and of too few
    labels it reads what is beside them in memory.

    Raises:
        DataError: not log probabilities of this vocabulary.
    """
    log_probs = emissions.log_probs.detach().cpu().float().numpy()
    if log_probs.size and log_probs.shape[2] != len(vocabulary):
        raise DataError(
            f"emissions of shape {log_probs.shape}, the vocabulary has {len(vocabulary)} labels",
            hint="decode with the vocabulary of the model that made them",
        )
    rows = [log_probs[row, :length] for row, length in enumerate(emissions.lengths.tolist())]
    for row in rows:
        if row.size and not row.max() <= _ROUNDING:  # nor is NaN
            raise DataError(
                f"emissions that are not log probabilities: the highest is {row.max()}",
                hint="look at the model that made them",
            )
    return rows
