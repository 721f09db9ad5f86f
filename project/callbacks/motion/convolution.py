"""`Convolution`: the first layer's filter sliding over an image, and the pooling after it."""

from collections.abc import Iterator
from typing import Any

import lightning as L
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from project import plots
from project.callbacks.motion.motion import Moment, Motion
from project.errors import UserError


class Convolution(Motion):
    """Draws how the first convolution fills a feature map, and how a window is pooled.

    The image is the first one of validation, the filter is one of the trained network.

    Args:
        frames: Number of positions of the filter, and again of the window.
        seconds: How long the picture moves.
        channel: Which of the filters.
    """

    name = "convolution"

    def __init__(self, frames: int = 24, seconds: float = 8.0, channel: int = 0) -> None:
        super().__init__(frames, seconds)
        self.channel = channel

    def check(self, trainer: L.Trainer, model: Any) -> None:
        layer = first_convolution(model)
        if layer is None or self.channel >= layer.out_channels:
            raise UserError(
                "Convolution draws a filter of the first convolution, which this model lacks: "
                "leave it out, or give another channel"
            )

    def look(self, trainer: L.Trainer, model: Any) -> Moment:
        return {}  # the trained network is drawn

    def figures(self, trainer: L.Trainer) -> Iterator[Any]:
        data, model = trainer.datamodule, trainer.lightning_module
        x, y = data.train_set.__getitems__(data.val_indices[:1])
        image = data.to_input(x, y)[0].float()
        layer = first_convolution(model)
        assert layer is not None
        kernel = layer.weight[self.channel].detach().float().cpu()
        bias = float(layer.bias[self.channel].detach()) if layer.bias is not None else 0.0
        padding = (
            tuple(layer.padding)
            if not isinstance(layer.padding, str)
            else (kernel.shape[1] // 2,) * 2
        )
        stride = (layer.stride[0], layer.stride[1])
        padded = F.pad(image, [padding[1], padding[1], padding[0], padding[0]])[0]
        maps = F.conv2d(padded[None], kernel[None], torch.tensor([bias]), stride)[0, 0]
        for place in places(maps, self.frames):
            yield plots.convolution(padded, kernel, bias, maps, place, stride)
        rectified = maps.clamp(min=0)
        pooled = F.max_pool2d(rectified[None], 2)[0]
        for place in places(pooled, self.frames):
            yield plots.pooling(rectified, pooled, place, 2)


def first_convolution(model: nn.Module) -> nn.Conv2d | None:
    """The convolution that sees the image; None without one."""
    return next((m for m in model.modules() if isinstance(m, nn.Conv2d)), None)


def places(maps: Tensor, count: int) -> list[tuple[int, int]]:
    """Positions (row, column) of a map (H, W), all of the first row's start and then fewer."""
    height, width = maps.shape
    first = min(count // 3, width)
    rest = plots.evenly_spaced(count - first, height * width - first) + first
    return [divmod(int(i), width) for i in [*range(first), *rest.tolist()]]
