"""What ends a training, and what is said at the end of a command."""

import csv
import logging
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Timer

from project.cli.console import new_console
from project.errors import UserError, printable
from project.loggers.wandb import WandB
from project.models import Classification, Objective
from project.run.folder import Run, shown

log = logging.getLogger(__name__)


def print_summary(
    run: Run, trainer: L.Trainer, rows: dict[str, str], then: str | None = None
) -> None:
    """A table of what came out, where it is, and what to type next."""
    if not trainer.is_global_zero:
        return
    from rich.table import Table

    rows = {"run": shown(run.folder), **rows}
    if run.figures.is_dir() and "picture" not in rows:
        rows["pictures"] = shown(run.figures)
    for logger in trainer.loggers:
        if isinstance(logger, WandB):
            rows["W&B"] = logger.where
    if then:
        rows["next"] = f"python -m project {then} --run {shown(run.folder)}"
    table = Table(show_header=False, title=f"{run.experiment}/{run.id}")
    for name, value in rows.items():
        table.add_row(name, value)
    new_console().print(table)


def print_worst_classes(table: Path, most: int = 10) -> None:
    """Print the rows of the ``most`` classes with the lowest F1 from a file of class scores."""
    from rich.table import Table

    with table.open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    f1 = header.index("f1")
    few = len(rows) > most
    if few:  # a class that is neither there nor predicted has none
        rows = sorted(rows, key=lambda row: (row[f1] == "nan", float(row[f1])))[:most]
    printed = Table(*header, title=f"the {most} classes with the lowest F1" if few else None)
    for name, *scores, support in rows:
        printed.add_row(name, *(f"{float(score):.4f}" for score in scores), support)
    new_console().print(printed)


def print_predictions(
    what: str,
    samples: list[str],
    objective: Objective,
    columns: list[str],
    rows: list[list[Any]],
    most: int = 10,
) -> None:
    """Print the predictions for the first ``most`` samples.

    Args:
        what: What a sample is, such as an image.
        samples: Names of the N samples.
        objective: What the predictions are.
        columns: Names of the cells, of which the first are printed.
        rows: Cells of the N samples.
        most: Number of samples that are printed.
    """
    from rich.table import Table

    columns = columns[: 2 if isinstance(objective, Classification) else 4]
    title = f"the first {most} of {len(samples)} {what}s" if len(samples) > most else None
    printed = Table(what, *map(printable, columns), title=title)
    for sample, row in zip(samples[:most], rows, strict=False):
        printed.add_row(*map(printable, [sample, *map(str, row[: len(columns)])]))
    new_console().print(printed)


def named(checkpoint: Path, run: Run, chosen_by: Any) -> str:
    """The name of a checkpoint, and for the best one what it is the best of.

    Args:
        checkpoint: The file.
        run: The run that it may belong to.
        chosen_by: Has the ``monitor`` and ``mode`` that the run chooses its best checkpoint by.
    """
    if checkpoint != run.checkpoint("best") or chosen_by.monitor is None:
        return checkpoint.name
    word = "least" if chosen_by.mode == "min" else "greatest"
    return f"{checkpoint.name}: {word} {chosen_by.monitor}"


def limit_reached(trainer: L.Trainer, stopped_early: bool) -> str:
    """Which limit ended a run that is complete, and what to change for it to go on."""
    if stopped_early:
        return "EarlyStopping has ended it: raise its patience, or leave it out"
    if -1 < trainer.max_steps <= trainer.global_step:
        return "raise --trainer.max_steps"
    timers = [callback for callback in trainer.callbacks if isinstance(callback, Timer)]
    if any(
        (remaining := timer.time_remaining()) is not None and remaining <= 0 for timer in timers
    ):
        return "raise --trainer.max_time"
    return "raise --trainer.max_epochs"


def refuse_nothing_to_train(trainer: L.Trainer) -> None:
    """Raise UserError if a limit lets no batch be trained."""
    for name in ("limit_train_batches", "max_epochs", "max_steps"):
        if getattr(trainer, name) == 0:
            raise UserError(
                f"--trainer.{name} 0 trains nothing: give more, or use validate to evaluate only"
            )


def warn_without_end(trainer: L.Trainer) -> None:
    """Warn if no limit is given, so that Lightning trains its own number of epochs."""
    timed = any(isinstance(callback, Timer) for callback in trainer.callbacks)
    limited = trainer.max_epochs is not None or trainer.max_steps != -1 or timed
    if not limited and trainer.is_global_zero:
        log.warning(
            "no end is given, so training takes the 1,000 epochs of Lightning's default: "
            "give --trainer.max_epochs"
        )
