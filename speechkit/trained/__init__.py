"""Trained models for others: a folder each, shipped by any distribution, and loaded by name.

A folder holds

    model.json         what the model is: format, scores, licence, and the sums of the other files
    model.safetensors  weights, in float32, float16 or int8, with the parts they are of
    recipe.toml        those parts and the decoder, as a recipe has them
    lm/                a language model for the decoder, where there is one
    README.md          the same for people: the model card

Nothing in it is a program: weights are safetensors, all else is text. A distribution ships models
by an entry point of the group `speechkit_pretrained` that names a package; each folder in it with a
model.json is a model. Listing them imports neither that package nor torch.
"""

from speechkit.trained.folder import Facts, is_pretrained, read_facts, verified
from speechkit.trained.installed import InstalledModel, find_model, installed_models

__all__ = [
    "Facts",
    "InstalledModel",
    "find_model",
    "installed_models",
    "is_pretrained",
    "read_facts",
    "verified",
]
