"""The columns of a table: classes to predict, and features of numbers and categories."""

import logging
from collections import Counter
from collections.abc import Sequence
from statistics import fmean, median
from typing import Literal

import torch
from torch import Tensor

from project.data.table.file import Table, is_missing, number, numbers_of
from project.errors import UserError, printable

log = logging.getLogger(__name__)
Impute = Literal["mean", "median"]
Columns = dict[str, list[str] | None]  # the categories of each column; None if it has numbers


def find_classes(table: Table, target: str, kind: Literal["class", "number"] | None) -> list[str]:
    """Names of the classes in the column to predict, in order; none if it has numbers.

    Args:
        table: The file.
        target: Name of the column.
        kind: What is in it; None for numbers if all cells are numbers.

    Raises:
        UserError: A cell is empty, or there is only one class.
    """
    cells = table.column(target)
    for i, cell in enumerate(cells):
        if is_missing(cell):
            raise UserError(f"{table.where(i)} has no {target}, which is the target: complete it")
        if kind == "number" and number(cell) is None:
            advice = "mend it, or give --data.target_type class"
            raise UserError(f"{table.where(i)} has {printable(cell)!r}, no number: {advice}")
    if kind == "number" or (kind is None and all(number(cell) is not None for cell in cells)):
        return []
    classes = sorted(set(cells))
    if len(classes) < 2:
        what = f"{target} is {printable(cells[0])} in every row"
        raise UserError(f"{table.path}: {what}, so there is nothing to learn: give --data.target")
    return classes


def find_columns(
    table: Table, names: Sequence[str], categorical: Sequence[str], rows: Sequence[int]
) -> Columns:
    """The kind of each column, from the rows that are trained on.

    A column is one of numbers if most of its cells are, and its other cells are mistakes then.

    Args:
        table: The file.
        names: The columns that become features.
        categorical: Those whose numbers are names of categories.
        rows: The samples that are trained on.

    Raises:
        UserError: There is no column.
    """
    if not names:
        raise UserError(f"{table.path} has no column to predict the target from")
    found: Columns = {}
    for name in names:
        column = table.column(name)
        cells = [column[i] for i in rows if not is_missing(column[i])]
        numbers = sum(number(cell) is not None for cell in cells)
        is_number = name not in categorical and 2 * numbers > len(cells)
        found[name] = None if is_number else sorted(set(cells))
    return found


def fill_values(
    table: Table, columns: Columns, impute: Impute | None, rows: Sequence[int]
) -> dict[str, float | str]:
    """What stands for a missing cell of each column: that of the samples that are trained on."""
    found: dict[str, float | str] = {}
    average = median if impute == "median" else fmean
    for name, categories in columns.items() if impute else ():
        column = table.column(name)
        cells = [column[i] for i in rows if not is_missing(column[i])]
        values = [value for cell in cells if (value := number(cell)) is not None]
        if cells and categories is not None:
            found[name] = Counter(sorted(cells)).most_common(1)[0][0]
        elif values:
            found[name] = average(values)
    return found


def features_of(table: Table, columns: Columns, fill: dict[str, float | str]) -> Tensor:
    """Features (N, D): the numbers, and a 0 or 1 for each category.

    A category that is not among those of training is 0 in all of them, and said once.

    Raises:
        UserError: A column or a cell is missing, or a cell of numbers holds something else.
    """
    parts = []
    for name, categories in columns.items():
        if name not in table.names:
            raise UserError(f"{table.path} lacks the column {name} that the network was trained on")
        cells = [fill.get(name, c) if is_missing(c) else c for c in table.column(name)]
        for i, cell in enumerate(cells):
            if isinstance(cell, str) and is_missing(cell):
                raise UserError(
                    f"{table.where(i)} has no value of {name}: complete it, or fill all such "
                    "cells by --data.impute mean or median of the training samples"
                )
        if categories is None:
            parts.append(torch.tensor(numbers_of(table, name, cells), dtype=torch.float64)[:, None])
            continue
        parts.append(torch.tensor([[cell == c for c in categories] for cell in cells]).double())
        if unknown := Counter(cell for cell in cells if cell not in categories):
            log.warning(
                f"{sum(unknown.values())} row(s) of {table.path} have a {name} that training has "
                f"never seen, such as {printable(str(min(unknown, key=str)))!r}: each is taken for "
                "none of its categories"
            )
    return torch.cat(parts, 1).float()


def warn_of_useless(table: Table, columns: Columns, rows: Sequence[int]) -> None:
    """Name the columns that tell nothing of the samples that are trained on."""
    for name, categories in columns.items():
        values = {table.column(name)[i] for i in rows}
        if len(values) == 1:
            log.warning(
                f"the column {name} is {min(values)} in every training sample: it tells nothing"
            )
        elif categories is not None and len(categories) > max(20, len(rows) // 2):
            log.warning(
                f"the column {name} has {len(categories)} categories: if it names each sample, "
                f"leave it out by --data.ignore [{name}]"
            )
