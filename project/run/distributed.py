"""Settings for runs of several processes, on one machine or on a cluster."""

import os
import re
import signal
import subprocess
import time
from datetime import timedelta
from typing import Any

import lightning as L
from lightning.fabric.plugins.collectives.torch_collective import default_pg_timeout
from lightning.pytorch.plugins.environments import SLURMEnvironment
from lightning.pytorch.strategies.launchers.multiprocessing import _MultiProcessingLauncher

from project.errors import UserError
from project.run.fsdp import FSDP2Strategy
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


# What gloo and NCCL say when another process is gone or silent.
LOST = (
    r"Connection (closed|reset|refused)|Broken pipe|[Tt]imed? ?out"
    r"|NCCL|gloo|Socket|recvValue|sendBytes"
)


class RankFailure(Exception):
    """Another process of the same run is gone, or did not answer in time."""


def check_ranks(error: RuntimeError, trainer: Any) -> None:
    """Say which process was lost, if an error means that, and end those that Lightning has started.

    Raises:
        RankFailure: A process was lost.
    """
    if trainer.world_size == 1 or not re.search(LOST, str(error)):
        return
    children = getattr(trainer.strategy.launcher, "procs", [])
    silent = re.search(r"[Tt]imed? ?out", str(error))
    # A process that is killed closes its connections shortly before its parent can see it end.
    deadline = time.monotonic() + (0 if silent else 5)
    while (
        children and all(child.poll() is None for child in children) and time.monotonic() < deadline
    ):
        time.sleep(0.02)
    ended = [
        f"rank {rank} {how(code)}"
        for rank, child in enumerate(children, 1)
        if (code := child.poll())
    ]
    for child in children:
        child.kill()  # one that hangs would stay
        child.wait()
    reason = f"no answer in {trainer.strategy._timeout}" if silent else "its connection closed"
    what = ", ".join(ended) or f"rank {trainer.global_rank} lost another process ({reason})"
    raise RankFailure(f"{what}: what was saved before is whole") from None


def how(code: int) -> str:
    """The end of a process with this return code."""
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"


def has_whole_model(trainer: L.Trainer) -> bool:
    """Whether a process has the whole model, not a part of it."""
    return trainer.world_size == 1 or not isinstance(trainer.strategy, FSDP2Strategy)


def check_whole_tensors(error: RuntimeError, trainer: L.Trainer) -> None:
    """Raise UserError if an error says that something cannot compute with parts of tensors."""
    said = str(error).splitlines()[0] if str(error) else ""
    if not has_whole_model(trainer) and re.search(
        "DTensor|sharding strategy registered|require placement changes", said
    ):
        raise UserError(
            "--trainer.strategy fsdp2 gives an optimiser, network or callback of this run parts of "
            f"tensors, with which it cannot compute ({said}): use ddp, or another of these"
        ) from error
