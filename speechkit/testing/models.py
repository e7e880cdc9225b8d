"""What every acoustic model must hold. Axes: B utterances, T frames, D features, V labels."""

import time
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from speechkit.component import Config
from speechkit.ctc import ctc_loss, length_mask
from speechkit.ctc_model import CTCConfig, CTCModel
from speechkit.testing import imports, rows
from speechkit.testing.checks import Checks, Unmet
from speechkit.testing.devices import stays_on_device
from speechkit.testing.globals import leaves_generators, seeds_nothing
from speechkit.testing.subject import Subject

CHECKS = Checks("model")

FEATURES = 16
LABELS = 6
_LEAST_UNIT = 4  # frames
_EVERY_LENGTH = 4  # strides
_LEARNT = 0.3  # nats a label, of the model's own loss
_READ = 1.0  # the same, of its emissions in eval mode
_STEPS = 250
_LEARNING_SECONDS = 20.0
_LEARNING_RATES = (3e-3, 5e-4)


def _model(subject: Subject, seed: int = 0) -> Any:  # noqa: ANN401 - a model, also a module
    torch.manual_seed(seed)
    return _built(subject)


def _built(subject: Subject, config: Config | None = None) -> Any:  # noqa: ANN401 - a model
    """A new model, told what the engine tells it before a training."""
    model: Any = subject.build(config, num_features=FEATURES, num_labels=LABELS)
    if expect := getattr(model, "expect", None):
        expect([[1, 2, 3], [2, 5], [4], [5, 4, 1]])
    return model


def _unit(model: Any) -> int:  # noqa: ANN401 - a model
    """Frames in which a model says at least something."""
    return max(_LEAST_UNIT, int(model.subsampling))


def _rows(model: Any) -> list[Tensor]:  # noqa: ANN401 - a model
    unit = _unit(model)
    lengths = (13 * unit + 1, 8 * unit, 5 * unit + unit // 2, 17 * unit - 1)
    return [torch.randn(length, FEATURES) for length in lengths]


def _four(model: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # noqa: ANN401 - a model
    """Features, lengths, labels, label lengths."""
    features, lengths = rows.padded(_rows(model))
    labels = torch.tensor([[1, 2, 3], [2, 5, 0], [4, 0, 0], [5, 4, 1]])
    return features, lengths, labels, torch.tensor([3, 2, 1, 3])


def _batch(model: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # noqa: ANN401 - a model
    """The same, as the model takes them."""
    return _views(model, *_four(model))


def _views(model: Any, *batch: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # noqa: ANN401
    """The batch: for a model that compares two views of each utterance, twice."""
    if isinstance(model, CTCModel) and model.objective.consistency:
        batch = tuple(torch.cat([each, each]) for each in batch)
    features, lengths, labels, label_lengths = batch
    return features, lengths, labels, label_lengths


@CHECKS.add("a settings' class or a constructor with other arguments, or a missing attribute")
def is_a_model(subject: Subject) -> str:
    """Build it for 16 features and 6 labels, and call it with four rows."""
    model = _model(subject)
    if not isinstance(model, nn.Module):
        raise Unmet(f"it is a {type(model).__name__}, not an nn.Module")
    step = getattr(model, "subsampling", None)
    if not isinstance(step, int) or step < 1:
        raise Unmet(f"its `subsampling` is {step!r}, not a whole number from 1 on")
    if not callable(getattr(model, "loss", None)):
        raise Unmet("it has no method `loss`")
    features, lengths = rows.padded(_rows(model.eval()))
    given = model(features, lengths)
    if not isinstance(given, tuple) or len(given) != 2:
        raise Unmet(f"it gives a {type(given).__name__}, not (log probabilities, lengths)")
    log_probs, frames = given
    if log_probs.dim() != 3 or (len(log_probs), log_probs.shape[2]) != (len(features), LABELS):
        raise Unmet(f"log probabilities are {tuple(log_probs.shape)}, not ({len(features)}, T, 6)")
    if frames.shape != lengths.shape or frames.is_floating_point():
        raise Unmet(f"lengths are {tuple(frames.shape)} {frames.dtype}, not (B,) whole numbers")
    return f"{tuple(features.shape)} -> {tuple(log_probs.shape)}, subsampling {step}"


@CHECKS.add("softmax or plain scores in place of log_softmax, or log_softmax over another axis")
@torch.no_grad()
def probabilities_sum_to_one(subject: Subject) -> str:
    """Sum the exponentials of what it gives at each frame of four rows."""
    model = _model(subject).eval()
    log_probs, frames = model(*rows.padded(_rows(model)))
    inside = log_probs[length_mask(frames, log_probs.shape[1])]
    sums = inside.double().exp().sum(-1)
    if not bool(((sums - 1).abs() < 1e-3).all()):
        raise Unmet(f"they sum to {float(sums.min()):.4g} to {float(sums.max()):.4g}")
    if log_probs.dtype != torch.float32:
        raise Unmet(f"log probabilities are {log_probs.dtype}, not float32")
    return f"1 at each of {len(sums)} frames"


# Before the checks that compare two calls: noise would fail those, too, for another reason.
@CHECKS.add("dropout or noise that does not ask `self.training`, or functional.dropout without it")
@torch.no_grad()
def the_same_twice_in_eval_mode(subject: Subject) -> str:
    """Call it twice with the same batch in eval mode."""
    model = _model(subject).eval()
    batch = rows.padded(_rows(model))
    first, second = model(*batch), model(*batch)
    if why := rows.difference(second[0], first[0]):
        raise Unmet(f"the second call gives something else: {why}")
    leaves_generators(lambda: model(*batch))
    return "the same, and no random number drawn"


@CHECKS.add(
    "attention, normalisation or a recurrent layer that runs over padding: mask it by the lengths"
)
@torch.no_grad()
def batched_equals_one_by_one(subject: Subject) -> str:
    """Compare four rows of different lengths in one batch with each of them alone, in eval mode."""
    model = _model(subject).eval()
    rows.unlike_alone(model, _rows(model), 0, 0.0)
    return "the same, to rounding"


@CHECKS.add("a length that is taken from the padded size, or a statistic over all frames")
@torch.no_grad()
def padding_length_changes_nothing(subject: Subject) -> str:
    """Put zeros after each row, from one frame to several strides, in eval mode."""
    model = _model(subject).eval()
    unit = _unit(model)
    for more in (1, unit, 7 * unit + 3):
        rows.unlike_alone(model, _rows(model), more, 0.0)
    return f"the same with 1, {unit} and {7 * unit + 3} frames more"


@CHECKS.add(
    "a convolution or a frame stack that reads past a row's end: zero what is past its length "
    "before each layer that looks at neighbours (speechkit.length_mask)"
)
@torch.no_grad()
def padding_content_changes_nothing(subject: Subject) -> str:
    """Fill the padding with loud noise in place of zeros, in eval mode."""
    model = _model(subject).eval()
    rows.unlike_zeros(model, _rows(model), _unit(model) + 1, 30.0)
    return "the same, to rounding"


@CHECKS.add(
    "lengths computed by another formula than the layers': floor for ceil, or one too many; or a "
    "layer that refuses a row without frames"
)
@torch.no_grad()
def lengths_are_right(subject: Subject) -> str:
    """Give it rows of every length from 0 to several strides, and compare lengths with frames."""
    model = _model(subject).eval()
    step = model.subsampling
    frames = []
    for length in range(_EVERY_LENGTH * step + 2):
        log_probs, found = model(torch.randn(1, length, FEATURES), torch.tensor([length]))
        frames.append(int(found[0]))
        if not 0 <= frames[-1] <= log_probs.shape[1]:
            raise Unmet(
                f"{length} frames in: it says {frames[-1]} frames and gives {log_probs.shape[1]}"
            )
        if frames[-1] > length // step + 1 or (frames[-1] and not length):
            raise Unmet(
                f"{length} frames in: {frames[-1]} out lie outside of the row, at subsampling "
                f"{step}"
            )
    longer = [16 * _unit(model) + each for each in range(2 * step + 1)]
    _, found = model(torch.randn(len(longer), longer[-1], FEATURES), torch.tensor(longer))
    counts = found.tolist()
    if frames != sorted(frames) or counts != sorted(counts):
        raise Unmet(f"a longer row has fewer frames: {frames + counts}")
    if [more - fewer for fewer, more in zip(counts, counts[step:], strict=False)] != [1] * (
        step + 1
    ):
        raise Unmet(
            f"{step} frames more in should be one more out: {longer[0]} to {longer[-1]} frames "
            f"give {counts}"
        )
    return f"0 to {longer[-1]} frames give 0 to {counts[-1]}"


@CHECKS.add("lengths one too small, or a slice that cuts the row's edges off")
@torch.no_grad()
def whole_row_is_read(subject: Subject) -> str:
    """Change the first, then the last frames of a row: something within its length must change."""
    model = _model(subject).eval()
    unit = _unit(model)
    row, size = torch.randn(1, 12 * unit, FEATURES), torch.tensor([12 * unit])
    before, frames = model(row, size)
    for edge, said in (
        (slice(0, model.subsampling), "first"),
        (slice(-model.subsampling, None), "last"),
    ):
        changed = row.clone()
        changed[:, edge] += 3 * torch.randn_like(changed[:, edge])
        after, _ = model(changed, size)
        inside = slice(0, int(frames[0]))
        if float((after[0, inside] - before[0, inside]).abs().max()) < 1e-6:
            raise Unmet(f"the {said} {model.subsampling} frames of {12 * unit} change nothing")
    return "the first and the last frames count"


@CHECKS.add("a call of torch.manual_seed, random.seed or numpy.random.seed in the part")
def global_generators_are_not_seeded(subject: Subject) -> str:
    """Build it and compute a loss in training mode after two seeds, and compare the generators."""
    batch = _batch(_model(subject))

    def use() -> None:
        _built(subject).train().loss(*batch)

    seeds_nothing(use)
    return "they end in different states"


@CHECKS.add("weights drawn from numpy or random: only torch's generator is seeded by a recipe")
def the_seed_makes_the_weights(subject: Subject) -> str:
    """Build it twice after the same torch.manual_seed."""
    first, second = _model(subject, 7).state_dict(), _model(subject, 7).state_dict()
    for name, weight in first.items():
        if not torch.equal(weight, second[name]):
            raise Unmet(f"`{name}` is another")
    return f"{len(first)} tensors are the same"


@CHECKS.add("an operator that ends in _, or += and [...] =, on an argument: copy it first")
def input_is_untouched(subject: Subject) -> str:
    """Compare features, lengths and labels before and after a call and a loss."""
    model = _model(subject)
    batch = _batch(model)
    before = [each.clone() for each in batch]
    with torch.no_grad():
        model.eval()(*batch[:2])
    model.train().loss(*batch)
    rows.unlike_before(before, batch, ("features", "lengths", "labels", "label_lengths"))
    return "as they were"


@CHECKS.add(
    "a tensor made in forward without device=, or kept as a plain attribute: use register_buffer"
)
def runs_where_its_input_is(subject: Subject) -> str:
    """Call it with everything on a GPU (a pretended one where there is none)."""
    model = _model(subject).eval()
    return stays_on_device(model, *rows.padded(_rows(model)))


@CHECKS.add("a mean or a sum over the batch: give one number per utterance, in nats")
def a_loss_per_utterance(subject: Subject) -> str:
    """Compute the loss of four utterances in training mode."""
    model = _model(subject).train()
    batch = _batch(model)
    losses = model.loss(*batch)
    if not isinstance(losses, dict) or "loss" not in losses:
        raise Unmet(f'it gives {losses!r:.80}, not a dict with "loss"')
    for name, each in losses.items():
        if tuple(each.shape) != (len(batch[0]),):
            raise Unmet(f'"{name}" has the shape {tuple(each.shape)}, not ({len(batch[0])},)')
        if not bool(each.isfinite().all()):
            raise Unmet(f'"{name}" is {each.tolist()}')
    if not losses["loss"].requires_grad:
        raise Unmet("no gradient flows from it")
    return "[" + ", ".join(f"{each:.1f}" for each in losses["loss"].tolist()) + "] nats"


@CHECKS.add(
    "the padded size given to the loss in place of the lengths, or padded labels counted as labels"
)
@torch.no_grad()
def true_lengths_reach_the_loss(subject: Subject) -> str:
    """Compare losses in a batch, in a longer padded one and one by one, in eval mode."""
    model = _model(subject).eval()
    features, lengths, labels, label_lengths = _batch(model)
    expected = model.loss(features, lengths, labels, label_lengths)["loss"]
    more = nn.functional.pad(features, (0, 0, 0, 5 * _unit(model)))
    _same_loss(model.loss(more, lengths, labels, label_lengths), expected, "with more padding")
    other = torch.where(length_mask(label_lengths, labels.shape[1]), labels, 1)
    _same_loss(
        model.loss(features, lengths, other, label_lengths),
        expected,
        "with other labels past their lengths",
    )
    for row, (size, count) in enumerate(zip(lengths.tolist(), label_lengths.tolist(), strict=True)):
        place = slice(row, row + 1)
        alone = model.loss(
            features[place, :size], lengths[place], labels[place, :count], label_lengths[place]
        )
        _same_loss(alone, expected[place], f"of row {row} alone")
    return "the same, to rounding"


def _same_loss(found: dict[str, Tensor], expected: Tensor, said: str) -> None:
    if why := rows.difference(found["loss"], expected):
        raise Unmet(f"the loss {said} is another: {why}")


@CHECKS.add("a loss divided by labels or frames: the engine divides, by the labels of the batch")
@torch.no_grad()
def the_loss_is_a_sum(subject: Subject) -> str:
    """Compare the loss with CTC of its own emissions, and with that divided by labels or frames."""
    model = _model(subject).eval()
    features, lengths, labels, label_lengths = _batch(model)
    found = model.loss(features, lengths, labels, label_lengths)["loss"]
    log_probs, frames = model(features, lengths)
    whole = ctc_loss(log_probs, frames, labels, label_lengths)
    for divisor, said in ((label_lengths, "labels"), (frames, "frames")):
        if bool((divisor > 1).any()) and not rows.difference(found, whole / divisor):
            raise Unmet(f"it is the CTC loss of its emissions divided by the number of {said}")
    if not rows.difference(found, whole):
        return "it is the CTC loss of its emissions"
    return "it is no mean of the CTC loss of its emissions"


@CHECKS.add("the labels do not enter the loss, or all are taken for the same")
@torch.no_grad()
def labels_reach_the_loss(subject: Subject) -> str:
    """Change one label of each utterance."""
    model = _model(subject).eval()
    features, lengths, labels, label_lengths = _batch(model)
    other = labels.clone()
    other[:, 0] = labels[:, 0] % (LABELS - 1) + 1
    before = model.loss(features, lengths, labels, label_lengths)["loss"]
    after = model.loss(features, lengths, other, label_lengths)["loss"]
    if float((before - after).abs().max()) < 1e-6:
        raise Unmet(f"the losses stay {[round(each, 3) for each in before.tolist()]}")
    return "each loss is another"


@CHECKS.add(
    "CTCModel is not told the settings, super().__init__(config, num_labels=num_labels), or a "
    "`loss` of its own does not end with self.criterion(log_probs, frames, labels, label_lengths)"
)
@torch.no_grad()
def objective_is_learnt(subject: Subject) -> str:
    """Compute the loss of two views of four utterances with and without `consistency` and `mmi`."""
    if not isinstance(subject.config, CTCConfig):
        return "its settings are no CTCConfig: there is neither"
    for setting, weight in (("consistency", 100.0), ("mmi", 0.5)):
        losses = []
        for value in (0.0, weight):
            torch.manual_seed(0)
            given = {"consistency": 0.0, "mmi": 0.0, setting: value}
            model = _built(subject, subject.configured(**given)).train()
            features, lengths, labels, label_lengths = (
                torch.cat([each, each]) for each in _four(model)
            )
            features[len(features) // 2 :] *= -1.0
            losses.append(model.loss(features, lengths, labels, label_lengths)["loss"])
        if not rows.difference(*losses):
            raise Unmet(f"the losses with {setting} = 0 and {weight:g} are the same")
    return "each changes the loss"


@CHECKS.add(
    "a layer that is built and not used, a detach() or no_grad() in the way, or a logarithm of 0"
)
def gradients_reach_every_parameter(subject: Subject) -> str:
    """Go back from the loss in training mode, up to eight times, to every parameter."""
    model = _model(subject).train()
    batch = _batch(model)
    wanted = {name: each for name, each in model.named_parameters() if each.requires_grad}
    missed = set(wanted)
    for _ in range(8):  # a model may leave layers out at random
        model.zero_grad(set_to_none=True)
        model.loss(*batch)["loss"].sum().backward()
        for name, each in wanted.items():
            if each.grad is not None and not bool(each.grad.isfinite().all()):
                raise Unmet(f"the gradient of `{name}` is not finite")
        missed -= {name for name, each in wanted.items() if each.grad is not None}
        if not missed:
            break
    if missed:
        raise Unmet(f"none reaches {', '.join(f'`{name}`' for name in sorted(missed)[:5])}")
    return f"finite in all of {len(wanted)}"


def _lesson(model: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # noqa: ANN401 - a model
    """Four utterances in which every label has a sound of its own."""
    unit = _unit(model)
    labels = torch.tensor([[1, 2, 3, 4], [5, 4, 3, 1], [2, 5, 1, 0], [3, 1, 0, 0]])
    label_lengths = torch.tensor([4, 4, 3, 2])
    sounds = 2 * torch.randn(LABELS, FEATURES, generator=torch.Generator().manual_seed(0))
    sounds[0] = 0.0
    spoken = [
        torch.cat([sounds[each].expand(3 * unit, -1).clone() for each in row[:count].tolist()])
        for row, count in zip(labels, label_lengths.tolist(), strict=True)
    ]
    features, lengths = rows.padded([each + 0.1 * torch.randn_like(each) for each in spoken])
    return _views(model, features, lengths, labels, label_lengths)


@CHECKS.add(
    "labels shifted or scrambled on their way to the loss, a detached layer, an activation after "
    "the last layer, or weights that begin too large"
)
def overfits_one_batch(subject: Subject) -> str:
    """Train it on four short utterances down to 0.3 nats a label, and read its emissions.

    Adam, at most 250 steps or 20 seconds for each of two learning rates. Then the CTC loss of its
    emissions, in eval mode, must be small, too: 1 nat a label at most.
    """
    said = ""
    for rate in _LEARNING_RATES:
        model, loss, steps = _trained(subject, rate)
        said = f"{loss:.2f} nats a label after {steps} steps at {rate:g}"
        if loss <= _LEARNT:
            return f"{said}; {_read(model, said)}"
    raise Unmet(said)


def _trained(subject: Subject, rate: float) -> tuple[Any, float, int]:
    """The model, its last loss in nats a label, and the steps it took."""
    model = _model(subject).train()
    batch = _lesson(model)
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    end = time.perf_counter() + _LEARNING_SECONDS
    loss, step = torch.inf, 0
    while step < _STEPS and loss > _LEARNT and time.perf_counter() < end:
        optimizer.zero_grad(set_to_none=True)
        each = model.loss(*batch)["loss"].sum() / batch[3].sum()
        each.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        loss, step = float(each), step + 1
    return model, loss, step


@torch.no_grad()
def _read(model: Any, said: str) -> str:  # noqa: ANN401 - a model
    features, lengths, labels, label_lengths = _lesson(model)
    log_probs, frames = model.eval()(features, lengths)
    losses = ctc_loss(log_probs, frames, labels, label_lengths)
    loss = float(losses.sum() / label_lengths.sum())
    if not loss <= _READ:
        raise Unmet(
            f"{said}, but its emissions in eval mode give the labels {loss:.2f} nats a label"
        )
    return f"{loss:.2f} by its emissions in eval mode"


@CHECKS.add(
    "log_softmax in bfloat16 (call .float() before), numpy, which has no bfloat16, or a tensor of "
    "another type made for a result"
)
def survives_bf16(subject: Subject) -> str:
    """Compute emissions and a loss under bfloat16 autocast."""
    model = _model(subject).eval()
    batch = _batch(model)
    with torch.no_grad():
        whole, frames = model(*batch[:2])
    with torch.autocast("cpu", torch.bfloat16):
        with torch.no_grad():
            half, half_frames = model(*batch[:2])
        loss = model.train().loss(*batch)["loss"]
    if half_frames.tolist() != frames.tolist():
        raise Unmet(f"lengths are {half_frames.tolist()}, not {frames.tolist()}")
    mask = length_mask(frames, whole.shape[1])
    off = (half.float().exp() - whole.exp())[mask].abs()
    sums = half.float().exp().sum(-1)[mask]
    if not bool(half[mask].isfinite().all()) or not bool(loss.isfinite().all()):
        raise Unmet("log probabilities or loss are not finite")
    if float((sums - 1).abs().max()) > 0.02 or float(off.max()) > 0.15:
        raise Unmet(
            f"probabilities sum to {float(sums.min()):.3f} to {float(sums.max()):.3f}, up to "
            f"{float(off.max()):.3f} off those in float32"
        )
    loss.sum().backward()
    return f"probabilities within {float(off.max()):.4f} of those in float32"


@CHECKS.add(
    "what a layer learns is kept as a plain attribute (use register_buffer), or two names for one "
    "tensor, which safetensors refuses"
)
def state_dict_round_trip(subject: Subject) -> str:
    """Train two steps, save the weights as safetensors, load them into a new model, and compare."""
    model = _model(subject).train()
    batch = _lesson(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    for _ in range(2):
        optimizer.zero_grad()
        model.loss(*batch)["loss"].mean().backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    stored = save({name: each.contiguous() for name, each in model.state_dict().items()})
    other = _model(subject, seed=1)
    other.load_state_dict(load(stored))
    with torch.no_grad():
        expected, _ = model.eval()(*batch[:2])
        found, _ = other.eval()(*batch[:2])
    if why := rows.difference(found, expected):
        raise Unmet(f"the loaded model is another: {why}")
    return f"the same; {len(stored) / 1e6:.1f} MB"


@CHECKS.add("code at the module's top level: put it in functions")
def nothing_happens_at_import(subject: Subject) -> str:
    """Import its module in a fresh process: no file, program, output, seed, flag or weights."""
    return imports.does_nothing(subject)
