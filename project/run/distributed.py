"""Settings for runs of several processes, on one machine or on a cluster."""

import os
import subprocess
from datetime import timedelta
from typing import Any

import lightning as L
from lightning.fabric.plugins.collectives.torch_collective import default_pg_timeout
from lightning.pytorch.plugins.environments import SLURMEnvironment
from lightning.pytorch.strategies.launchers.multiprocessing import _MultiProcessingLauncher

from project.errors import UserError
from project.run.jobs import launcher

TIMEOUT = timedelta(minutes=10)  # how long a process waits for another


def cluster_plugins() -> list[Any]:
    """Under srun, Slurm without Lightning's handling of signals, which saves outside of the run."""
    return [SLURMEnvironment(auto_requeue=False)] if SLURMEnvironment.detect() else []


def requeue() -> str:
    """Requeue the Slurm job of this process, and say so or why not; empty outside of a job."""
    if launcher() != "srun":
        return ""
    job = os.environ["SLURM_JOB_ID"]
    done = subprocess.run(["scontrol", "requeue", job], capture_output=True, text=True)
    return (
        f"; Slurm has job {job} in its queue again"
        if done.returncode == 0
        else f"; {done.stderr.strip()}"
    )


def bound_waiting(trainer: L.Trainer) -> None:
    """Let processes wait for each other up to TIMEOUT, unless the strategy was given a time."""
    strategy: Any = trainer.strategy
    if getattr(strategy, "_timeout", None) == default_pg_timeout:
        strategy._timeout = TIMEOUT


def refuse_forked_processes(trainer: L.Trainer) -> None:
    """Raise UserError for ddp_spawn, ddp_fork and ddp_notebook, which only return weights."""
    if isinstance(trainer.strategy.launcher, _MultiProcessingLauncher):
        raise UserError(
            "this --trainer.strategy trains in processes that return weights alone, so that the "
            "run's results would be lost: use --trainer.strategy ddp, which starts as many"
        )
