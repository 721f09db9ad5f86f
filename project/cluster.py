"""What is set for runs of several processes, on one machine or on a cluster."""

from datetime import timedelta
from typing import Any

import lightning as L
from lightning.fabric.plugins.collectives.torch_collective import default_pg_timeout
from lightning.pytorch.plugins.environments import SLURMEnvironment

TIMEOUT = timedelta(minutes=10)  # for which a process waits for another


def cluster_plugins() -> list[Any]:
    """Under srun, Slurm without Lightning's own handling of signals, which saves where no run looks."""
    return [SLURMEnvironment(auto_requeue=False)] if SLURMEnvironment.detect() else []


def bound_waiting(trainer: L.Trainer) -> None:
    """Let processes wait for each other as long as TIMEOUT, unless the strategy was given a time of its own."""
    strategy: Any = trainer.strategy
    if getattr(strategy, "_timeout", None) == default_pg_timeout:
        strategy._timeout = TIMEOUT
