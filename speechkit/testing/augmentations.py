"""What every augmentation must hold. Axes: B utterances, N samples or frames, D features."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from speechkit.testing import imports, rows
from speechkit.testing.checks import Checks, NotApplicable, Unmet
from speechkit.testing.devices import stays_on_device
from speechkit.testing.globals import leaves_generators, seeds_nothing
from speechkit.testing.subject import Subject

CHECKS = Checks("augmentation")

SAMPLE_RATE = 16_000
DIM = 80
_LENGTHS = {"waveform": (5200, 2900, 4100, 700), "features": (52, 29, 41, 7)}
_LOUDER = 10.0  # times: 20 dB; beyond it another scale was taken


def _augmentation(subject: Subject, **changes: object) -> Any:  # noqa: ANN401 - as built
    return subject.build(subject.configured(**changes), sample_rate=SAMPLE_RATE, dim=DIM)


def _batch(augment: Any) -> tuple[Tensor, Tensor]:  # noqa: ANN401 - an augmentation
    return rows.padded([_row(augment, each) for each in _LENGTHS[augment.stage]])


def _row(augment: Any, length: int) -> Tensor:  # noqa: ANN401 - an augmentation
    if augment.stage == "features":
        return torch.randn(length, DIM)
    loudness = 0.05 + 0.1 * torch.rand(())
    return loudness * torch.randn(length).clamp(-3, 3)


def _draws(numbers: Iterable[int], seed: int = 0) -> list[np.random.Generator]:
    """A stream for each row, as the engine gives them."""
    return [np.random.default_rng((seed, each)) for each in numbers]


@CHECKS.add("a settings' class or a constructor with other arguments, or a wrong `stage`")
def is_an_augmentation(subject: Subject) -> str:
    """Build it, read its stage, and call it with four rows, and with none longer than 1."""
    augment = _augmentation(subject)
    stage = getattr(augment, "stage", None)
    if stage not in _LENGTHS:
        raise Unmet(f'its `stage` is {stage!r}, not "waveform" or "features"')
    values, lengths = _batch(augment)
    given = augment(values, lengths, _draws(range(4)))
    if not isinstance(given, tuple) or len(given) != 3:
        raise Unmet(f"it gives a {type(given).__name__}, not (values, lengths, sources)")
    for name, each in zip(("values", "lengths", "sources"), given, strict=True):
        if not isinstance(each, Tensor):
            raise Unmet(f"its {name} are a {type(each).__name__}, not a tensor")
    found, sizes, sources = given
    if found.dim() != values.dim() or found.shape[2:] != values.shape[2:]:
        raise Unmet(f"{tuple(values.shape)} becomes {tuple(found.shape)}")
    if not len(found) == len(sizes) == len(sources):
        raise Unmet(f"{len(found)} rows have {len(sizes)} lengths and {len(sources)} sources")
    return f"{stage}: {tuple(values.shape)} -> {tuple(found.shape)}"


@CHECKS.add("a random number that is not the row's own stream's: random, numpy.random or torch")
def same_streams_give_the_same(subject: Subject) -> str:
    """Call it twice with the same random streams, after other global seeds."""
    values, lengths = _batch(_augmentation(subject))
    results = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        np.random.seed(seed)
        results.append(_augmentation(subject)(values, lengths, _draws(range(4))))
    for name, first, second in zip(("values", "lengths", "sources"), *results, strict=True):
        if why := rows.difference(second, first):
            raise Unmet(f"the {name} are others: {why}")
    augment = _augmentation(subject)
    leaves_generators(lambda: augment(values, lengths, _draws(range(4))))
    return "the same, and no global generator used"


@CHECKS.add("a generator of its own, seeded with a constant: draw from the streams it is given")
def other_streams_give_another(subject: Subject) -> str:
    """Call it with twenty sets of streams: at least two results must differ."""
    augment = _augmentation(subject)
    values, lengths = _batch(augment)
    results = []
    for seed in range(20):
        results.append(augment(values.clone(), lengths.clone(), _draws(range(4), seed)))
        for first, second in zip(results[0], results[-1], strict=True):
            if rows.difference(second, first):
                return f"another with set {seed}"
    raise Unmet("all twenty are the same")


@CHECKS.add(
    "one draw for the whole batch, one row's stream used for another, or a size, mean or maximum "
    "of the batch"
)
def a_row_is_the_same_alone(subject: Subject) -> str:
    """Compare each row, and its copies, in a batch and alone, with the same streams."""
    augment = _augmentation(subject)
    lengths = _LENGTHS[augment.stage]
    own = [_row(augment, each) for each in lengths]
    for seed in range(3):
        together, sizes, sources = augment(*rows.padded(own), _draws(range(4), seed))
        for number, row in enumerate(own):
            alone, alone_sizes, _ = augment(*rows.padded([row]), _draws([number], seed))
            mine = (sources == number).nonzero().flatten().tolist()
            if [int(sizes[each]) for each in mine] != alone_sizes.tolist():
                raise Unmet(
                    f"row {number} of lengths {list(lengths)} becomes rows of "
                    f"{[int(sizes[each]) for each in mine]} in the batch, {alone_sizes.tolist()} "
                    "alone"
                )
            for each, expected, size in zip(mine, alone, alone_sizes.tolist(), strict=True):
                if why := rows.difference(together[each, :size], expected[:size]):
                    raise Unmet(f"row {number} is not what it is alone: {why}")
    return "the same, to rounding"


@CHECKS.add("a mean, a level or a filter that takes in the padding")
def padding_content_changes_nothing(subject: Subject) -> str:
    """Fill the padding with noise in place of zeros."""
    augment = _augmentation(subject)
    own = [_row(augment, each) for each in _LENGTHS[augment.stage]]

    def part(values: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        found, sizes, _ = augment(values, lengths, _draws(range(len(values))))
        return found, sizes

    rows.unlike_zeros(part, own, 50, 1.0)
    return "the same, to rounding"


@CHECKS.add("lengths not changed along with the values, or one too many")
def lengths_are_right(subject: Subject) -> str:
    """Give it rows of 0, 1, 2, ... samples or frames, and look at lengths, sources and values."""
    augment = _augmentation(subject)
    own = [_row(augment, each) for each in (0, 1, 2, 3, 5, 8, 400)]
    for seed in range(5):
        values, lengths = rows.padded(own)
        found, sizes, sources = augment(values, lengths, _draws(range(len(own)), seed))
        if sizes.is_floating_point() or sources.is_floating_point():
            raise Unmet(f"lengths are {sizes.dtype}, sources {sources.dtype}: not whole numbers")
        if bool(((sizes < 0) | (sizes > found.shape[1])).any()):
            raise Unmet(f"it gives {found.shape[1]} a row, and says {sizes.tolist()}")
        if bool(((sources < 0) | (sources >= len(own))).any()):
            raise Unmet(f"sources are {sources.tolist()}, of {len(own)} rows")
        if missing := sorted(set(range(1, len(own))) - set(sources.tolist())):
            raise Unmet(f"row {missing[0]} is gone")
        for number, size in enumerate(sizes.tolist()):
            if not bool(found[number, :size].isfinite().all()):
                raise Unmet(f"a row of {int(lengths[sources[number]])} is not finite")
            if (
                augment.stage == "waveform"
                and size > 8
                and not bool(found[number, size - 8 : size].any())
            ):
                raise Unmet(f"a row of {size} samples ends in nothing: its length is too large")
        if (
            len(found) == len(own)
            and found.shape[1] > int(sizes.max())
            and bool(found[int(sizes.argmax()), int(sizes.max()) :].any())
        ):
            raise Unmet(f"a row of {int(sizes.max())} goes on after its length")
    return "each within its row"


@CHECKS.add("the draw compared with >= 1 - probability or <= probability, or a change before it")
def probability_0_changes_nothing(subject: Subject) -> str:
    """Set `probability = 0`, and compare what comes out with what went in."""
    if not subject.takes("probability"):
        raise NotApplicable("it has no setting `probability`")
    augment = _augmentation(subject, probability=0.0)
    values, lengths = _batch(augment)
    for seed in range(5):
        found, sizes, sources = augment(values.clone(), lengths.clone(), _draws(range(4), seed))
        if sizes.tolist() != lengths.tolist() or sources.tolist() != list(range(4)):
            raise Unmet(f"lengths {lengths.tolist()} become {sizes.tolist()}")
        for number, size in enumerate(lengths.tolist()):
            if why := rows.difference(found[number, :size], values[number, :size]):
                raise Unmet(f"row {number} is changed: {why}")
    return "as they were"


@CHECKS.add("numpy's float64 on the way (torch.from_numpy), or samples scaled to 16 bits")
def dtype_and_range_stay(subject: Subject) -> str:
    """Look at the type and at the loudest value, with float32 in."""
    augment = _augmentation(subject)
    values, lengths = _batch(augment)
    for seed in range(5):
        found, sizes, _ = augment(values.clone(), lengths.clone(), _draws(range(4), seed))
        if found.dtype != values.dtype:
            raise Unmet(f"{values.dtype} becomes {found.dtype}")
        if sizes.dtype != lengths.dtype:
            raise Unmet(f"lengths become {sizes.dtype}")
        loudest = float(found.abs().max())
        if not loudest <= _LOUDER * float(values.abs().max()):
            raise Unmet(f"the largest value was {float(values.abs().max()):.3g}, is {loudest:.3g}")
    return f"{values.dtype}, and not ten times as large"


@CHECKS.add("an operator that ends in _, or += and [...] =, on the values: copy them first")
def input_is_untouched(subject: Subject) -> str:
    """Compare values and lengths before and after ten calls."""
    augment = _augmentation(subject)
    batch = _batch(augment)
    before = [each.clone() for each in batch]
    for seed in range(10):
        augment(*batch, _draws(range(4), seed))
    rows.unlike_before(before, batch, ("values", "lengths"))
    return "as they were"


@CHECKS.add("a call of torch.manual_seed, random.seed or numpy.random.seed in the part")
def global_generators_are_not_seeded(subject: Subject) -> str:
    """Build and call it after two seeds, and compare the generators."""
    batch = _batch(_augmentation(subject))
    seeds_nothing(lambda: _augmentation(subject)(*batch, _draws(range(4))))
    return "they end in different states"


@CHECKS.add("a sample rate used to build it: a corpus of ready features has none")
def features_need_no_sample_rate(subject: Subject) -> str:
    """Build one of the stage features without a sample rate, as for ready features."""
    if _augmentation(subject).stage != "features":
        raise NotApplicable("it is of the stage waveform")
    augment = subject.build(sample_rate=None, dim=DIM)
    augment(*_batch(augment), _draws(range(4)))
    return "it works"


@CHECKS.add("a tensor made without device=: masks, indices and sources belong where the values are")
def runs_where_its_input_is(subject: Subject) -> str:
    """Call it with everything on a GPU (a pretended one where there is none)."""
    augment = _augmentation(subject)

    def part(values: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        found, sizes, _ = augment(values, lengths, _draws(range(4)))
        return found, sizes

    return stays_on_device(part, *_batch(augment))


@CHECKS.add("code at the module's top level: put it in functions")
def nothing_happens_at_import(subject: Subject) -> str:
    """Import its module in a fresh process: no file, program, output, seed, flag or weights."""
    return imports.does_nothing(subject)
