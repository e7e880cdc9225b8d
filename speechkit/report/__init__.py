"""`report.html` of a run: a file that tells what it learned, where it errs, how to repeat it."""

from pathlib import Path

from speechkit.data.files import written_whole
from speechkit.recipe import Recipe
from speechkit.report.clips import Stores
from speechkit.report.read import read_run, sources

__all__ = ["sources", "write_report"]


def write_report(folder: Path, recipe: Recipe | None = None, stores: Stores | None = None) -> Path:
    """Write `report.html` into a run's folder.

    Args:
        folder: of the run.
        recipe: it was made with; without, labels have no names, and no emissions are drawn.
        stores: the prepared speech of each test; without, there are no recordings in the report.

    Raises:
        RunError: there is no run, or it has no scores.
    """
    from speechkit.report.assemble import page  # noqa: PLC0415 - matplotlib and torch come with it

    made, place = page(read_run(folder), recipe, stores), folder / "report.html"
    with written_whole(place) as beside:
        beside.write_text(made, encoding="utf-8")
    return place
