"""All loggers of a command: metrics.csv, W&B and those that the user adds."""

import os
from collections.abc import Iterable
from typing import Any

from jsonargparse import Namespace
from lightning.pytorch.loggers import Logger, WandbLogger

from project.loggers.metrics_csv import MetricsCSV
from project.loggers.wandb import WandB
from project.loggers.wandb_setup import resolve_mode
from project.run.folder import Run


def all_loggers(
    given: Logger | Iterable[Logger] | bool | None, run: Run, command: str, wandb: Any
) -> list[Logger]:
    """The loggers of ``--trainer.logger`` and the built-in ones.

    The user's come first, because a model's ``self.logger`` is the first one. A process has one W&B
    run, so the built-in one is left out if the user gives a `WandbLogger`.

    Args:
        given: The user's loggers; None or True if there are none, False to log nothing at all.
        run: The run that is logged.
        command: The command; only `fit` and `test` write metrics.csv, and `predict` logs nothing.
        wandb: Arguments of `WandB`.
    """
    if given is False or command == "predict":
        return []
    if isinstance(given, Logger):
        given = [given]
    theirs = [] if given is None or isinstance(given, bool) else list(given)
    ours: list[Logger] = [MetricsCSV(run)] if command in ("fit", "test") else []
    if not any(isinstance(logger, WandbLogger) for logger in theirs):
        mode = resolve_mode(wandb.mode)
        if mode != "disabled":
            ours.append(WandB(run, **{**wandb, "mode": mode}))
    return [*theirs, *ours]


def absolute_folders(parsed: Any) -> None:
    """Make the ``save_dir`` of parsed loggers absolute, so that a run works from any folder."""
    for logger in parsed if isinstance(parsed, list) else [parsed]:
        init_args = logger.get("init_args", {}) if isinstance(logger, Namespace) else {}
        folder = init_args.get("save_dir")
        if folder and "://" not in str(folder):  # not an address such as s3://bucket
            init_args["save_dir"] = os.path.abspath(folder)
