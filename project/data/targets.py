"""Targets of a dataset that are classes, and their check."""

import torch
from torch import Tensor

from project.errors import UserError


def are_classes(y: Tensor) -> bool:
    """Whether targets are one class for each sample, int64 (N,)."""
    return y.ndim == 1 and y.dtype == torch.int64


def check_classes(y: Tensor, num_classes: int, name: str) -> None:
    """Raise UserError if classes ``y`` (N,) of the dataset ``name`` do not lie in ``num_classes``.

    Targets of another kind are checked by the objective, which knows what they mean.
    """
    if are_classes(y) and len(y) and not 0 <= int(y.min()) <= int(y.max()) < num_classes:
        raise UserError(
            f"{name} has classes from {int(y.min())} to {int(y.max())}, but num_classes is "
            f"{num_classes}: they must lie from 0 to {num_classes - 1}"
        )
