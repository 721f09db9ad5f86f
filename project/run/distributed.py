"""What is set for runs of several processes, on one machine or on a cluster."""

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

TIMEOUT = timedelta(minutes=10)  # for which a process waits for another


def cluster_plugins() -> list[Any]:
    """Under srun, Slurm without Lightning's own handling of signals, which saves where no run looks."""
    return [SLURMEnvironment(auto_requeue=False)] if SLURMEnvironment.detect() else []


def requeue() -> str:
    """Put the Slurm job that this process is in into the queue again; says so, or why not, or nothing outside one."""
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
    """Let processes wait for each other as long as TIMEOUT, unless the strategy was given a time of its own."""
    strategy: Any = trainer.strategy
    if getattr(strategy, "_timeout", None) == default_pg_timeout:
        strategy._timeout = TIMEOUT


def refuse_forked_processes(trainer: L.Trainer) -> None:
    """Raise UserError for ddp_spawn, ddp_fork and ddp_notebook, whose processes hand back weights and nothing else."""
    if isinstance(trainer.strategy.launcher, _MultiProcessingLauncher):
        raise UserError(
            "this --trainer.strategy trains in processes that return weights alone, so that the run's results would be "
            "lost: use --trainer.strategy ddp, which starts as many processes"
        )
