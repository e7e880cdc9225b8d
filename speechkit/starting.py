"""Training that starts from the weights of another: of the same labels, or of another language's.

What is of labels (usually the last layer alone) is found by building the model once more with a
label more: what then has another shape is. A label that both have, the blank at least, keeps its
weights; others begin as those of a new model do.
"""

from pathlib import Path

import torch
from torch import Tensor

from speechkit.discovery import Plugins
from speechkit.recogniser import (
    Recogniser,
    load_weights,
    put_weights,
    stored_labels,
    stored_weights,
)

_NAMED = 40  # labels, in what is told


def start_from(recogniser: Recogniser, file: Path, plugins: Plugins) -> str | None:
    """Give `recogniser` the weights in `file`.

    Args:
        recogniser: new; features and model must have the shapes of those in the file.
        file: a model file.
        plugins: the units of the file's labels are among them.

    Returns:
        What became of the labels, for people, where the file's are others.

    Raises:
        RunError: the file is damaged, or its weights are of another shape.
        PluginError: its units are not installed.
    """
    theirs, ours = stored_labels(file, plugins), recogniser.units.vocabulary.labels
    if theirs == ours:
        load_weights(recogniser, file)
        return None
    places = {label: place for place, label in enumerate(theirs)}
    both = [label for label in ours if label in places]
    sources = torch.tensor([places[label] for label in both])
    targets = torch.tensor([place for place, label in enumerate(ours) if label in places])
    weights, own = stored_weights(file), recogniser.state_dict()
    for name, axis in _of_labels(recogniser).items():
        if _fits(weights.get(name), own[name], axis, len(theirs)):
            new = own[name].clone()
            weights[name] = new.index_copy_(
                axis, targets, weights[name].to(new).index_select(axis, sources)
            )
    put_weights(recogniser, weights, file)
    kept = [label if label.strip() else "␣" for label in both[1:]]
    named = " ".join(kept[:_NAMED]) + (" ..." if len(kept) > _NAMED else "")
    return (
        f"starting from {file}, of {len(theirs) - 1} labels; of this recipe's {len(ours) - 1} it "
        f"has {len(kept)} ({named or 'none'}): the others begin anew"
    )


def _of_labels(recogniser: Recogniser) -> dict[str, int]:
    """Tensors that have a row for each label, by name: the axis of the rows."""
    blueprint, count = recogniser.blueprint, len(recogniser.units.vocabulary)
    # On the CPU, where models are built; the weights stay those that the recipe's seed gives.
    with torch.random.fork_rng(devices=[]):
        more = blueprint.model.build(num_features=blueprint.num_features, num_labels=count + 1)
    found, own = {}, recogniser.state_dict()
    for name, wider in more.state_dict(prefix="model.").items():
        shape = own[name].shape
        axes = [axis for axis, size in enumerate(shape) if wider.shape[axis] != size]
        if len(axes) == 1:
            found[name] = axes[0]
    return found


def _fits(stored: Tensor | None, own: Tensor, axis: int, count: int) -> bool:
    """Whether `stored` is the same but for the number of its labels."""
    expected = [*own.shape]
    expected[axis] = count
    return stored is not None and [*stored.shape] == expected
