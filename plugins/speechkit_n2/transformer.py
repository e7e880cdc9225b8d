"""N2: convolutional subsampling by 4 (or 2), a pre-norm Transformer encoder, a CTC head.

What differs from the Transformer of Vaswani et al. (2017): layer norm stands before each module;
positions are rotary (Su et al., 2021); each layer may have a depthwise-convolution module (from
the Conformer, Gulati et al., 2020, with layer norm in place of batch norm, so that neither the
batch nor padding changes a row); layers may be dropped whole in training (stochastic depth,
Huang et al., 2016); CTC losses on middle layers may train the lower ones (Lee and Watanabe,
2021); middle layers may run at half the frame rate (Squeezeformer's temporal U-Net, Kim et al.,
2022); two views of each utterance may be made to agree (Yao et al., 2025); what a text has over all
others may be what is trained (Xiang and Ou, 2019).

Axes: B utterances, T frames, D features, C channels, H heads, K features a head, V labels.
"""

import math
from functools import partial
from typing import Literal

import torch
from pydantic import model_validator
from torch import Tensor, nn
from torch.nn import functional

from speechkit import CTCConfig, CTCModel, Dropout, Field, length_mask


class N2Config(CTCConfig):
    """Sizes: the defaults make about 5 M parameters for 80 features and 29 labels."""

    dim: int = Field(192, gt=0, description="channels of the encoder")
    layers: int = Field(10, gt=0, description="encoder layers")
    heads: int = Field(4, gt=0, description="attention heads")
    attention: bool | tuple[int, ...] = Field(
        default=True,
        description="self-attention in each layer; or the layers, from 1, that have it: on CPUs it "
        "costs as much as all the rest",
    )
    feedforward: int = Field(4, gt=0, description="width of the feed-forward module, times dim")
    convolution: int = Field(
        31,
        ge=0,
        description="frames the depthwise convolution of each layer sees; 0: no such module",
    )
    halved: tuple[int, int] | None = Field(
        None, description="first and last of the layers that run at half the frame rate: faster"
    )
    subsampling: Literal[2, 4] = Field(
        4,
        description="frames of features for one of the encoder: 2 gives a language model more to "
        "go by, and is twice the work, less with `halved` layers",
    )
    subsampling_channels: int = Field(32, gt=0, description="of the convolutions at the input")
    dropout: float = Field(0.1, ge=0, lt=1, description="of every module's output")
    layer_drop: float = Field(0.0, ge=0, lt=1, description="chance that the last layer is left out")
    intermediate: tuple[int, ...] = Field(
        (), description="layers, from 1, whose output is also trained with CTC"
    )
    intermediate_weight: float = Field(
        0.3, ge=0, lt=1, description="of the intermediate losses' mean in the whole loss"
    )

    @model_validator(mode="after")
    def _fits(self) -> "N2Config":
        if self.dim % self.heads or self.dim // self.heads % 2:
            raise ValueError(
                f"dim ({self.dim}) must be heads ({self.heads}) times an even number: "
                "rotary positions turn pairs of features"
            )
        if self.convolution % 2 == 0 and self.convolution:
            raise ValueError(
                f"convolution ({self.convolution}) must be odd, to have a middle frame"
            )
        if not self.attending and not self.convolution:
            raise ValueError("without attention and convolution a frame sees no other frame")
        if bad := [each for each in self.attending if not 1 <= each <= self.layers]:
            raise ValueError(f"layers with attention are among 1 to {self.layers}, not {bad}")
        if bad := [each for each in self.intermediate if not 1 <= each < self.layers]:
            raise ValueError(f"intermediate layers are 1 to {self.layers - 1}, not {bad}")
        if self.halved:
            first, last = self.halved
            if not 1 <= first <= last <= self.layers:
                raise ValueError(
                    f"halved ({first}, {last}): the first and the last of layers 1 to {self.layers}"
                )
            if bad := [each for each in self.intermediate if first <= each < last]:
                raise ValueError(f"intermediate layers {bad} are halved: too few frames for CTC")
        return self

    @property
    def attending(self) -> tuple[int, ...]:
        """The layers that have attention."""
        if isinstance(self.attention, bool):
            return tuple(range(1, self.layers + 1)) if self.attention else ()
        return self.attention


class N2(CTCModel):
    """The whole network: (B, T, D) features to (B, ceil(T / subsampling), V) log probabilities."""

    def __init__(self, config: N2Config, *, num_features: int, num_labels: int) -> None:
        super().__init__(config, num_labels=num_labels)
        self.config = config
        self.subsampling = config.subsampling
        self.subsample = Subsampling(
            num_features, config.subsampling_channels, config.dim, by=config.subsampling
        )
        self.dropout = Dropout(config.dropout)
        self.layers = nn.ModuleList(Layer(config, number) for number in range(1, config.layers + 1))
        self.halving = Halving(config.dim) if config.halved else None
        self.norm = nn.LayerNorm(config.dim)
        self.head = nn.Linear(config.dim, num_labels)
        self._begin()

    @torch.no_grad()
    def _begin(self) -> None:
        """Weights to begin with: what a layer adds is little beside what it reads.

        With PyTorch's own the first layer alone adds six times what the convolutions give, much
        of it alike in all frames; training then stays long where it knows only how frequent
        letters are.
        Modules that add to the stream are scaled by one over the square root of their number
        (Radford et al., "Language models are unsupervised multitask learners", 2019, 2.3).
        """
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)
        self.subsample.project.weight.mul_(math.sqrt(self.config.dim))
        added = [each.module for each in self.modules() if isinstance(each, Residual)]
        for each in added:
            last = each.down if isinstance(each, FeedForward) else each.out
            last.weight.mul_(len(added) ** -0.5)

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, D), (B,) -> (B, ceil(T / subsampling), V), (B,)."""
        outputs, frames = self.encode(features, lengths, after=(self.config.layers,))
        return self.log_probs(outputs[0]), frames

    def loss(
        self, features: Tensor, lengths: Tensor, labels: Tensor, label_lengths: Tensor
    ) -> dict[str, Tensor]:
        """CTC of the last layer, with weights that of the intermediate ones, consistency and MMI.

        Shape: (B,) each.

        Raises:
            RunError: consistency is asked for, and the rows are not two views of each utterance;
                MMI is asked for, and `expect` was not called.
        """
        after = (*self.config.intermediate, self.config.layers)
        outputs, frames = self.encode(features, lengths, after=after)
        *middle, last = [self.log_probs(each) for each in outputs]
        weight = self.config.intermediate_weight
        return self.criterion(
            last, frames, labels, label_lengths, middle=middle, middle_weight=weight
        )

    def encode(
        self, features: Tensor, lengths: Tensor, *, after: tuple[int, ...]
    ) -> tuple[list[Tensor], Tensor]:
        """Outputs (B, T', C) after the layers numbered `after`, and (B,) frames."""
        hidden, frames = self.subsample(features, lengths)
        hidden = self.dropout(hidden)
        first, last = self.config.halved or (0, 0)
        whole = hidden
        place = self._place(frames, hidden)
        outputs = []
        for number, layer in enumerate(self.layers, 1):
            if self.halving and number == first:
                whole, hidden = hidden, self.halving.join(hidden, place[0])
                place = self._place((frames + 1) // 2, hidden)
            hidden = layer(hidden, *place)
            if self.halving and number == last:
                hidden = whole + self.halving.part(hidden, whole.shape[1])
                place = self._place(frames, hidden)
            if number in after:
                outputs.append(hidden)
        return outputs, frames

    def _place(self, frames: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """What layers are told of (B, T, C): (B, T) true within rows, rotations of positions."""
        size = hidden.shape[1]
        turns = rotations(size, self.config.dim // self.config.heads, hidden.device)
        return length_mask(frames, size), turns

    def log_probs(self, hidden: Tensor) -> Tensor:
        """(B, T', C) -> (B, T', V). The one head serves all layers."""
        scores: Tensor = self.head(self.norm(hidden))
        return scores.float().log_softmax(-1)


class Subsampling(nn.Module):
    """Two convolutions of stride 2 over frames and features: T to ceil(T / 4) frames.

        frames in     0 1 2 3 4 5 6 7
        first          0   1   2   3      each sees 3 in, padded with one zero at the edges
        second           0       1

    By 2, the second keeps the frames, and halves the features alone.

    What is past a row's length is zeroed after each convolution: it is what padding would be.
    """

    def __init__(self, num_features: int, channels: int, dim: int, *, by: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, channels, 3, stride=2, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, stride=(by // 2, 2), padding=1)
        self.project = nn.Linear(channels * math.ceil(math.ceil(num_features / 2) / 2), dim)

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, D), (B,) -> (B, ceil(T / by), C), (B,)."""
        if not features.shape[1]:  # no row has a frame: convolutions want one to look at
            features = functional.pad(features, (0, 0, 0, 1))
        mask = length_mask(lengths, features.shape[1])[..., None]
        hidden = torch.where(mask, features, 0.0)
        # Channels last: twice as fast on CPUs, and flattened below without a copy.
        hidden = hidden[:, None].contiguous(memory_format=torch.channels_last)
        hidden, lengths = self._convolved(self.first, hidden, lengths)
        hidden, lengths = self._convolved(self.second, hidden, lengths)
        return self.project(hidden.permute(0, 2, 3, 1).flatten(2)), lengths

    @staticmethod
    def _convolved(convolve: nn.Conv2d, hidden: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        stride = convolve.stride[0]
        lengths = (lengths + stride - 1) // stride
        hidden = functional.silu(convolve(hidden))
        return hidden * length_mask(lengths, hidden.shape[2])[:, None, :, None], lengths


class Halving(nn.Module):
    """Pairs of frames made one, and each one made two again."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.joined = nn.Linear(2 * dim, dim)
        self.parted = nn.Linear(dim, 2 * dim)
        # To begin with, the mean of a pair, and a copy for each of them. With random maps here the
        # training of five hours of speech was at a loss of 2.6 a letter after two thousand steps.
        with torch.no_grad():
            self.joined.weight.copy_(torch.eye(dim).repeat(1, 2) / 2)
            self.parted.weight.copy_(torch.eye(dim).repeat(2, 1))

    def join(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """(B, T, C), (B, T) true within rows -> (B, ceil(T / 2), C)."""
        hidden = functional.pad(hidden * mask[..., None], (0, 0, 0, hidden.shape[1] % 2))
        rows, frames, dim = hidden.shape
        joined: Tensor = self.joined(hidden.reshape(rows, frames // 2, 2 * dim))
        return joined

    def part(self, hidden: Tensor, frames: int) -> Tensor:
        """(B, T, C) -> (B, frames, C), the last of 2 T dropped where `frames` is odd."""
        parted: Tensor = self.parted(hidden).unflatten(2, (2, -1)).flatten(1, 2)
        return parted[:, :frames]


class Layer(nn.Module):
    """Attention, convolution and feed-forward modules, each added to what it read."""

    def __init__(self, config: N2Config, number: int) -> None:
        super().__init__()
        residual = partial(Residual, config.dim, dropout=config.dropout)
        attends = number in config.attending
        self.attend = residual(Attention(config.dim, config.heads)) if attends else None
        self.convolve = (
            residual(Convolution(config.dim, config.convolution)) if config.convolution else None
        )
        self.feed = residual(FeedForward(config.dim, config.feedforward * config.dim))
        self.drop = config.layer_drop * number / config.layers

    def forward(self, hidden: Tensor, mask: Tensor, turns: Tensor) -> Tensor:
        """(B, T, C), (B, T) true within rows, rotations of the positions -> (B, T, C)."""
        if self.training and self.drop and float(torch.rand(())) < self.drop:
            return hidden
        if self.attend is not None:
            hidden = self.attend(hidden, mask, turns)
        if self.convolve is not None:
            hidden = self.convolve(hidden, mask)
        out: Tensor = self.feed(hidden)
        return out


class Residual(nn.Module):
    """x + dropout(module(norm(x)))."""

    def __init__(
        self, dim: int, module: "Attention | Convolution | FeedForward", *, dropout: float
    ) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.module = module
        self.dropout = Dropout(dropout)

    def forward(self, hidden: Tensor, *given: Tensor) -> Tensor:
        """(B, T, C) -> (B, T, C)."""
        out: Tensor = hidden + self.dropout(self.module(self.norm(hidden), *given))
        return out


class Attention(nn.Module):
    """Self-attention among the frames of a row, positions rotary."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.queries_keys_values = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)

    def forward(self, hidden: Tensor, mask: Tensor, turns: Tensor) -> Tensor:
        """(B, T, C), (B, T), (2, T, K) cosines and sines -> (B, T, C)."""
        split = self.queries_keys_values(hidden).unflatten(-1, (3, self.heads, -1))
        queries, keys, values = split.permute(2, 0, 3, 1, 4)  # each (B, H, T, K)
        queries, keys = rotate(queries, turns), rotate(keys, turns)
        # A row of no frames would have nothing to attend to, and give NaN: let it see itself.
        seen = mask | ~mask.any(1, keepdim=True)
        mixed = attend(queries, keys, values, seen[:, None, None, :])
        out: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return out


def attend(queries: Tensor, keys: Tensor, values: Tensor, seen: Tensor) -> Tensor:
    """(B, H, T, K) three times, (B, 1, 1, T) -> (B, H, T, K).

    Training on a CPU the plain products are twice as fast as PyTorch's fused kernel; elsewhere
    the fused one saves the memory of the T x T weights.
    """
    if queries.device.type != "cpu" or not queries.requires_grad:
        fused: Tensor = functional.scaled_dot_product_attention(
            queries, keys, values, attn_mask=seen
        )
        return fused
    # What is not seen is added as -inf by the product itself, and the softmax stays in the
    # products' precision (its sums do not): passes over T x T numbers take most of the time.
    rows, frames = queries.shape[0] * queries.shape[1], queries.shape[2]
    unseen = torch.zeros_like(seen, dtype=queries.dtype).masked_fill(~seen, -torch.inf)
    unseen = unseen.expand(-1, queries.shape[1], frames, -1).reshape(rows, frames, frames)
    scores = torch.baddbmm(
        unseen,
        queries.flatten(0, 1),
        keys.flatten(0, 1).transpose(1, 2),
        alpha=queries.shape[-1] ** -0.5,
    )
    with torch.autocast("cpu", enabled=False):
        weights = scores.softmax(-1)
    return (weights @ values.flatten(0, 1)).view_as(values)


def rotations(frames: int, dim: int, device: torch.device) -> Tensor:
    """(2, T, K): cosines and sines of the angle by which each feature turns at each frame."""
    rates = 10_000.0 ** (-torch.arange(0, dim, 2, device=device, dtype=torch.float32) / dim)
    angles = torch.outer(torch.arange(frames, device=device, dtype=torch.float32), rates)
    angles = torch.cat([angles, angles], dim=-1)
    return torch.stack([angles.cos(), angles.sin()])


def rotate(heads: Tensor, turns: Tensor) -> Tensor:
    """(B, H, T, K): feature k and k + K/2 are a pair, turned by its frame's angle."""
    cosines, sines = turns.to(heads.dtype)
    first, second = heads.chunk(2, dim=-1)
    turned: Tensor = heads * cosines + torch.cat([-second, first], dim=-1) * sines
    return turned


class Convolution(nn.Module):
    """Pointwise with a gate, depthwise over frames, norm, SiLU, pointwise."""

    def __init__(self, dim: int, size: int) -> None:
        super().__init__()
        self.gated = nn.Linear(dim, 2 * dim)
        # On CPUs a depthwise Conv2d over channels that lie last is four times as fast as Conv1d.
        self.depthwise = nn.Conv2d(dim, dim, (size, 1), padding=(size // 2, 0), groups=dim)
        self.norm = nn.LayerNorm(dim)
        self.out = nn.Linear(dim, dim)

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """(B, T, C), (B, T) -> (B, T, C)."""
        hidden = functional.glu(self.gated(hidden), dim=-1) * mask[..., None]
        hidden = self.depthwise(hidden.transpose(1, 2)[..., None])[..., 0].transpose(1, 2)
        out: Tensor = self.out(functional.silu(self.norm(hidden)))
        return out


class FeedForward(nn.Module):
    """Two linear maps with SiLU between."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.up = nn.Linear(dim, hidden)
        self.down = nn.Linear(hidden, dim)

    def forward(self, hidden: Tensor) -> Tensor:
        """(B, T, C) -> (B, T, C)."""
        out: Tensor = self.down(functional.silu(self.up(hidden)))
        return out
