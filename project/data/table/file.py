"""Reading a CSV file of samples."""

import csv
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from project.errors import UserError, printable

MISSING = {"", "?", "na", "n/a", "nan", "null", "none"}  # in lower case


class Table(NamedTuple):
    """The rows of a CSV file.

    Attributes:
        path: The file.
        names: Names of its columns.
        rows: The cells of each row.
        lines: The line in the file at which each row ends; none for a row that is in no file.
    """

    path: Path
    names: list[str]
    rows: list[list[str]]
    lines: list[int]

    def column(self, name: str) -> list[str]:
        """The cells of a column."""
        index = self.names.index(name)
        return [row[index] for row in self.rows]

    def where(self, row: int) -> str:
        """How messages call a row."""
        return f"{self.path}, line {self.lines[row]}" if self.lines else str(self.path)


def read_table(
    path: Path, named: dict[str, list[str]], flag: str = "--data.path", least: int = 10
) -> Table:
    """The content of a CSV file, whose first line has the names of the columns.

    Args:
        path: The file.
        named: The columns that an argument of the dataset names, by the argument's name.
        flag: What names the file on the command line.
        least: The number of rows that it needs.

    Raises:
        UserError: It cannot be read, lacks a column, has too few rows, or a row is too long or too
            short.
    """
    rows, lines = [], []
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            names = [name.strip() for name in next(reader, [])]
            for row in reader:
                if row:
                    rows.append([cell.strip() for cell in row])
                    lines.append(reader.line_num)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"cannot read {path} ({reason}): give {flag} a CSV file") from None
    if not names or not rows:
        what = "is empty" if not names else "has names of columns and no row"
        raise UserError(f"{path} {what}: it needs a line of names, and a row for each sample")
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise UserError(f"{path} has two columns called {printable(twice[0])!r}: rename one")
    for key, name in [(key, name) for key, some in named.items() for name in some]:
        if name not in names:
            known = printable(", ".join(names))
            raise UserError(f"{path} has no column {name} (--data.{key}): it has {known}")
    if len(rows) < least:
        few = f"{len(rows)} row(s): it needs {least} or more to hold some out"
        raise UserError(f"{path} has {few}")
    table = Table(path, names, rows, lines)
    for i, row in enumerate(rows):
        if len(row) != len(names):
            raise UserError(
                f"{table.where(i)} has {len(row)} cells, but there are {len(names)} columns: "
                "put cells with commas in quotes"
            )
    return table


def number(cell: str) -> float | None:
    """The finite number in a cell; None if there is none."""
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def is_missing(cell: str) -> bool:
    """Whether a cell holds no value."""
    return cell.lower() in MISSING


def numbers_of(table: Table, name: str, cells: Sequence[float | str]) -> list[float]:
    """The numbers of a column.

    Raises:
        UserError: A cell holds something else.
    """
    values = [cell if isinstance(cell, float) else number(cell) for cell in cells]
    for i, value in enumerate(values):
        if value is None:
            raise UserError(
                f"{table.where(i)} has {printable(str(cells[i]))!r} in the column {name} of "
                "numbers: mend it, or make the column one of categories by --data.categorical "
                f"[{name}]"
            )
    return [value for value in values if value is not None]
