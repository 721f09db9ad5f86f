"""What is said at the end of a command."""

import lightning as L

from project.loggers import WandB
from project.run import Run, shown


def print_summary(run: Run, trainer: L.Trainer, rows: dict[str, str], then: str | None = None) -> None:
    """A table of what came out, where it is, and what to type next."""
    if not trainer.is_global_zero:
        return
    from rich.console import Console
    from rich.table import Table

    rows = {"run": shown(run.folder), **rows, "pictures": shown(run.figures)}
    for logger in trainer.loggers:
        if isinstance(logger, WandB):
            rows["W&B"] = logger.where
    if then:
        rows["next"] = f"python -m project {then} --run {shown(run.folder)}"
    table = Table(show_header=False, title=f"{run.experiment}/{run.id}")
    for name, value in rows.items():
        table.add_row(name, value)
    terminal = Console()
    # Into a file there is no width to keep to, and a path on one line can be copied.
    (terminal if terminal.is_terminal else Console(width=240)).print(table)
