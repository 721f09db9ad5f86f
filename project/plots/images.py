"""Figures of images and their predictions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from project.plots.figure import PALE_BLUE, PALE_ORANGE, new_figure
from project.plots.text import caption

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def top5_grid(
    images: Tensor,
    probabilities: Tensor,
    truth: Tensor | None,
    class_names: Sequence[str],
    names: list[str],
    title: str,
) -> Figure:
    """Images with bars of their five likeliest classes (Krizhevsky et al., 2012, figure 4).

    Args:
        images: Images (N, C, H, W) in [0, 1].
        probabilities: Class probabilities (N, K).
        truth: True classes (N,), which are drawn in orange; None if unknown.
        class_names: Names of the K classes.
        names: A caption for each image.
        title: Title of the figure.
    """
    columns = min(4, len(images))
    rows = -(-len(images) // columns)
    figure, axes = new_figure(2.4 * columns, 3.1 * rows + 0.5, rows=2 * rows, columns=columns)
    for a in axes:
        a.set_axis_off()
    for i, image in enumerate(images):
        row, column = divmod(i, columns)
        picture, bars = axes[2 * row * columns + column], axes[(2 * row + 1) * columns + column]
        show(picture, image)
        picture.set_title(caption(names[i], 28), fontsize=9)
        draw_bars(bars, probabilities[i], None if truth is None else int(truth[i]), class_names)
    figure.suptitle(title)
    return figure


def draw_bars(
    axes: Axes, probabilities: Tensor, true_class: int | None, class_names: Sequence[str]
) -> None:
    """Draw a bar for each of the five greatest probabilities (K,), with the class in it."""
    top = probabilities.topk(min(5, len(class_names)))
    values, classes = top.values.tolist(), top.indices.tolist()
    colors = [PALE_ORANGE if k == true_class else PALE_BLUE for k in classes]
    axes.barh(range(len(classes)), values, color=colors)
    axes.set(xlim=(0, 1), ylim=(4.6, -0.6))
    for y, (p, k) in enumerate(zip(values, classes, strict=True)):
        label = f"{caption(class_names[k])}  {p:.1%}"
        axes.text(0.03, y, label, va="center", fontsize=7, color="black")


def image_grid(images: Tensor, names: list[str], title: str, columns: int = 8) -> Figure:
    """Images (N, C, H, W) in [0, 1] with a caption each."""
    rows = -(-len(images) // columns)
    figure, axes = new_figure(1.4 * columns, 1.6 * rows + 0.5, rows=rows, columns=columns)
    for a in axes:
        a.set_axis_off()
    for a, image, name in zip(axes, images, names, strict=False):
        show(a, image)
        a.set_title(caption(name, 18), fontsize=8)
    figure.suptitle(title)
    return figure


def show(axes: Axes, image: Tensor) -> None:
    """Draw an image (C, H, W) in [0, 1], in grey if it has one channel."""
    axes.imshow(image.permute(1, 2, 0).squeeze(2).numpy(), cmap="gray", vmin=0, vmax=1)


def evenly_spaced(count: int, total: int) -> Tensor:
    """``count`` positions, or fewer, spread over ``range(total)``."""
    return torch.linspace(0, total - 1, min(count, total)).round().long().unique()
