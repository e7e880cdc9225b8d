"""Connectionist temporal classification: the loss, and how far apart two views of a row are.

Graves et al., "Connectionist temporal classification", ICML 2006.
"""

import torch
from torch import Tensor
from torch.nn import functional

from speechkit.errors import RunError


def length_mask(lengths: Tensor, size: int) -> Tensor:
    """(B,) lengths -> (B, size) bool, true where a frame is within its row.

    >>> length_mask(torch.tensor([1, 3]), 3).int().tolist()
    [[1, 0, 0], [1, 1, 1]]
    """
    return torch.arange(size, device=lengths.device) < lengths[:, None]


def ctc_loss(log_probs: Tensor, lengths: Tensor, labels: Tensor, label_lengths: Tensor) -> Tensor:
    """Negative log probability of the labels, per utterance, in nats.

    Shape: (B, T, V), (B,) frames, (B, U), (B,) -> (B,). The true lengths, never the padded ones.
    An utterance with fewer frames than its labels need gives 0 (it can teach nothing), not inf.
    """
    if len(lengths) and int(lengths.max()) > log_probs.shape[1]:
        raise RunError(
            f"the model says its rows have up to {int(lengths.max())} frames, and its log "
            f"probabilities have {log_probs.shape[1]}",
            hint="it is a defect of the model's plugin: the lengths it gives must be those of what "
            "it gives",
        )
    return functional.ctc_loss(
        log_probs.float().transpose(0, 1),
        labels,
        lengths,
        label_lengths,
        reduction="none",
        zero_infinity=True,
    )


def consistency_loss(log_probs: Tensor, lengths: Tensor, labels: Tensor) -> Tensor:
    """How far each of two views of an utterance is from what the other gives, in nats.

    Shape: (2 B, T, V) log probabilities, first the first views of all utterances, then the second
    ones; (2 B,) frames; (2 B, U) labels -> (2 B,). Of each row the Kullback-Leibler divergence of
    its labels from those of its other view, which no gradient goes through, summed over its frames.

    Yao et al., "CR-CTC: Consistency regularization on CTC for improved speech recognition",
    ICLR 2025, equation 5.

    Raises:
        RunError: the second half of the rows has other labels or lengths than the first.
    """
    rows = len(labels) // 2
    if len(labels) % 2 or not (
        torch.equal(labels[:rows], labels[rows:]) and torch.equal(lengths[:rows], lengths[rows:])
    ):
        raise RunError(
            "model.consistency compares two views of each utterance, and was given something else",
            hint='set views = 2 in the [[augment]] table of "spec_augment", and let it be the last',
        )
    others = torch.cat(log_probs.detach().chunk(2)[::-1])
    apart = functional.kl_div(log_probs, others, log_target=True, reduction="none").sum(-1)
    within = length_mask(lengths, log_probs.shape[1])
    return apart.masked_fill(~within, 0.0).sum(-1)
