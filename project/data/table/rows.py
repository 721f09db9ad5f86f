"""The rows of another table, to predict."""

import torch

from project.data.sampler import TensorImages
from project.data.table.columns import Columns, features_of
from project.data.table.file import Table


class TableRows(TensorImages):
    """The rows of a table that `predict` is given.

    Args:
        table: The file's content; it may lack the target.
        columns: The columns that the network was trained on.
        fill: What stands for a missing cell of each column.
    """

    def __init__(self, table: Table, columns: Columns, fill: dict[str, float | str]) -> None:
        super().__init__(features_of(table, columns, fill), torch.arange(len(table.rows)))
        self.table = table
