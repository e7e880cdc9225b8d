"""Whose code raised an error: a plugin's, by its name, or speechkit's own."""

import traceback
from importlib.metadata import entry_points
from pathlib import Path

from speechkit.component import GROUP

_OURS = "speechkit"  # the distribution
_OF_FILES = "speechkit_file_"  # begins the names of modules that `--plugin FILE` makes


def culprit(error: BaseException) -> str:
    """The plugin whose code was at work last when `error` was raised; empty if none was.

    speechkit's own plugins are not meant: their errors are speechkit's.
    """
    modules = {each.module.partition(".")[0]: each for each in entry_points(group=GROUP)}
    for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
        module = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        place = Path(frame.f_code.co_filename)
        if module.startswith(_OF_FILES):
            return f"the plugin {place}, line {line}"
        if (found := modules.get(module)) and found.dist and found.dist.name != _OURS:
            owner = f"the plugin `{found.name}` of {found.dist.name} {found.dist.version}"
            return f"{owner}, {place.name}, line {line}"
    return ""
