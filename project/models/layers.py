"""Layers that a config chooses by name."""

from collections.abc import Callable
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

Activation = Literal["relu", "tanh", "sigmoid"]
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": partial(nn.ReLU, inplace=True),
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
}
Pool = Literal["max", "avg"]
POOLS: dict[str, Callable[..., nn.Module]] = {"max": nn.MaxPool2d, "avg": nn.AvgPool2d}
Stem = Literal["imagenet", "small"]


class UnitRange(nn.Module):
    """Brings images (N, C, H, W) normalised with ImageNet's statistics to mean and deviation 1/2.

    Args:
        channels: With other than three, each is taken to have the mean of ImageNet's statistics.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        mean, std = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]]).view(2, 3, 1, 1)
        scale, shift = std / 0.5, (mean - 0.5) / 0.5
        self.register_buffer("scale", scale if channels == 3 else scale.mean(), persistent=False)
        self.register_buffer("shift", shift if channels == 3 else shift.mean(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale + self.shift
