"""What the targets of a dataset must be."""

import torch
from torch import Tensor

from project.errors import UserError


def check_classes(y: Tensor, num_classes: int, name: str) -> None:
    """Raise UserError if ``y`` of the dataset ``name`` is not the class of each sample (N,), one of ``num_classes``."""
    if y.ndim != 1 or y.dtype != torch.int64:
        raise UserError(
            f"{name} has targets of type {str(y.dtype).removeprefix('torch.')} and shape {list(y.shape)}, but needs "
            "one class a sample, int64 of shape [N]: multi-label and real targets are not supported in this version"
        )
    if len(y) and not 0 <= int(y.min()) <= int(y.max()) < num_classes:
        raise UserError(
            f"{name} has classes from {int(y.min())} to {int(y.max())}, but num_classes is {num_classes}: they must "
            f"lie from 0 to {num_classes - 1}"
        )
