"""A CSV file of your own: a sample in each row, a feature in each column."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from project.data.features import Features
from project.data.sampler import TensorImages
from project.data.splits import stratified_part, stratified_split
from project.data.table.columns import (
    Columns,
    Impute,
    features_of,
    fill_values,
    find_classes,
    find_columns,
    warn_of_useless,
)
from project.data.table.file import Table, numbers_of, read_table
from project.data.table.rows import TableRows
from project.errors import UserError


class CSV(Features):
    """The rows of a CSV file, with one column to predict from the others.

    Columns of numbers are standardised, columns of text are one-hot. Which columns are which, their
    categories and their statistics come from the samples that are trained on alone. A seeded part
    of the rows is the test set.

    Args:
        path: The file; its first line has the names of the columns.
        target: The column to predict.
        target_type: ``class`` for the objective ``Classification``, ``number`` for ``Regression``;
            None for numbers if all of its cells are numbers.
        ignore: Columns to leave out, such as that of an identifier.
        categorical: Columns whose numbers are names of categories.
        impute: What fills missing numbers: ``mean`` or ``median``. Missing categories are then
            filled by the most frequent one. None lets a missing value be an error.
        test_size: Fraction of the rows in the test set.
        measured: As in `Features`, with the ``columns`` and the categories of each, or None for
            numbers; with ``fill`` for missing cells, and names of the ``classes``.
        **kwargs: The arguments of `Features`.
    """

    def __init__(
        self,
        path: str,
        target: str,
        target_type: Literal["class", "number"] | None = None,
        ignore: list[str] | None = None,
        categorical: list[str] | None = None,
        impute: Impute | None = None,
        test_size: float = 0.2,
        measured: dict[str, Any] | None = None,
        **kwargs,
    ) -> None:
        super().__init__(measured=measured, **kwargs)
        if not 0 < test_size < 1:
            raise UserError(f"--data.test_size {test_size} must be a fraction between 0 and 1")
        self.path, self.target, self.test_size = Path(path).absolute(), target, test_size
        self.target_type, self.impute = target_type, impute
        self.ignore, self.categorical = ignore or [], categorical or []
        self.columns: Columns = measured["columns"] if measured else {}
        self.fill: dict[str, float | str] = measured["fill"] if measured else {}
        self.classes: list[str] = measured["classes"] if measured else []
        if not measured:
            self.find_columns()
        self.input_shape, self.num_classes = (len(self.feature_names),), len(self.classes) or 1

    @classmethod
    def metadata(cls, arguments: dict[str, Any]) -> tuple[int, tuple[int, ...]]:
        data = cls(**arguments)
        return data.num_classes, data.input_shape

    @property
    def checksum_status(self) -> str:
        return "none is published for a table of your own"

    @property
    def class_names(self) -> Sequence[str]:  # type: ignore[override]
        return self.classes or [self.target]

    @property
    def feature_names(self) -> Sequence[str]:  # type: ignore[override]
        named = (
            [k] if c is None else [f"{k}={part}" for part in c] for k, c in self.columns.items()
        )
        return [name for names in named for name in names]

    @property
    def measured(self) -> dict[str, Any]:
        found = {"columns": self.columns, "fill": self.fill, "classes": self.classes}
        return {**super().measured, **found}

    @property
    def resolved_args(self) -> dict[str, Any]:
        return {**super().resolved_args, "path": str(self.path)}

    @cached_property
    def table(self) -> Table:
        """The file's content."""
        named = {"target": [self.target], "ignore": self.ignore, "categorical": self.categorical}
        return read_table(self.path, named)

    def find_columns(self) -> None:
        """Set columns, their fill values and the classes."""
        table = self.table
        self.classes = find_classes(table, self.target, self.target_type)
        names = [n for n in table.names if n not in (self.target, *self.ignore)]
        train, _ = self.rows()
        y = self.targets()[train]
        rest, _ = self.held_out(y)
        part = train[stratified_part(rest, y, self.fraction, self.split_seed)].tolist()
        self.columns = find_columns(table, names, self.categorical, part)
        self.fill = fill_values(table, self.columns, self.impute, part)
        warn_of_useless(table, self.columns, part)

    def rows(self) -> tuple[Tensor, Tensor]:
        """The rows for training and validation, and those of the test set."""
        return stratified_split(self.targets(), self.test_size, seed=0)

    def targets(self) -> Tensor:
        """Classes or numbers (N,) of all rows."""
        cells = self.table.column(self.target)
        if not self.classes:
            return torch.tensor(numbers_of(self.table, self.target, cells))
        if unknown := {*cells} - {*self.classes}:
            raise UserError(
                f"{self.path} has the class {min(unknown)}, which the network was not trained on"
            )
        return torch.tensor([self.classes.index(cell) for cell in cells])

    def standardisation(self, x: Tensor) -> tuple[list[float], list[float]]:
        mean, std = super().standardisation(x)
        first = 0
        for categories in self.columns.values():
            width = 1 if categories is None else len(categories)
            if categories is not None:  # they stay 0 and 1
                mean[first : first + width], std[first : first + width] = (
                    [0.0] * width,
                    [1.0] * width,
                )
            first += width
        return mean, std

    @cached_property
    def samples(self) -> TensorImages:
        """All rows."""
        return TensorImages(features_of(self.table, self.columns, self.fill), self.targets())

    def load(self, train: bool) -> TensorImages:
        return TensorImages(*self.samples.__getitems__(self.rows()[0 if train else 1]))

    def read(self, table: Path) -> TableRows:
        return TableRows(read_table(table, {}, "--table", least=1), self.columns, self.fill)

    def features(self, row: Mapping[str, Any]) -> Tensor:
        cells = ["" if cell is None else str(cell) for cell in row.values()]
        return features_of(Table(Path("the row"), [*row], [cells], []), self.columns, self.fill)[0]
