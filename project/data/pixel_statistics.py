"""Mean and standard deviation of a dataset's pixels."""

from typing import Any

import torch
from torch import Tensor


def statistics(split: Any, indices: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation, float64 (C,), of the pixels in [0, 1] of some images."""
    total = squares = torch.zeros((), dtype=torch.float64)
    count = 0
    for part in indices.split(500):
        x = split.__getitems__(part)[0].double().div_(255)
        total, squares = total + x.sum((0, 2, 3)), squares + x.square_().sum((0, 2, 3))
        count += x[:, 0].numel()
    mean = total / count
    return mean, (squares / count - mean.square()).sqrt()
