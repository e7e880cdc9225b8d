"""A run of speechkit as a run of MLflow: one and the same, however often the first was stopped."""

from collections.abc import Iterator, Mapping
from typing import Any

from speechkit import RunEnd, RunInfo

EXPERIMENT = "speechkit"
STATUS = {"finished": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}
LONGEST = 500  # characters of a parameter


def begin(run: RunInfo) -> None:
    """Make MLflow's run, or go on with the one whose name stands in the folder."""
    client, kept = _client(), run.folder / "mlflow-run.txt"
    if run.training != "new" and kept.is_file():
        client.update_run(_run_id(run), status="RUNNING")
        return
    experiment = client.get_experiment_by_name(EXPERIMENT)
    number = experiment.experiment_id if experiment else client.create_experiment(EXPERIMENT)
    made = client.create_run(number, run_name=run.name)
    kept.write_text(made.info.run_id)
    for name, value in _flat(run.settings()):
        client.log_param(made.info.run_id, name, str(value)[:LONGEST])


def log(run: RunInfo, prefix: str, step: int, values: Mapping[str, float]) -> None:
    """Add a point to each curve."""
    client = _client()
    for name, value in values.items():
        client.log_metric(_run_id(run), f"{prefix}/{name}", value, step=step)


def end(run: RunInfo, how: RunEnd) -> None:
    """Add scores and report, and say how it ended."""
    client = _client()
    for row in how.scores:
        name = f"{row['test']}/{row['decoder']}"
        client.log_metric(_run_id(run), f"{name}/wer", row["wer"])
        client.log_metric(_run_id(run), f"{name}/cer", row["cer"])
    if how.report:
        client.log_artifact(_run_id(run), str(how.report))
    client.set_terminated(_run_id(run), STATUS[how.status])


def _client() -> Any:  # noqa: ANN401 - MLflow has no types
    from mlflow import MlflowClient  # noqa: PLC0415 - it takes seconds, and may not be there

    return MlflowClient()


def _run_id(run: RunInfo) -> str:
    return (run.folder / "mlflow-run.txt").read_text()


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Settings by their dotted names, as MLflow takes parameters."""
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
