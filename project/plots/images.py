"""Pictures: pure functions from numbers and images to matplotlib figures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from project.plots.figure import new_figure
from project.plots.text import caption

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, GREY = "#3572b0", "#d9730d", "#9a9a9a"
PALE_BLUE, PALE_ORANGE = "#a9c9ea", "#f6b26b"  # black text is legible on these


def top5_grid(
    images: Tensor,
    probabilities: Tensor,
    truth: Tensor | None,
    class_names: Sequence[str],
    names: list[str],
    title: str,
) -> Figure:
    """Images with bars of their five likeliest classes, the true one in orange (Krizhevsky et al., 2012, figure 4).

    Args:
        images: (N, C, H, W) in [0, 1].
        probabilities: (N, K).
        truth: True classes (N,), if known.
        class_names: K names.
        names: A caption for each image.
        title: Of the figure.
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
        top = probabilities[i].topk(min(5, len(class_names)))
        places = range(len(top.indices))
        true_class = None if truth is None else int(truth[i])
        bars.barh(
            places,
            top.values.tolist(),
            color=[PALE_ORANGE if k == true_class else PALE_BLUE for k in top.indices.tolist()],
        )
        bars.set(xlim=(0, 1), ylim=(4.6, -0.6))
        for place, (p, k) in enumerate(zip(top.values.tolist(), top.indices.tolist(), strict=True)):
            label = f"{caption(class_names[k])}  {p:.1%}"
            bars.text(0.03, place, label, va="center", fontsize=7, color="black")
    figure.suptitle(title)
    return figure


def filters(weights: Tensor, title: str, most: int = 64) -> Figure:
    """The first ``most`` filters (N, C, h, w): in colour for three channels, else their mean over channels."""
    weights = weights[:most]
    colour = weights.shape[1] == 3
    shown = weights if colour else weights.mean(1, keepdim=True)
    shown = shown / shown.abs().amax((1, 2, 3), keepdim=True).clamp(min=1e-12)
    columns = min(len(shown), 16)
    rows = -(-len(shown) // columns)
    figure, [axes] = new_figure(0.75 * columns + 0.5, 0.75 * rows + 0.6)
    axes.set_axis_off()
    picture = tiled(
        shown / 2 + 0.5 if colour else shown, rows, columns, empty=1.0 if colour else math.nan
    )
    axes.imshow(
        picture.permute(1, 2, 0).squeeze(2).numpy(),
        cmap="RdBu_r",
        vmin=-1,
        vmax=1,
        interpolation="nearest",
    )
    figure.suptitle(title + ("" if colour else " (red above zero, blue below)"), fontsize=10)
    return figure


def tiled(images: Tensor, rows: int, columns: int, empty: float) -> Tensor:
    """One picture (C, H, W) of images (N, C, h, w) in rows, with gaps; axes for each would take a second to draw."""
    gap = 2
    scale = max(1, 32 // max(images.shape[2:]))
    images = images.repeat_interleave(scale, 2).repeat_interleave(scale, 3)
    missing = images.new_full((rows * columns - len(images), *images.shape[1:]), empty)
    padded = torch.nn.functional.pad(
        torch.cat([images, missing]), (gap, gap, gap, gap), value=empty
    )
    return padded.unflatten(0, (rows, columns)).permute(2, 0, 3, 1, 4).flatten(3, 4).flatten(1, 2)


def feature_maps(image: Tensor, maps: dict[str, Tensor], title: str, most: int = 8) -> Figure:
    """An image, and a row for each layer with the channels that vary most over the image.

    Args:
        image: (C, H, W) in [0, 1].
        maps: (C', H', W') by layer, of any sizes.
        title: Of the figure.
        most: Channels in a row.
    """
    figure, axes = new_figure(1.25 * (most + 1), 1.35 * len(maps) + 0.5, len(maps), most + 1)
    for a in axes:
        a.set_axis_off()
    for row, (name, channels) in enumerate(maps.items()):
        first, *others = axes[row * (most + 1) : (row + 1) * (most + 1)]
        if row == 0:
            show(first, image)
        size = "x".join(map(str, channels.shape))
        label: dict[str, Any] = {
            "ha": "center",
            "va": "top",
            "transform": first.transAxes,
            "in_layout": False,
        }
        first.text(0.5, -0.04 if row == 0 else 0.6, f"{name}\n{size}", **label)
        liveliest = channels.flatten(1).std(1).topk(min(most, len(channels))).indices.sort().values
        for a, channel in zip(others, liveliest.tolist(), strict=False):
            a.imshow(channels[channel].numpy(), cmap="viridis")
            a.set_title(f"{channel}", fontsize=7, pad=2)
    figure.suptitle(f"{title} (of each layer the {most} channels that vary most)", fontsize=10)
    return figure


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
