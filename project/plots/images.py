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
    width, height = 2.4, 3.0  # of a cell, in inches
    figure, axes = sheet(width * columns, height * rows)
    for i, image in enumerate(images):
        left, top = width * (i % columns), height * (i // columns)
        place = (left + 0.05, top + 0.25, width - 0.1, 1.4)
        show(axes, image, place, caption(names[i], 28), fontsize=9)
        true_class = None if truth is None else int(truth[i])
        place = (left + 0.05, top + 1.75, width - 0.1, 1.15)
        draw_bars(axes, probabilities[i], true_class, class_names, place)
    figure.suptitle(title)
    return figure


def sheet(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure with one axes in inches, whose origin is at the upper left.

    Axes for each image would take several times as long to draw.
    """
    figure, [axes] = new_figure(width, height + 0.4)
    axes.set_axis_off()
    axes.set(xlim=(0, width), ylim=(height, 0), aspect="equal", autoscale_on=False)
    return figure, axes


def draw_bars(
    axes: Axes,
    probabilities: Tensor,
    true_class: int | None,
    class_names: Sequence[str],
    place: tuple[float, float, float, float],
) -> None:
    """Draw a bar for each of the five greatest probabilities (K,), with the class in it.

    Args:
        axes: Where to draw.
        probabilities: Class probabilities (K,).
        true_class: The class whose bar is orange; None if unknown.
        class_names: Names of the K classes.
        place: Left, top, width and height of the five bars.
    """
    left, top, width, height = place
    best = probabilities.topk(min(5, len(class_names)))
    values, classes = best.values.tolist(), best.indices.tolist()
    centres = [top + (i + 0.5) * height / 5 for i in range(len(classes))]
    colors = [PALE_ORANGE if k == true_class else PALE_BLUE for k in classes]
    axes.barh(centres, [width * p for p in values], 0.8 * height / 5, left=left, color=colors)
    for y, p, k in zip(centres, values, classes, strict=True):
        label = f"{caption(class_names[k])}  {p:.1%}"
        axes.text(left + 0.05, y, label, va="center", fontsize=7, color="black")


def image_grid(
    images: Tensor, names: list[str], title: str, columns: int = 8, width: float = 1.4
) -> Figure:
    """Images (N, C, H, W) in [0, 1] with a caption each, in cells of a width in inches."""
    columns = min(columns, max(len(images), 3))
    rows = -(-len(images) // columns)
    height = width + 0.1
    figure, axes = sheet(width * columns, height * rows)
    for i, (image, name) in enumerate(zip(images, names, strict=False)):
        left, top = width * (i % columns), height * (i // columns)
        place = (left + 0.05, top + 0.25, width - 0.1, height - 0.3)
        show(axes, image, place, caption(name, round(18 * width / 1.4)), fontsize=8)
    figure.suptitle(title)
    return figure


def show(
    axes: Axes,
    image: Tensor,
    place: tuple[float, float, float, float],
    title: str = "",
    fontsize: int = 8,
) -> None:
    """Draw an image (C, H, W) in [0, 1], in grey if it has one channel, as large as fits.

    Args:
        axes: Where to draw.
        image: The image.
        place: Left, top, width and height of the space for it.
        title: Text above it.
        fontsize: Of the text.
    """
    left, top, width, height = place
    scale = min(width / image.shape[2], height / image.shape[1])
    half, bottom = scale * image.shape[2] / 2, top + scale * image.shape[1]
    middle = left + width / 2
    pixels = image.permute(1, 2, 0).squeeze(2).numpy()
    extent = (middle - half, middle + half, bottom, top)
    axes.imshow(pixels, cmap="gray", vmin=0, vmax=1, extent=extent)
    axes.text(middle, top - 0.06, title, ha="center", va="bottom", fontsize=fontsize)


def evenly_spaced(count: int, total: int) -> Tensor:
    """``count`` positions, or fewer, spread over ``range(total)``."""
    return torch.linspace(0, total - 1, min(count, total)).round().long().unique()
