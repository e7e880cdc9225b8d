"""A run's folder: one process at a time, and what each finished stage was made from."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from speechkit.data.files import sha256, write_json
from speechkit.data.lock import locked


class RunFolder:
    """The folder of one run. `stages.json` holds, by stage, the inputs it was made from."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder while inside.

        Raises:
            RunError: another process holds it, or it cannot be written.
        """
        with locked(
            self.path,
            name=f"the run's folder {self.path}",
            busy="wait for it, or give this run another name: --run NAME",
            unwritable="runs are kept in runs/ of the folder the command is given in",
        ):
            yield

    def inputs(self, stage: str) -> dict[str, Any] | None:
        """What `stage` was made from; None where it has not ended."""
        inputs: dict[str, Any] | None = self._stages().get(stage, {}).get("inputs")
        return inputs

    def measured(self, stage: str) -> dict[str, float]:
        """What was measured while `stage` went on."""
        measured: dict[str, float] = self._stages().get(stage, {}).get("measured", {})
        return measured

    def is_done(self, stage: str, inputs: Mapping[str, Any], output: Path) -> bool:
        """Whether `stage` has ended with these inputs, and its output is as it was left."""
        noted = self._stages().get(stage)
        return (
            noted is not None
            and noted["inputs"] == json.loads(json.dumps(inputs))
            and output.is_file()
            and noted["sha256"] == sha256(output)
        )

    def done(
        self,
        stage: str,
        inputs: Mapping[str, Any],
        output: Path | None = None,
        measured: Mapping[str, float] | None = None,
    ) -> None:
        """Note that `stage` has ended, with what, and what its output is."""
        note = {
            "inputs": dict(inputs),
            "sha256": sha256(output) if output else None,
            "measured": dict(measured or {}),
        }
        write_json(self.path / "stages.json", {**self._stages(), stage: note})

    def forget(self) -> None:
        """Note that no stage has ended."""
        write_json(self.path / "stages.json", {})

    def _stages(self) -> dict[str, Any]:
        try:
            stages: dict[str, Any] = json.loads((self.path / "stages.json").read_text("utf-8"))
        except FileNotFoundError:
            return {}
        except ValueError:
            return {}  # never half-written by us; whatever it is now, it tells of no stage
        return stages


def differences(before: Any, after: Any, path: str = "") -> list[str]:  # noqa: ANN401 - JSON
    """Where two JSON values differ: `model.dim: 192, now 256`."""
    if isinstance(before, dict) and isinstance(after, dict):
        return [
            line
            for key in sorted(before.keys() | after.keys())
            for line in differences(before.get(key), after.get(key), f"{path}.{key}".lstrip("."))
        ]
    return [] if before == after else [f"{path}: {_brief(before)}, now {_brief(after)}"]


def _brief(value: Any) -> str:  # noqa: ANN401 - JSON
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."
