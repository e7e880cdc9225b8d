"""What every feature extractor must hold. Axes: B utterances, N samples, T frames, D features."""

from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from speechkit.ctc import length_mask
from speechkit.testing import imports, rows
from speechkit.testing.checks import Checks, NotApplicable, Unmet
from speechkit.testing.devices import stays_on_device
from speechkit.testing.globals import leaves_generators, seeds_nothing
from speechkit.testing.subject import Subject

CHECKS = Checks("features")

_SECONDS = (0.41, 0.2, 0.63, 0.055)  # of the rows of a batch


def _extractor(subject: Subject) -> Any:  # noqa: ANN401 - an extractor, also a module
    return subject.build().eval()


def _wave(samples: int, rate: int) -> Tensor:
    """(N,) something like a voice: a buzz whose loudness comes and goes, and noise behind it."""
    seconds = torch.arange(samples) / rate
    buzz = sum(torch.sin(2 * torch.pi * 130 * each * seconds) / each for each in range(1, 20))
    loudness = 0.1 + 0.2 * torch.sin(2 * torch.pi * 4 * seconds).square()
    return loudness * torch.as_tensor(buzz) / 2 + 0.003 * torch.randn(samples)


def _waves(extractor: Any) -> list[Tensor]:  # noqa: ANN401 - an extractor
    rate = extractor.sample_rate
    return [_wave(round(each * rate), rate) for each in _SECONDS]


def _hop(extractor: Any) -> int:  # noqa: ANN401 - an extractor
    return max(1, round(float(extractor.frame_shift_seconds) * int(extractor.sample_rate)))


@CHECKS.add("a settings' class or a constructor with other arguments, or a missing attribute")
def is_an_extractor(subject: Subject) -> str:
    """Build it, read what it states, and call it with four rows."""
    extractor = subject.build()
    if not isinstance(extractor, nn.Module):
        raise Unmet(f"it is a {type(extractor).__name__}, not an nn.Module")
    for name, kind in (("sample_rate", int), ("dim", int), ("frame_shift_seconds", float)):
        stated = getattr(extractor, name, None)
        if not isinstance(stated, kind) or not stated > 0:
            raise Unmet(f"its `{name}` is {stated!r}, not {kind.__name__} above 0")
    waves, lengths = rows.padded(_waves(extractor.eval()))
    given = extractor(waves, lengths)
    if not isinstance(given, tuple) or len(given) not in {2, 3}:
        raise Unmet(f"it gives a {type(given).__name__}, not (features, lengths[, times])")
    values, frames, *times = given
    shape = (len(waves), values.shape[1], extractor.dim) if values.dim() == 3 else ()
    if tuple(values.shape) != shape or not values.is_floating_point():
        raise Unmet(
            f"features are {tuple(values.shape)} {values.dtype}, not (4, T, {extractor.dim}) as "
            "`dim` says"
        )
    if frames.shape != lengths.shape or frames.is_floating_point():
        raise Unmet(f"lengths are {tuple(frames.shape)} {frames.dtype}, not (B,) whole numbers")
    if times and times[0].shape != values.shape[:2]:
        raise Unmet(f"the frames' times are {tuple(times[0].shape)}, not {tuple(values.shape[:2])}")
    return f"{tuple(waves.shape)} -> {tuple(values.shape)}"


@CHECKS.add("a mean, a maximum or a filter that runs over the padded batch")
@torch.no_grad()
def batched_equals_one_by_one(subject: Subject) -> str:
    """Compare four rows of different lengths in one batch with each of them alone."""
    extractor = _extractor(subject)
    rows.unlike_alone(extractor, _waves(extractor), 0, 0.0)
    return "the same, to rounding"


@CHECKS.add("lengths, or a normalisation, taken from the padded size")
@torch.no_grad()
def padding_length_changes_nothing(subject: Subject) -> str:
    """Put zeros after each row, from one sample to many windows."""
    extractor = _extractor(subject)
    many = 40 * _hop(extractor) + 7
    for more in (1, _hop(extractor), many):
        rows.unlike_alone(extractor, _waves(extractor), more, 0.0)
    return f"the same with up to {many} samples more"


@CHECKS.add("a window that reaches past a row's end: count those that lie whole within it")
@torch.no_grad()
def padding_content_changes_nothing(subject: Subject) -> str:
    """Fill the padding with noise in place of zeros."""
    extractor = _extractor(subject)
    rows.unlike_zeros(extractor, _waves(extractor), 3 * _hop(extractor), 0.2)
    return "the same, to rounding"


@CHECKS.add("another formula for the lengths than for the frames: 1 + (N - window) // hop")
@torch.no_grad()
def lengths_are_right(subject: Subject) -> str:
    """Give it rows of every length from 0 to several frames, and compare lengths with frames."""
    extractor = _extractor(subject)
    hop = _hop(extractor)
    for samples in [*range(0, 8 * hop, max(1, hop // 9)), hop - 1, hop, hop + 1]:
        values, frames, *times = extractor(torch.randn(1, samples), torch.tensor([samples]))
        count = int(frames[0])
        if not 0 <= count <= values.shape[1]:
            raise Unmet(f"{samples} samples: it says {count} frames and gives {values.shape[1]}")
        if count > samples // hop + 1 or (count and not samples):
            raise Unmet(f"{samples} samples hold no {count} frames, one every {hop} samples")
        if values.shape[2] != extractor.dim:
            raise Unmet(f"{samples} samples: {values.shape[2]} features, not {extractor.dim}")
    if times:
        return "as many frames as it says, for each"
    longer = [30 * hop + each * max(1, hop // 4) for each in range(5)] + [31 * hop]
    _, found = extractor(torch.randn(len(longer), 40 * hop), torch.tensor(longer))
    if int(found[-1]) != int(found[0]) + 1:
        raise Unmet(
            f"{longer[0]} and {longer[-1]} samples give {int(found[0])} and {int(found[-1])} "
            f"frames: `frame_shift_seconds` says that one comes every {hop} samples"
        )
    return f"as many frames as it says, one every {hop} samples"


@CHECKS.add("frame times counted from another start, or in frames or samples in place of seconds")
@torch.no_grad()
def times_are_in_order(subject: Subject) -> str:
    """Look at the times it gives with the frames it keeps."""
    extractor = _extractor(subject)
    waves = _waves(extractor)
    _, frames, *times = extractor(*rows.padded(waves))
    if not times:
        raise NotApplicable("it drops no frames, and gives no times")
    for row, (wave, count) in enumerate(zip(waves, frames.tolist(), strict=True)):
        own = times[0][row, :count]
        end = len(wave) / extractor.sample_rate
        if bool((own.diff() <= 0).any()) or bool(((own < 0) | (own > end)).any()):
            raise Unmet(f"row {row}, of {end:g} s, has the times {own.tolist()[:8]}, ...")
    return "in order, within each row"


@CHECKS.add("dither or another random number: an augmentation is the place for it")
@torch.no_grad()
def the_same_twice(subject: Subject) -> str:
    """Call it twice with the same batch."""
    extractor = _extractor(subject)
    batch = rows.padded(_waves(extractor))
    first, second = extractor(*batch), extractor(*batch)
    if why := rows.difference(second[0], first[0]):
        raise Unmet(f"the second call gives something else: {why}")
    leaves_generators(lambda: extractor(*batch))
    return "the same, and no random number drawn"


@CHECKS.add("a call of torch.manual_seed, random.seed or numpy.random.seed in the part")
def global_generators_are_not_seeded(subject: Subject) -> str:
    """Build and call it after two seeds, and compare the generators."""
    batch = rows.padded(_waves(_extractor(subject)))
    seeds_nothing(lambda: _extractor(subject)(*batch))
    return "they end in different states"


@CHECKS.add("the logarithm of 0 (clamp it), or a division by the energy of a row")
@torch.no_grad()
def silence_is_finite(subject: Subject) -> str:
    """Give it digital silence, a constant, and a square wave at full scale."""
    extractor = _extractor(subject)
    samples = extractor.sample_rate // 3
    loud = torch.ones(samples)
    loud[::2] = -1.0
    waves, lengths = rows.padded([torch.zeros(samples), torch.full((samples,), 0.5), loud])
    values, frames, *_ = extractor(waves, lengths)
    for row, said in enumerate(("silence", "a constant", "full scale")):
        if not bool(values[row, : int(frames[row])].isfinite().all()):
            raise Unmet(f"features of {said} are not finite")
    return "finite"


@CHECKS.add("features that do not depend on the sound, or a device where all became 0")
@torch.no_grad()
def sound_is_heard(subject: Subject) -> str:
    """Compare the features of two different sounds."""
    extractor = _extractor(subject)
    rate = extractor.sample_rate
    waves, lengths = rows.padded([_wave(rate // 2, rate), 0.2 * torch.randn(rate // 2)])
    values, frames, *_ = extractor(waves, lengths)
    count = int(frames.min())
    if not count or not rows.difference(values[0, :count], values[1, :count]):
        raise Unmet("a buzz and noise have the same features")
    return "they differ"


@CHECKS.add("an operator that ends in _, or += and [...] =, on the waveforms: copy them first")
@torch.no_grad()
def input_is_untouched(subject: Subject) -> str:
    """Compare waveforms and lengths before and after a call."""
    extractor = _extractor(subject)
    batch = rows.padded(_waves(extractor))
    before = [each.clone() for each in batch]
    extractor(*batch)
    rows.unlike_before(before, batch, ("waveforms", "lengths"))
    return "as they were"


@CHECKS.add(
    "a tensor made in forward without device=, or kept as a plain attribute: use register_buffer"
)
@torch.no_grad()
def runs_where_its_input_is(subject: Subject) -> str:
    """Call it with everything on a GPU (a pretended one where there is none)."""
    extractor = _extractor(subject)
    return stays_on_device(extractor, *rows.padded(_waves(extractor)))


@CHECKS.add("matrix products in bfloat16: compute under torch.autocast(..., enabled=False)")
@torch.no_grad()
def survives_bf16(subject: Subject) -> str:
    """Make features under bfloat16 autocast, and compare."""
    extractor = _extractor(subject)
    batch = rows.padded(_waves(extractor))
    whole, frames, *_ = extractor(*batch)
    with torch.autocast("cpu", torch.bfloat16):
        half, half_frames, *_ = extractor(*batch)
    if half_frames.tolist() != frames.tolist():
        raise Unmet(f"lengths are {half_frames.tolist()}, not {frames.tolist()}")
    mask = length_mask(frames, whole.shape[1])
    off = (half.double() - whole.double())[mask].abs().max()
    spread = float(whole.double()[mask].std())
    if not float(off) <= 0.1 * spread:
        raise Unmet(f"a feature is {float(off):.3g} off; their standard deviation is {spread:.3g}")
    return f"within {float(off) / spread:.1%} of the features' standard deviation"


@CHECKS.add("what is fitted is kept as a plain attribute: use register_buffer")
@torch.no_grad()
def state_dict_round_trip(subject: Subject) -> str:
    """Save its state as safetensors, load it into a new one, and compare."""
    extractor = _extractor(subject)
    batch = rows.padded(_waves(extractor))
    expected = extractor(*batch)[0]
    stored = save({name: each.contiguous() for name, each in extractor.state_dict().items()})
    other = _extractor(subject)
    other.load_state_dict(load(stored))
    if why := rows.difference(other(*batch)[0], expected):
        raise Unmet(f"the loaded one is another: {why}")
    return f"the same; {len(extractor.state_dict())} tensors"


@CHECKS.add("code at the module's top level: put it in functions")
def nothing_happens_at_import(subject: Subject) -> str:
    """Import its module in a fresh process: no file, program, output, seed, flag or weights."""
    return imports.does_nothing(subject)
