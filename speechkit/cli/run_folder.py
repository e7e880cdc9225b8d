"""Where a recipe's run is kept."""

from pathlib import Path

from speechkit.errors import RunError
from speechkit.recipe import Recipe


def run_folder(recipe: Recipe, root: Path, run_name: str | None) -> Path:
    """The folder of a recipe's run: the recipe's name, and its profile's; or the name given.

    Raises:
        RunError: the name given is none of a folder.
    """
    usual = "-".join(filter(None, (recipe.settings.name, recipe.profile)))
    name = usual if run_name is None else run_name
    if not name or Path(name).name != name or name in {".", ".."}:
        raise RunError(f"--run {name!r} is no name of a folder", hint="give a name without /")
    return root / name
