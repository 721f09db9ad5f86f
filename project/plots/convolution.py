"""A filter on an image, and pooling, one position at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from project.plots.figure import ORANGE, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def convolution(
    image: Tensor,
    kernel: Tensor,
    bias: float,
    maps: Tensor,
    place: tuple[int, int],
    stride: tuple[int, int],
) -> Figure:
    """The image, the pixels under the filter, the filter, their products, and the map so far.

    With several channels the sums over them are shown.

    Args:
        image: The padded input (C, H, W) of the layer.
        kernel: The filter (C, h, w).
        bias: What is added to the sum of the products.
        maps: The whole feature map (H', W').
        place: Row and column of the map that is computed.
        stride: Of the convolution.
    """
    (row, column), (height, width) = place, kernel.shape[1:]
    top, left = row * stride[0], column * stride[1]
    patch = image[:, top : top + height, left : left + width]
    products = patch * kernel
    total = float(products.sum()) + bias
    figure, axes = new_figure(11, 3.1, 1, 5)
    pixels = (float(image.sum(0).min()), float(image.sum(0).max()))
    show(axes[0], image.mean(0), "padded image", "gray")
    box(axes[0], left, top, width, height)
    show(axes[1], patch.sum(0), "pixels under the filter", "gray", pixels, written=True)
    show(axes[2], kernel.sum(0), "filter", "RdBu_r", around_zero(kernel.sum(0)), written=True)
    text = f"products: their sum\n+ bias {bias:.2f} = {total:.2f}"
    show(axes[3], products.sum(0), text, "RdBu_r", around_zero(products.sum(0)), written=True)
    filled = maps.flatten().clone()
    filled[row * maps.shape[1] + column + 1 :] = torch.nan
    show(axes[4], filled.view_as(maps), "feature map", "RdBu_r", around_zero(maps))
    box(axes[4], column, row, 1, 1)
    return figure


def around_zero(values: Tensor) -> tuple[float, float]:
    """Limits of colours that are white at zero."""
    most = max(float(values.abs().max()), 1e-6)
    return -most, most


def pooling(maps: Tensor, pooled: Tensor, place: tuple[int, int], size: int) -> Figure:
    """The map after ReLU with the window, the values in it, and the pooled map so far.

    Args:
        maps: The feature map after ReLU (H, W).
        pooled: The whole pooled map (H', W').
        place: Row and column of the pooled map that is computed.
        size: Height and width of the window.
    """
    row, column = place
    window = maps[row * size : (row + 1) * size, column * size : (column + 1) * size]
    figure, axes = new_figure(11, 3.1, 1, 5)
    most = max(float(maps.max()), 1e-6)
    show(axes[0], maps, "feature map after ReLU", "viridis", (0, most))
    box(axes[0], column * size, row * size, size, size)
    show(axes[1], window, "values in the window", "viridis", (0, most), True)
    show(axes[2], window.max()[None, None], "the greatest one", "viridis", (0, most), True)
    filled = pooled.flatten().clone()
    filled[row * pooled.shape[1] + column + 1 :] = torch.nan
    show(axes[3], filled.view_as(pooled), "pooled map", "viridis", (0, most))
    box(axes[3], column, row, 1, 1)
    axes[4].set_axis_off()
    return figure


def show(
    axes: Axes,
    values: Tensor,
    title: str,
    colours: str,
    limits: tuple[float, float] | None = None,
    written: bool = False,
) -> None:
    """Draw values (H, W), with the numbers in the cells if there is room for them."""
    low, high = limits or (float(values.min()), float(values.max()))
    axes.imshow(values.numpy(), cmap=colours, vmin=low, vmax=high)
    axes.set_title(title, fontsize=9)
    axes.set_xticks([])
    axes.set_yticks([])
    if written and values.numel() <= 49:
        style: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 7}
        for i, line in enumerate(values.tolist()):
            for j, value in enumerate(line):
                part = (value - low) / (high - low) if high > low else 0.5
                dark = not 0.2 < part < 0.8 if colours == "RdBu_r" else part < 0.5
                axes.text(j, i, f"{value:.1f}", color="white" if dark else "black", **style)


def box(axes: Axes, left: int, top: int, width: int, height: int) -> None:
    """Draw a frame around cells."""
    from matplotlib.patches import Rectangle

    corner = (left - 0.5, top - 0.5)
    axes.add_patch(Rectangle(corner, width, height, fill=False, edgecolor=ORANGE, linewidth=2))
