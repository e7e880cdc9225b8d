"""A tracker of speechkit's runs: JSON lines in the run's folder, and MLflow where it is set up."""

import os

from speechkit import EpochEnd, RunEnd, RunInfo, StepEnd, hookimpl
from speechkit_tracker import lines, mlflow_runs

speechkit_api = 1  # the version of the plugin interface that this is written for

EVERY = 10  # steps from one that is kept to the next


@hookimpl
def speechkit_on_run_start(run: RunInfo) -> None:
    """Begin the table anew where training does."""
    lines.begin(run)
    if _uses_mlflow():
        mlflow_runs.begin(run)


@hookimpl
def speechkit_on_step_end(run: RunInfo, step: StepEnd) -> None:
    """Keep some of the steps: the hook is called for every one."""
    if step.step % EVERY == 0:
        shown = {**step.losses, "learning_rate": step.learning_rate}
        lines.add(run, "step", {"step": step.step, **shown})
        if _uses_mlflow():
            mlflow_runs.log(run, "train", step.step, shown)


@hookimpl
def speechkit_on_epoch_end(run: RunInfo, epoch: EpochEnd) -> None:
    """Keep the losses and the validation's scores."""
    shown = {"loss": epoch.loss, "learning_rate": epoch.learning_rate}
    validation = dict(epoch.validation)
    lines.add(run, "epoch", {"epoch": epoch.epoch, **shown, "validation": validation})
    if _uses_mlflow():
        mlflow_runs.log(run, "epoch", epoch.step, shown)
        mlflow_runs.log(run, "validation", epoch.step, validation)


@hookimpl
def speechkit_on_run_end(run: RunInfo, end: RunEnd) -> None:
    """Keep the scores, and how the run ended."""
    scores = [dict(row) for row in end.scores]
    lines.add(run, "end", {"status": end.status, "error": end.error, "scores": scores})
    if _uses_mlflow():
        mlflow_runs.end(run, end)


def _uses_mlflow() -> bool:
    return "MLFLOW_TRACKING_URI" in os.environ
