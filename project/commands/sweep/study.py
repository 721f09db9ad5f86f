"""The study of a sweep, which its processes share in a folder."""

import fcntl
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from project.commands.sweep.space import Sweep
from project.commands.sweep.trial import check
from project.errors import UserError, writing
from project.run.folder import shown


def open_study(sweep: Sweep, folder: Path) -> Any:
    """The study in a folder, which is created if it is new.

    Raises:
        UserError: Optuna is not installed, `fit` refuses a parameter, or the study belongs to
            another sweep.
    """
    try:
        import optuna
    except ImportError:
        raise UserError("sweep needs Optuna: pip install -e '.[sweep]'") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    check(sweep)
    with writing(folder):
        (folder / "trials").mkdir(parents=True, exist_ok=True)
    address, timeout = f"sqlite:///{folder / 'study.db'}", {"connect_args": {"timeout": 60}}
    with exclusive(folder):
        study = optuna.create_study(
            storage=optuna.storages.RDBStorage(address, engine_kwargs=timeout),
            study_name=sweep.name,
            direction="maximize" if sweep.maximize else "minimize",
            pruner=pruner(sweep),
            load_if_exists=True,
        )
        if study.user_attrs.get("sweep", sweep.definition) != sweep.definition:
            raise UserError(
                f"{shown(folder)} is the study of another sweep: "
                "rename the file, or give --runs_dir"
            )
        study.set_user_attr("sweep", sweep.definition)
    return study


def pruner(sweep: Sweep) -> Any:
    """Asynchronous successive halving (Li et al., 2020), as in W&B, if trials may stop early."""
    import optuna

    if sweep.min_epochs is None:
        return optuna.pruners.NopPruner()
    return optuna.pruners.SuccessiveHalvingPruner(
        min_resource=sweep.min_epochs, reduction_factor=sweep.eta
    )


def sampler(sweep: Sweep, number: int) -> Any:
    """The sampler of the values of a trial, seeded by the trial's number."""
    import optuna

    if sweep.method != "bayes":
        return optuna.samplers.RandomSampler(seed=number)
    with warnings.catch_warnings():
        # Trials of other processes count as bad until they end, so that no two try the same.
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.TPESampler(seed=number, constant_liar=True)


def reserve(study: Any, sweep: Sweep, folder: Path, most: int) -> tuple[Any, IO[str]] | None:
    """Reserve a trial whose process is gone, or a new one, and return it with its lock.

    None if the study has ``most`` trials, and all others are finished or running.
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
        assert lock is not None  # no other process knows of the trial
        return trial, lock


def locked(folder: Path, number: int) -> IO[str] | None:
    """Lock a trial until this process ends, however it ends; None if a process has the lock."""
    file = (folder / "trials" / f"{number}.lock").open("w", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Let one process at a time look for a trial."""
    with (folder / "study.lock").open("w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
