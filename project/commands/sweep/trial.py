"""The trials of a sweep: each is a run that reports its metric to the study."""

from pathlib import Path
from typing import Any

import lightning as L
import torch

from project.cli.arguments import read_arguments
from project.cli.main import CLI, run_command
from project.commands.sweep.space import Sweep
from project.errors import UserError
from project.models.checks import NonFiniteError
from project.run.folder import Run

# A trial has one device: further processes would not know which trial they belong to.
FLAGS = ["--trainer.devices=1", "--trainer.num_nodes=1"]
FLAGS += ["--trainer.enable_progress_bar=false", "--trainer.enable_model_summary=false"]


class Report(L.Callback):
    """Reports the metric after each epoch, and stops a trial that is worse than others were then.

    Args:
        trial: Optuna's trial.
        metric: Name of the metric, logged at validation.
        reported: Epochs that were reported before the trial was killed.
    """

    def __init__(self, trial: Any, metric: str, reported: set[int]) -> None:
        self.trial, self.metric, self.reported = trial, metric, reported
        self.value: float | None = None
        self.stopped = False

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.trial.set_user_attr("run", trainer.default_root_dir)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.state.fn != "fit" or trainer.sanity_checking:
            return
        metrics = trainer.callback_metrics
        if self.metric not in metrics:
            known = ", ".join(name for name in metrics if name.startswith("val/"))
            raise UserError(f"the sweep's metric {self.metric} is not logged: give one of {known}")
        self.value = float(metrics[self.metric])

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        epoch = trainer.current_epoch + 1
        if self.value is not None and epoch not in self.reported:
            self.trial.report(self.value, epoch)
            self.stopped = trainer.should_stop = trainer.should_stop or self.trial.should_prune()
        self.value = None


def parse(sweep: Sweep, values: dict[str, Any]) -> CLI:
    """Parse the command line of a trial with these values.

    Raises:
        UserError: `fit` does not take a parameter or one of its values.
    """
    from optuna.trial import FixedTrial

    return CLI(read_arguments(["fit", *sweep.words, *sweep.flags(FixedTrial(values))]))


def check(sweep: Sweep) -> None:
    """Raise an error if `fit` refuses a parameter or one of its values."""
    for corner in sweep.corners:
        parse(sweep, corner)


def train(study: Any, trial: Any, sweep: Sweep, runs_dir: Path) -> None:
    """Train a trial, from its last checkpoint if it has one, and report its result to the study.

    A trial that diverges or runs out of memory has failed, and the study goes on.

    Raises:
        UserError: The trial cannot be trained; it stays open.
    """
    from optuna.trial import TrialState

    known = study.get_trials()[trial.number]
    values = sweep.flags(trial)
    begun = Run(Path(known.user_attrs.get("run", "nowhere")))
    new = [*sweep.words, *values, *FLAGS, f"--experiment={sweep.name}", f"--runs_dir={runs_dir}"]
    words = ["--run", str(begun.folder)] if begun.config.exists() else new
    print(f"trial {trial.number}: {' '.join(values)}", flush=True)
    report = Report(trial, sweep.metric, set(known.intermediate_values))
    try:
        cli = run_command(["fit", *words], [report])
    except (NonFiniteError, torch.OutOfMemoryError) as error:
        trial.set_user_attr("failed", str(error))
        study.tell(trial, state=TrialState.FAIL)
        print(f"trial {trial.number} failed: {error}", flush=True)
        return
    if not hasattr(cli, "result"):
        raise UserError(
            "a trial needs its best checkpoint: leave out fast_dev_run and enable_checkpointing"
        )
    if report.stopped:
        study.tell(trial, state=TrialState.PRUNED)
    else:
        study.tell(trial, cli.result[sweep.metric])
