"""Maximum mutual information: how likely a text is among all that its language allows.

CTC is content with a network that has learnt its sentences' letters by heart, and that then tells a
language model twice what the latter knows better. Here what can be said beforehand, from the
frequencies of labels in training transcripts, is said beforehand:

    p(l | x) = p(l) p_ctc(l | x) / sum over all sequences l' of p(l') p_ctc(l' | x)

with p(l) of trigrams of labels. The network learns the rest, which is what a decoder with a
language model adds to that model.

Bahl et al., "Maximum mutual information estimation of hidden Markov model parameters for speech
recognition", ICASSP 1986; over all sequences, not a decoder's best: Povey et al., "Purely
sequence-trained neural networks for ASR based on lattice-free MMI", Interspeech 2016; with CTC's
paths: Xiang and Ou, "CRF-based single-stage acoustic modeling with CTC topology", ICASSP 2019.

Axes: B utterances, T frames, U labels of a text, V labels of the vocabulary, 0 the blank. Of
trigrams [p, q, r] is the probability of r after p and q; there 0 is the beginning, before a text
twice, and as r its end.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from speechkit.ctc import ctc_loss
from speechkit.errors import RecipeError, RunError

MOST_LABELS = 64
_LEAST = 1e-30  # a sum of probabilities that is divided by


class MMILoss(nn.Module):
    """`mmi_loss` with the trigrams, which no model file holds.

    Its work grows with the third power of the labels, and its memory with the second: for 35 of
    them 10 kB a frame of the batch.
    """

    trigrams: Tensor | None

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("trigrams", None, persistent=False)

    def expect(self, texts: Iterable[Sequence[int]]) -> None:
        """Count the labels of an epoch's texts; anew where it is called again.

        Raises:
            RecipeError: there are too many labels.
        """
        if self.size > MOST_LABELS:
            raise RecipeError(
                f"model.mmi is for {MOST_LABELS} labels at most, the blank among them, and there "
                f"are {self.size}",
                hint="take model.mmi out, or units and an alphabet with fewer labels",
            )
        self.trigrams = label_trigrams(texts, self.size)

    def forward(
        self, log_probs: Tensor, lengths: Tensor, labels: Tensor, label_lengths: Tensor
    ) -> Tensor:
        """`mmi_loss` with its trigrams: (B,).

        Raises:
            RunError: it was told no texts.
        """
        if self.trigrams is None:
            raise RunError(
                "model.mmi has to know all transcripts before it trains, and was told none",
                hint="a stream's are not known: take train.streaming out, or model.mmi",
            )
        self.trigrams = self.trigrams.to(log_probs.device)
        return mmi_loss(log_probs, lengths, labels, label_lengths, self.trigrams)


def label_trigrams(sequences: Iterable[Sequence[int]], size: int) -> Tensor:
    """Probabilities of a label after two others, as `sequences` have them: (V, V, V).

    Smoothed by pairs, these by single labels, and these by all alike: none is 0.
    Witten and Bell, "The zero-frequency problem", IEEE Transactions on Information Theory 37(4),
    1991, method C.
    """
    counts = torch.zeros(size, size, size)
    for labels in sequences:
        said = torch.tensor([0, 0, *labels, 0])
        ones = torch.ones(len(said) - 2)
        counts.index_put_((said[:-2], said[1:-1], said[2:]), ones, accumulate=True)
    alike = torch.full((size,), 1 / size)
    single = _smoothed(counts.sum((0, 1)), alike)
    pairs = _smoothed(counts.sum(0), single)
    return _smoothed(counts, pairs)


def _smoothed(counts: Tensor, shorter: Tensor) -> Tensor:
    total = counts.sum(-1, keepdim=True)
    kinds = (counts > 0).sum(-1, keepdim=True)
    mixed = (counts + kinds * shorter) / (total + kinds).clamp(min=1)
    return torch.where(total > 0, mixed, shorter)


def mmi_loss(
    log_probs: Tensor, lengths: Tensor, labels: Tensor, label_lengths: Tensor, trigrams: Tensor
) -> Tensor:
    """Negative log probability of the labels among all sequences of labels, in nats.

    Shape: (B, T, V), (B,) frames, (B, U), (B,), (V, V, V) -> (B,). An utterance with fewer frames
    than its labels need gives 0, as in `ctc_loss`.
    """
    ctc = ctc_loss(log_probs, lengths, labels, label_lengths)
    rest = log_of_all(log_probs, lengths, trigrams) - _beforehand(labels, label_lengths, trigrams)
    return torch.where(ctc > 0, ctc + rest, 0.0)


def log_of_all(log_probs: Tensor, lengths: Tensor, trigrams: Tensor) -> Tensor:
    """Log of the sum, over all sequences of labels, of what `trigrams` and CTC give them.

    Shape: (B, T, V), (B,) frames, (V, V, V) -> (B,), in nats.
    """
    with torch.autocast(log_probs.device.type, enabled=False):  # probabilities need their digits
        total: Tensor = _LogOfAll.apply(log_probs.float(), lengths, trigrams)  # type: ignore[no-untyped-call]
    return total


def _beforehand(labels: Tensor, lengths: Tensor, trigrams: Tensor) -> Tensor:
    """Log probability of each text by the trigrams: (B, U), (B,) -> (B,)."""
    rows, size = labels.shape
    said = labels.new_zeros(rows, size + 3)
    said[:, 2:-1] = labels
    places = torch.arange(size + 1, device=labels.device)
    said[:, 2:].masked_fill_(places >= lengths[:, None], 0)
    logs = trigrams[said[:, :-2], said[:, 1:-1], said[:, 2:]].log()
    return logs.masked_fill(places > lengths[:, None], 0.0).sum(-1)


class _LogOfAll(torch.autograd.Function):
    """Forward and backward over the states of CTC that remember two labels.

    `ended[p, q, b]` is the probability of all paths of row b whose last two labels are p and q and
    that are in a blank (or nowhere yet, where both are 0); `within[p, q, b]` of those that are in
    q. At each frame both are divided by their sum, whose logarithms are added up.
    """

    @staticmethod
    def forward(ctx: Any, log_probs: Tensor, lengths: Tensor, trigrams: Tensor) -> Tensor:  # noqa: ANN401
        rows, frames, size = log_probs.shape
        places = torch.arange(frames, device=log_probs.device)
        inside = (places < lengths[:, None])[..., None]
        # (T, V, B); past a row's end anything but NaN will do.
        probs = log_probs.exp().where(inside, 1 / size).permute(1, 2, 0).contiguous()
        follow, other = _transitions(trigrams)
        followed, parted = (each.transpose(1, 2).contiguous() for each in (follow, other))
        paths = probs.new_zeros(frames + 1, 2, size, size, rows)
        ended, within = paths[0]
        ended[0, 0] = 1
        scales = probs.new_ones(frames + 1, rows)
        for frame, each in enumerate(probs, 1):
            now_ended, now_within = paths[frame]
            torch.bmm(followed, ended.transpose(0, 1), out=now_within)
            now_within.baddbmm_(parted, within.transpose(0, 1)).add_(within).mul_(each)
            torch.add(ended, within, out=now_ended).mul_(each[0])
            torch.sum(paths[frame], (0, 1, 2), out=scales[frame]).clamp_(min=_LEAST)
            paths[frame] /= scales[frame]
            ended, within = now_ended, now_within
        row = torch.arange(rows, device=lengths.device)
        last = paths[lengths, :, :, :, row].sum(1)  # (B, V, V)
        total = (last * trigrams[:, :, 0]).sum((1, 2)).clamp(min=_LEAST)
        ctx.save_for_backward(probs, lengths, follow, other, trigrams, paths)
        return scales.log().cumsum(0)[lengths, row] + total.log()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN401
        with torch.autocast(grad.device.type, enabled=False):
            return _LogOfAll._backward(ctx, grad), None, None

    @staticmethod
    def _backward(ctx: Any, grad: Tensor) -> Tensor:  # noqa: ANN401
        probs, lengths, follow, other, trigrams, paths = ctx.saved_tensors
        end, lasts = trigrams[:, :, :1], set(lengths.tolist())
        after = torch.zeros_like(paths[0])  # what follows `ended`, and what follows `within`
        occupied = torch.zeros_like(probs)
        for frame in range(len(probs), 0, -1):
            if frame in lasts:
                after = torch.where(lengths == frame, end, after)
            (ended, within), (after_ended, after_within) = paths[frame], after
            torch.sum(within * after_within, 0, out=occupied[frame - 1])
            occupied[frame - 1, 0] = (ended * after_ended).sum((0, 1))
            each = probs[frame - 1]
            said, blank = after_within * each, after_ended * each[0]
            after = torch.stack(
                [
                    blank + torch.bmm(follow, said).transpose(0, 1),
                    blank + torch.bmm(other, said).transpose(0, 1).add_(said),
                ]
            )
            after /= after.sum((0, 1, 2)).clamp_(min=_LEAST)
        occupied /= occupied.sum(1, keepdim=True).clamp(min=_LEAST)
        return occupied.permute(2, 0, 1) * grad[:, None, None]


def _transitions(trigrams: Tensor) -> tuple[Tensor, Tensor]:
    """(q, p, r): r after p and q, but the end; and without r = q, which CTC makes one with q."""
    follow = trigrams.permute(1, 0, 2).clone()
    follow[:, :, 0] = 0
    same = torch.eye(len(trigrams), device=trigrams.device)[:, None]
    return follow, follow * (1 - same)
