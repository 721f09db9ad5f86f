"""The predictions of the rows of a table, written beside the rows themselves."""

import csv
from pathlib import Path
from typing import Any

from torch import Tensor

from project.callbacks.plots import output_names
from project.cli.summary import print_predictions
from project.errors import writing
from project.models import Objective
from project.run.folder import Run, shown


def write_rows(
    run: Run, samples: Any, predictions: Tensor, objective: Objective, data: Any
) -> dict[str, str]:
    """Write predictions.csv, and print the first ten.

    Returns:
        Rows for the summary.

    Args:
        run: The run whose folder gets them.
        samples: The user's N rows, with their ``table``.
        predictions: Predictions (N, K).
        objective: What the predictions are.
        data: The data module, which has names of the K outputs.
    """
    table = samples.table
    columns, cells = objective.table(predictions, output_names(data, predictions.shape[1]))
    columns = [f"predicted_{name}" if name in table.names else name for name in columns]
    rows = [[*row, *said] for row, said in zip(table.rows, cells, strict=True)]
    write_table(run.predictions, [*table.names, *columns], rows)
    lines = [f"line {line}" for line in table.lines]
    print_predictions("row", lines, objective, columns, cells)
    return {"predicted": f"{len(rows)} row(s)", "table": shown(run.predictions)}


def write_table(path: Path, columns: list[str], rows: list[list[Any]]) -> None:
    """Write predictions as a CSV file.

    The table is UTF-8, so that every program reads it: a byte of a path that is not is written as
    an escape.

    Args:
        path: CSV file to write.
        columns: Names of the cells.
        rows: The cells of each sample.
    """
    with (
        writing(path),
        path.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file,
    ):
        csv.writer(file).writerows([columns, *rows])
