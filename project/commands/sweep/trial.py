"""The trials of a sweep: each is a run that tells the study how it is doing."""

from pathlib import Path
from typing import Any

import lightning as L
import torch
import yaml

from project.cli.arguments import read_arguments
from project.cli.console import new_console
from project.cli.main import CLI, run_command
from project.commands.sweep.space import Sweep
from project.errors import UserError
from project.models.checks import NonFiniteError
from project.run.folder import Run, shown, write_atomically

# A trial has one device, since other processes of it would not know which trial they belong to.
FLAGS = ["--trainer.devices=1", "--trainer.num_nodes=1"]
FLAGS += ["--trainer.enable_progress_bar=false", "--trainer.enable_model_summary=false"]


class Report(L.Callback):
    """Tells the study the metric after each epoch, and stops a trial that is worse than others were then.

    Args:
        trial: Of Optuna.
        metric: Logged at validation.
        reported: Epochs that the study knows of, from before the trial was killed.
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


def check(sweep: Sweep) -> None:
    """Raise UserError, or jsonargparse's error, if `fit` does not take a parameter or one of its values."""
    from optuna.trial import FixedTrial

    for corner in sweep.corners:
        CLI(read_arguments(["fit", *sweep.words, *sweep.flags(FixedTrial(corner))]))


def train(study: Any, trial: Any, sweep: Sweep, runs_dir: Path) -> None:
    """Train a trial, from its last checkpoint if it has been begun, and tell the study what came of it.

    One that diverges or does not fit into memory has failed, and the study goes on.

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


def conclude(study: Any, sweep: Sweep, folder: Path) -> None:
    """Print the trials, the best first, and write the config of the best."""
    from optuna.trial import FixedTrial, TrialState
    from rich.table import Table

    trials = study.get_trials()
    ended = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    ended.sort(key=lambda trial: trial.value, reverse=sweep.maximize)
    others = [trial for trial in trials if trial.state != TrialState.COMPLETE]
    table = Table(title=f"{sweep.path}: {len(trials)} trials")
    varied = [name for name, parameter in sweep.parameters.items() if "value" not in parameter]
    for name in ("trial", sweep.metric, "epochs", *varied, "run"):
        table.add_column(name, overflow="fold")
    for trial in [*ended, *others]:
        value = (
            f"{trial.value:.4f}" if trial.state == TrialState.COMPLETE else trial.state.name.lower()
        )
        values = [
            f"{v:.4g}" if isinstance(v := trial.params.get(name, ""), float) else str(v)
            for name in varied
        ]
        epochs, run = max(trial.intermediate_values, default=0), trial.user_attrs.get("run", "")
        table.add_row(
            str(trial.number), value, str(epochs), *values, shown(Path(run)) if run else ""
        )
    console = new_console()
    console.print(table)
    running = sum(trial.state == TrialState.RUNNING for trial in trials)
    if running:
        console.print(
            f"{running} still in other processes: the last of them says which is the best"
        )
    elif not ended:
        raise UserError(
            f"no trial of {sweep.path} came to its end: narrow the ranges of its parameters"
        )
    else:
        best, path = ended[0], folder / f"{sweep.path.stem}_best.yaml"
        config = CLI(
            read_arguments(["fit", *sweep.words, *sweep.flags(FixedTrial(best.params))])
        ).full_config()
        header = (
            f"# The best of {len(trials)} trials of {sweep.path}: {sweep.metric} {best.value:.4f}."
        )
        command = f"python -m project fit --config {shown(path)}"
        write_atomically(
            path, f"{header}\n#\n#     {command}\n{yaml.safe_dump(config, sort_keys=False)}"
        )
        console.print(f"best config: {command}", highlight=False, soft_wrap=True)
