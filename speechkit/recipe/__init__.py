"""Recipes: which components a run uses, and the settings of each.

Nothing of a recipe is used before all of it is checked, every profile, too, and all problems are
told at once. What a key means is said where it is declared: the engine's in `settings.py`, a
component's in its `Config`.

A profile, and then `--set`, is laid over the recipe's tables: tables are merged key by key, and all
else is replaced. A table that names its component with `use` replaces what stood there, but for the
engine's own keys (`[features] normalization`, `[model] start_from`, `[lm] text` and `train_text`).
Several corpora in place of one, [corpus.train.NAME] in place of [corpus.train], do so, too.
A profile with `inherits = "NAME"` is laid over the profile of that name, which may inherit, too.
In [decoder], `use` picks one of the decoders and leaves the settings of all of them in place; a
setting beside `use` is one of the decoder used in that layer.
"""

from speechkit.recipe.read import find_recipe, read_recipe
from speechkit.recipe.record import Choice, Corpus, Recipe

__all__ = ["Choice", "Corpus", "Recipe", "find_recipe", "read_recipe"]
