"""`tracker.jsonl` in the run's folder: a line for each event."""

import json
from collections.abc import Mapping
from typing import Any

from speechkit import RunInfo


def begin(run: RunInfo) -> None:
    """Write the first line; what is there of a training that is thrown away goes."""
    mode = "w" if run.training == "new" else "a"
    with (run.folder / "tracker.jsonl").open(mode, encoding="utf-8") as file:
        settings = run.settings()
        print(json.dumps({"event": "start", "training": run.training, **settings}), file=file)


def add(run: RunInfo, event: str, values: Mapping[str, Any]) -> None:
    """Write a line."""
    with (run.folder / "tracker.jsonl").open("a", encoding="utf-8") as file:
        print(json.dumps({"event": event, **values}), file=file)
