"""The logger that writes metrics.csv."""

import csv
import io
import time
from collections.abc import Mapping
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from project.run.folder import Run, write_atomically


class MetricsCSV(Logger):
    """Writes ``metrics.csv``, with a row for each logged step and a column for each metric.

    When a run resumes, it continues the file, where Lightning's CSVLogger would begin a new one in
    another folder. The file is written with each checkpoint and validation, and between them every
    10 seconds, or less often if that would take more than a twentieth of the time.

    Args:
        run: The run whose metrics are logged.
    """

    def __init__(self, run: Run) -> None:
        super().__init__()
        self.path = run.metrics
        self.due = time.monotonic() + 10
        self.rows: list[dict[str, str]] = []
        if self.path.exists():
            with self.path.open(newline="", encoding="utf-8") as file:
                self.rows = [
                    {k: v for k, v in row.items() if v != ""} for row in csv.DictReader(file)
                ]

    @property
    def name(self) -> str:
        return "csv"

    @property
    def version(self) -> str:
        return self.path.parent.name

    @property
    def save_dir(self) -> str:
        return str(self.path.parent)  # also of profilers' traces

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Do nothing: the config has a file of its own."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        if not self.rows or self.rows[-1]["step"] != str(step):
            self.rows.append({"step": str(step)})
        self.rows[-1].update({name: str(value) for name, value in metrics.items()})
        if time.monotonic() > self.due:
            self.save()

    @rank_zero_only
    def rewind(self, step: int) -> None:
        """Forget rows from ``step`` on, which a run that resumes at ``step`` logs again."""
        self.rows = [row for row in self.rows if int(row["step"]) < step]

    @rank_zero_only
    def save(self) -> None:
        if not self.rows:
            return
        start = time.monotonic()
        text = io.StringIO(newline="")
        names = sorted({name for row in self.rows for name in row} - {"step", "epoch"})
        writer = csv.DictWriter(text, ["step", "epoch", *names])
        writer.writeheader()
        writer.writerows(self.rows)
        write_atomically(self.path, text.getvalue())
        end = time.monotonic()
        self.due = end + max(10, 20 * (end - start))

    def finalize(self, status: str) -> None:
        self.save()
