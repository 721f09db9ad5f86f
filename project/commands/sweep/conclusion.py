"""The end of a sweep: a table of its trials, and the config of the best."""

from pathlib import Path
from typing import Any

import yaml

from project.cli.console import new_console
from project.commands.sweep.space import Sweep
from project.commands.sweep.trial import parse
from project.errors import UserError
from project.run.folder import shown, write_atomically


def conclude(study: Any, sweep: Sweep, folder: Path) -> None:
    """Print the trials, the best first, and write the config of the best once all have ended.

    Raises:
        UserError: No trial was completed.
    """
    from optuna.trial import TrialState

    trials = study.get_trials()
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    complete.sort(key=lambda trial: trial.value, reverse=sweep.maximize)
    others = [trial for trial in trials if trial.state != TrialState.COMPLETE]
    console = new_console()
    console.print(as_table(sweep, [*complete, *others]))
    if running := sum(trial.state == TrialState.RUNNING for trial in trials):
        console.print(
            f"{running} still in other processes: the last of them says which is the best"
        )
        return
    if not complete:
        raise UserError(
            f"no trial of {sweep.path} came to its end: narrow the ranges of its parameters"
        )
    best, path = complete[0], folder / f"{sweep.path.stem}_best.yaml"
    config = yaml.safe_dump(parse(sweep, best.params).full_config(), sort_keys=False)
    header = f"# The best of {len(trials)} trials of {sweep.path}: {sweep.metric} {best.value:.4f}."
    command = f"python -m project fit --config {shown(path)}"
    write_atomically(path, f"{header}\n#\n#     {command}\n{config}")
    console.print(f"best config: {command}", highlight=False, soft_wrap=True)


def as_table(sweep: Sweep, trials: list[Any]) -> Any:
    """A table of rich with a row for each trial."""
    from rich.table import Table

    table = Table(title=f"{sweep.path}: {len(trials)} trials")
    varied = [name for name, parameter in sweep.parameters.items() if "value" not in parameter]
    for name in ("trial", sweep.metric, "epochs", *varied, "run"):
        table.add_column(name, overflow="fold")
    for trial in trials:
        state = trial.state.name.lower()
        result = f"{trial.value:.4f}" if state == "complete" else state
        values = [trial.params.get(name, "") for name in varied]
        texts = [f"{v:.4g}" if isinstance(v, float) else str(v) for v in values]
        epochs, run = max(trial.intermediate_values, default=0), trial.user_attrs.get("run")
        table.add_row(
            str(trial.number), result, str(epochs), *texts, shown(Path(run)) if run else ""
        )
    return table
