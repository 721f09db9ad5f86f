"""Sweep with Optuna, without an account: give the same command in as many processes as wanted, at any time.

They share one study in a file. A trial whose process was killed goes on from its checkpoint in
another.
"""

import fcntl
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from jsonargparse import ArgumentParser

from project.commands.sweep.space import Sweep, read_sweep
from project.commands.sweep.trial import check, conclude, train
from project.errors import UserError, writing
from project.run.folder import shown


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.add_argument(
        "file", type=Path, help="A sweep in W&B's format, such as configs/sweeps/digits.yaml."
    )
    parser.add_argument(
        "--trials", type=int, default=20, help="Of the study, over all processes and calls."
    )
    parser.add_argument(
        "--runs_dir", type=Path, default=Path("runs"), help="Where the study and its runs go."
    )


def run(arguments: Any) -> None:
    """Take part in a study until it has all its trials.

    Raises:
        UserError: The file is wrong, or a trial cannot be trained.
    """
    sweep = read_sweep(arguments.file)
    folder = arguments.runs_dir.absolute() / sweep.name
    study = open_study(sweep, folder)
    most = min(arguments.trials, len(sweep.grid)) if sweep.method == "grid" else arguments.trials
    while reserved := reserve(study, sweep, folder, most):
        trial, lock = reserved
        with lock:
            train(study, trial, sweep, arguments.runs_dir)
    conclude(study, sweep, folder)


def open_study(sweep: Sweep, folder: Path) -> Any:
    """The study in a folder, made if it is new.

    Raises:
        UserError: Optuna is not installed, `fit` does not take a parameter, or the study is another
            sweep's.
    """
    try:
        import optuna
    except ImportError:
        raise UserError("sweep needs Optuna: pip install -e '.[sweep]'") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    check(sweep)
    with writing(folder):
        (folder / "trials").mkdir(parents=True, exist_ok=True)
    with exclusive(folder):
        study = optuna.create_study(
            storage=optuna.storages.RDBStorage(
                f"sqlite:///{folder / 'study.db'}", engine_kwargs={"connect_args": {"timeout": 60}}
            ),
            study_name=sweep.name,
            direction="maximize" if sweep.maximize else "minimize",
            pruner=pruner(sweep),
            load_if_exists=True,
        )
        if study.user_attrs.get("sweep", sweep.definition) != sweep.definition:
            raise UserError(
                f"{shown(folder)} is the study of another sweep: rename the file, or give --runs_dir"
            )
        study.set_user_attr("sweep", sweep.definition)
    return study


def pruner(sweep: Sweep) -> Any:
    """What stops trials early: asynchronous successive halving (Li et al., 2020), as W&B's hyperband does."""
    import optuna

    if sweep.min_epochs is None:
        return optuna.pruners.NopPruner()
    return optuna.pruners.SuccessiveHalvingPruner(
        min_resource=sweep.min_epochs, reduction_factor=sweep.eta
    )


def sampler(sweep: Sweep, number: int) -> Any:
    """What chooses the values of a trial, which its number seeds."""
    import optuna

    if sweep.method != "bayes":
        return optuna.samplers.RandomSampler(seed=number)
    with warnings.catch_warnings():
        # Trials of other processes count as bad until they end, so that no two try the same.
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.TPESampler(seed=number, constant_liar=True)


def reserve(study: Any, sweep: Sweep, folder: Path, most: int) -> tuple[Any, IO[str]] | None:
    """A trial for this process and the lock that makes it ours: one whose process is gone, or a new one.

    None if neither is left.
    """
    import optuna

    with exclusive(folder):
        trials = study.get_trials(deepcopy=False)
        for trial in trials:
            running = trial.state == optuna.trial.TrialState.RUNNING
            if running and (lock := locked(folder, trial.number)):
                study.sampler = sampler(sweep, trial.number)
                return optuna.trial.Trial(study, trial._trial_id), lock
        waiting = study.get_trials(deepcopy=False, states=[optuna.trial.TrialState.WAITING])
        if len(trials) - len(waiting) >= most:
            return None
        study.sampler = sampler(sweep, len(trials) - len(waiting))
        if sweep.method == "grid" and not waiting:
            study.enqueue_trial(sweep.grid[len(trials)])
        trial = study.ask()
        lock = locked(folder, trial.number)
        assert lock is not None  # since nobody else knows of the trial
        return trial, lock


def locked(folder: Path, number: int) -> IO[str] | None:
    """The lock of a trial, which the end of its process frees however it comes; None if a process has it."""
    file = (folder / "trials" / f"{number}.lock").open("w", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Only one process at a time looks for a trial."""
    with (folder / "study.lock").open("w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
